"""The session description of a message: its body, or the one part of a multipart body (RFC 5621)."""

import re
from typing import Final

from telephony.sip.headers import media_type
from telephony.sip.message import Request, Response

SDP: Final = "application/sdp"
_BOUNDARY: Final = re.compile(
    r';[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE
)
_PART_TYPE: Final = re.compile(
    rb"^content-type[ \t]*:[ \t]*([^\r\n;]*)", re.IGNORECASE | re.MULTILINE
)


def find_sdp(message: Request | Response) -> bytes | None:
    """The SDP, or None if the message carries none."""
    if not message.body:
        return None
    content_type = message.headers.first("content-type") or ""
    kind = media_type(content_type)
    if kind == SDP:
        return message.body
    return _find_part(message.body, content_type) if kind.startswith("multipart/") else None


def _find_part(body: bytes, content_type: str) -> bytes | None:
    match = _BOUNDARY.search(content_type)
    if match is None:
        return None
    delimiter = b"--" + (match[1] or match[2]).encode("utf-8", "surrogateescape")
    for part in body.split(delimiter)[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        kind = _PART_TYPE.search(head)
        if blank and kind is not None and kind[1].strip().lower() == SDP.encode():
            return content.removesuffix(b"\r\n") + b"\r\n"
    return None
