"""What a UAS checks of a request it could parse (RFC 3261 8.2), in the order of the RFC."""

from dataclasses import dataclass
from typing import Final

from telephony.sip.bodies import SDP
from telephony.sip.core import ACCEPT, ALLOW, ALLOWED
from telephony.sip.headers import media_type
from telephony.sip.message import METHODS, HeaderPair, Request

SCHEMES: Final = ("sip", "sips", "tel")
SUPPORTED: Final[frozenset[str]] = frozenset()
_ACCEPTING_SDP: Final = (SDP, "application/*", "*/*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response and the headers that say what would have been right."""

    status: int
    headers: tuple[HeaderPair, ...] = ()


def refusal_of(request: Request) -> Refusal | None:
    """Why this request cannot be served, None if it can."""
    if request.method not in ALLOWED:
        return Refusal(405 if request.method in METHODS else 501, (ALLOW,))
    if request.uri.scheme not in SCHEMES:
        return Refusal(416)
    if request.method == "CANCEL":
        return None  # RFC 3261 8.2.2.3: Require does not apply
    unknown = [tag for tag in request.tokens("require") if tag not in SUPPORTED]
    if unknown:
        return Refusal(420, (("Unsupported", ", ".join(unknown)),))
    return _refuse_body(request) if request.method == "INVITE" else None


def _refuse_body(request: Request) -> Refusal | None:
    kind = media_type(request.headers.first("content-type") or "")
    if request.body and kind != SDP and not kind.startswith("multipart/"):
        return Refusal(415, (ACCEPT,))
    encodings = [coding for coding in request.tokens("content-encoding") if coding != "identity"]
    if encodings:
        return Refusal(415, (ACCEPT, ("Accept-Encoding", "identity")))
    accepted = [media_type(item) for item in request.tokens("accept")]
    if accepted and not any(item in _ACCEPTING_SDP for item in accepted):
        return Refusal(406, (ACCEPT,))
    return None
