"""The status line of a transferred call, as NOTIFY carries it (RFC 3420, RFC 3515 2.4.5)."""

import re
from typing import Final

from telephony.sip.errors import reason_phrase
from telephony.sip.headers import media_type
from telephony.sip.message import Message

SIPFRAG: Final = "message/sipfrag;version=2.0"
_STATUS_LINE: Final = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]*))?")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LONGEST_REASON: Final = 128


def read_sipfrag(message: Message) -> tuple[int, str] | None:
    """Status and reason of the fragment; None without one. The version parameter is often missing."""
    kind = media_type(message.headers.first("content-type") or "message/sipfrag")
    found = _STATUS_LINE.match(message.body) if kind == "message/sipfrag" else None
    if found is None:
        return None
    reason = (found[2] or b"").decode("utf-8", "surrogateescape").strip()
    return int(found[1]), _CONTROLS.sub("\ufffd", reason)[:_LONGEST_REASON]


def write_sipfrag(status: int, reason: str) -> bytes:
    """The body of a NOTIFY; an empty reason is filled in."""
    text = _CONTROLS.sub(" ", reason)[:_LONGEST_REASON] or reason_phrase(status)
    return f"SIP/2.0 {status} {text}\r\n".encode()
