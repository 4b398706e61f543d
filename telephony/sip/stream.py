"""Cuts a TCP octet stream into SIP messages by Content-Length (RFC 3261 18.3, RFC 5626 4.4.1).

A message whose frame cannot be known is handed on as its head alone, which `parser.parse` refuses with the
right status; the stream is then `broken`: answer what was handed out, close, read no more.
"""

import re
from dataclasses import dataclass
from typing import Final, Protocol

from telephony.sip.parser import DEFAULT_LIMITS, Limits, find_head_end

_LENGTH: Final = re.compile(
    rb"^(?:content-length|l)[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")
# Line ends that begin no ping, whatever comes behind them: how the stream was cut must make no difference.
_NO_PING: Final = re.compile(rb"(?:\n|\r(?=[^\n])|\r\n(?=[^\r]|\r[^\n]))+")
PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Ping:
    """A keep-alive that wants an answer: write `PONG`."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping of ours."""


Item = bytes | Ping | Pong


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """Seconds.

    `opening`: connect, TLS handshake and upgrade together. `keepalive`: between our pings (RFC 5626 4.4.1: 95 to 120
    on streams); `pong`: for the answer, from peers that have given one before. `idle`: for a peer's connection that
    says nothing at all.
    """

    framing: float = 10.0
    opening: float = 5.0
    keepalive: float = 100.0
    pong: float = 10.0
    idle: float = 3600.0


class Framing(Protocol):
    """How messages lie in a stream. After each call `outgoing()` holds what must be sent besides messages."""

    broken: bool

    @property
    def partial(self) -> bool: ...
    def feed(self, data: bytes) -> list[Item]: ...
    def wrap(self, message: bytes) -> bytes: ...
    def ping(self) -> bytes: ...
    def outgoing(self) -> bytes: ...
    def close(self) -> None: ...


class StreamFramer:
    """Framing state of one connection."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0  # no end of head before this offset
        self._needed: int | None = None  # where the message ends, once its head is there
        self._is_sip = False  # the start line of the message in the buffer was looked at
        self._pinged = False  # a lone CRLF is then the answer, and no half of a ping
        self.broken = False

    @property
    def partial(self) -> bool:
        """True while a message has begun and not ended: the driver then runs a framing timeout."""
        return not PING.startswith(self._buffer)

    def wrap(self, message: bytes) -> bytes:
        return message

    def ping(self) -> bytes:
        self._pinged = True
        return PING

    def outgoing(self) -> bytes:
        return b""

    def close(self) -> None:
        """A stream has no goodbye of its own."""

    def feed(self, data: bytes) -> list[Item]:
        """Take octets as they arrive; whole messages and pings come out in order."""
        if self.broken:
            return []
        self._buffer += data
        items: list[Item] = []
        while not self.broken:
            item = self._next()
            if item is None:
                break
            items.append(item)
        return items

    def _next(self) -> Item | None:
        if self._needed is None:
            if self._buffer.startswith((b"\r", b"\n")):
                return self._line_end()
            if not self._find_frame():
                return None
        if self.broken:
            return self._take(len(self._buffer))
        if self._needed is None or len(self._buffer) < self._needed:
            return None
        return self._take(self._needed)

    def _line_end(self) -> Item | None:
        if self._pinged and self._buffer.startswith(PONG) and not self._buffer.startswith(PING):
            del self._buffer[: len(PONG)]
            self._pinged = False
            return Pong()
        blank = _NO_PING.match(self._buffer)
        if blank is not None:
            del self._buffer[: blank.end()]
        if self._buffer.startswith(PING):
            del self._buffer[: len(PING)]
            return Ping()
        if PING.startswith(self._buffer):
            return None  # empty, or perhaps half of one
        return self._next()

    def _take(self, end: int) -> bytes:
        message = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._scanned, self._needed, self._is_sip = 0, None, False
        return message

    def _find_frame(self) -> bool:
        """True when the length of the message is known, or the stream is broken."""
        if not self._is_sip:
            line_end = self._buffer.find(b"\n")
            self._is_sip = line_end >= 0 and b"SIP/" in self._buffer[:line_end]
            if line_end >= 0 and not self._is_sip:
                return self._break(line_end + 1)
        limit = self._limits.datagram_bytes
        found = find_head_end(self._buffer, self._scanned)
        if found is None and len(self._buffer) <= limit:
            self._scanned = max(0, len(self._buffer) - 3)
            return False
        if found is None or found[1] > limit:
            return self._break(limit + 1)
        head_end, body_start = found
        end = self._message_end(bytes(self._buffer[:head_end]), body_start)
        if end is None:
            return self._break(body_start)
        self._needed = end
        return True

    def _message_end(self, head: bytes, body_start: int) -> int | None:
        values = set(_LENGTH.findall(_FOLD.sub(b" ", head)))
        length = values.pop() if values else b"0"
        if values or not _DIGITS.fullmatch(length):
            return None
        end = body_start + int(length)
        return end if end <= self._limits.message_bytes else None

    def _break(self, end: int) -> bool:
        self.broken = True
        del self._buffer[end:]
        return True
