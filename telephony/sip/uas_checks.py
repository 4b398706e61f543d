"""What a UAS checks of a request it could parse (RFC 3261 8.2), in the order of the RFC."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from telephony.sip.bodies import SDP
from telephony.sip.core import ACCEPT, ALLOWED, SUPPORTED
from telephony.sip.headers import media_type
from telephony.sip.message import METHODS, HeaderPair, Request

SCHEMES: Final = ("sip", "sips", "tel")

ALLOW_EVENTS: Final = ("Allow-Events", "refer")
# RFC 6665 8.2.1 and RFC 3903 6: these fail for their event package, of which we have one, inside of a call.
_OF_EVENTS: Final = ("SUBSCRIBE", "PUBLISH")
_ACCEPTING_SDP: Final = (SDP, "application/*", "*/*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final response and the headers that say what would have been right."""

    status: int
    headers: tuple[HeaderPair, ...] = ()


def allow(methods: Iterable[str]) -> HeaderPair:
    """The Allow header."""
    return ("Allow", ", ".join(methods))


def refusal_of(request: Request, allowed: Sequence[str] = ALLOWED) -> Refusal | None:
    """Why this request cannot be served, None if it can."""
    if request.method in _OF_EVENTS:
        return Refusal(489, (ALLOW_EVENTS,))
    if request.method not in allowed:
        return Refusal(405 if request.method in METHODS else 501, (allow(allowed),))
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
