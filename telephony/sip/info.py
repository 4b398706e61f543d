"""INFO inside a dialog in its legacy use (RFC 6086 1, RFC 2976): digits and vendor text."""

from typing import Final

from telephony.sip.headers import media_type
from telephony.sip.message import HeaderPair, Request

DIGIT_TYPES: Final = ("application/dtmf-relay", "application/dtmf")
ACCEPT_INFO: Final = ("Accept", ", ".join((*DIGIT_TYPES, "text/*", "application/vnd.*")))


def info_refusal(request: Request) -> tuple[int, HeaderPair] | None:
    """415 and what would have been right; None for a body we hand on, or none at all."""
    if not request.body:
        return None
    kind = media_type(request.headers.first("content-type") or "")
    if kind in DIGIT_TYPES or kind.startswith(("text/", "application/vnd.", "application/x-")):
        return None
    return 415, ACCEPT_INFO
