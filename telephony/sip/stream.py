"""Cuts a TCP octet stream into SIP messages by Content-Length (RFC 3261 18.3, RFC 5626 4.4.1).

A message whose frame cannot be known is handed on as its head alone, which `parser.parse` refuses with the
right status; the stream is then `broken`: answer what was handed out, close, read no more.
"""

import re
from dataclasses import dataclass
from typing import Final

from telephony.sip.parser import DEFAULT_LIMITS, Limits, find_head_end

_LENGTH: Final = re.compile(
    rb"^(?:content-length|l)[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")
PONG: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Ping:
    """A double CRLF between messages: answer with `PONG`."""


class StreamFramer:
    """Framing state of one connection."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0  # no end of head before this offset
        self._needed: tuple[int, int] | None = None  # (body start, message end)
        self.broken = False

    @property
    def partial(self) -> bool:
        """True while a message has begun and not ended: the driver then runs a framing timeout."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes | Ping]:
        """Take octets as they arrive; whole messages and pings come out in order."""
        if self.broken:
            return []
        self._buffer += data
        items: list[bytes | Ping] = []
        while not self.broken:
            item = self._next()
            if item is None:
                break
            items.append(item)
        return items

    def _next(self) -> bytes | Ping | None:
        if self._needed is None:
            if self._buffer.startswith((b"\r", b"\n")):
                return self._line_end()
            if not self._find_frame():
                return None
        if self.broken:
            return self._take(len(self._buffer))
        assert self._needed is not None  # noqa: S101 - set by _find_frame when it returns True unbroken
        end = self._needed[1]
        return self._take(end) if len(self._buffer) >= end else None

    def _line_end(self) -> bytes | Ping | None:
        if self._buffer[:4] == b"\r\n\r\n":
            del self._buffer[:4]
            return Ping()
        if len(self._buffer) < 4 and b"\r\n\r\n".startswith(self._buffer):
            return None
        blank = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
        del self._buffer[:blank]
        return self._next()

    def _take(self, end: int) -> bytes:
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._scanned, self._needed = 0, None
        return message

    def _find_frame(self) -> bool:
        found = find_head_end(self._buffer, self._scanned)
        if found is None:
            self._scanned = max(0, len(self._buffer) - 3)
            self.broken = len(self._buffer) > self._limits.datagram_bytes or self._is_no_sip()
            return self.broken
        head_end, body_start = found
        values = set(_LENGTH.findall(bytes(self._buffer[:head_end])))
        length = values.pop() if values else b"0"
        end = body_start + int(length) if _DIGITS.fullmatch(length) else -1
        if values or end < 0 or end > self._limits.message_bytes:
            self.broken = True
            del self._buffer[body_start:]
        self._needed = (body_start, end)
        return True

    def _is_no_sip(self) -> bool:
        line, newline, _ = self._buffer.partition(b"\n")
        return bool(newline) and b"SIP/" not in line
