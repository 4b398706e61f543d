"""DTMF as RTP events (RFC 4733), both ways.

In: one digit at the first packet with the End bit, or when an event fell silent for 200 ms; retransmissions share
the event's timestamp. The marker bit means nothing: some gateways never set it.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

DIGITS: Final = "0123456789*#ABCD"
EVENT_BYTES: Final = 4
TONE_MS: Final = 100
PAUSE_MS: Final = 60
END_COPIES: Final = 3
_EVENT: Final = struct.Struct("!BBH")
_SILENT_AFTER: Final = 0.2
_REMEMBERED: Final = 8
_VOLUME: Final = 10


@dataclass(frozen=True, slots=True)
class _Open:
    timestamp: int
    event: int
    began: float
    at: float


class DigitReceiver:
    """Events of one stream."""

    def __init__(self) -> None:
        self._told: deque[int] = deque(maxlen=_REMEMBERED)
        self._open: _Open | None = None
        self.pressed_at = 0.0
        """When the first packet of the event that was told last came."""

    @property
    def open(self) -> bool:
        """An event has begun and its End is still to come."""
        return self._open is not None

    def receive(self, timestamp: int, payload: bytes, now: float) -> str | None:
        """The digit this packet completes. Malformed or foreign events are ignored."""
        if len(payload) < EVENT_BYTES:
            return None
        event, flags, _ = _EVENT.unpack_from(payload)
        if event >= len(DIGITS) or timestamp in self._told:
            return None
        before = self._finish_other(timestamp)
        if flags & 0x80:
            self.pressed_at = now if self._open is None else self._open.began
            self._told.append(timestamp)
            self._open = None
            return (before or "") + DIGITS[event]
        began = now if self._open is None else self._open.began
        self._open = _Open(timestamp, event, began, now)
        return before

    def silent(self, now: float) -> str | None:
        """The digit whose End never came, once it is 200 ms old. Call now and then."""
        if self._open is None or now - self._open.at < _SILENT_AFTER:
            return None
        return self._finish()

    def _finish_other(self, timestamp: int) -> str | None:
        if self._open is None or self._open.timestamp == timestamp:
            return None
        return self._finish()

    def _finish(self) -> str | None:
        if self._open is None:
            return None
        digit = DIGITS[self._open.event]
        self.pressed_at = self._open.began
        self._told.append(self._open.timestamp)
        self._open = None
        return digit


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What to send instead of audio in this 20 ms: an event's `timestamp` stays that of its beginning."""

    payload: bytes
    timestamp: int
    marker: bool


class DigitSender:
    """Sends digits, 100 ms each with 60 ms between, one packet per 20 ms; the End is sent three times.

    `rate_hz` is the clock of telephone-event, in which durations count.
    """

    def __init__(self, digits: str, rate_hz: int = 8000) -> None:
        """Raises: ValueError for anything but `0-9 * # A-D`."""
        self._events = deque(DIGITS.index(digit) for digit in digits.upper())
        self._step = rate_hz // 50
        self._tone = rate_hz * TONE_MS // 1000
        self._cycle = rate_hz * (TONE_MS + PAUSE_MS) // 1000
        self._event = 0
        self._began = 0
        self._elapsed = -1
        self._ends = 0

    @property
    def done(self) -> bool:
        return not self._events and self._elapsed < 0

    def next(self, timestamp: int) -> EventPacket | None:
        """For the 20 ms that begin at `timestamp`; None = audio as usual."""
        if self._elapsed < 0:
            if not self._events:
                return None
            self._event, self._began, self._elapsed, self._ends = (
                self._events.popleft(), timestamp, 0, 0,
            )  # fmt: skip
        self._elapsed += self._step
        if self._elapsed >= self._tone and self._ends < END_COPIES:
            self._ends += 1
            return self._packet(self._tone, end=True)
        if self._ends:
            if self._elapsed >= self._cycle:
                self._elapsed = -1
            return None
        return self._packet(self._elapsed, end=False)

    def _packet(self, duration: int, *, end: bool) -> EventPacket:
        flags = (0x80 if end else 0) | _VOLUME
        payload = _EVENT.pack(self._event, flags, duration)
        return EventPacket(payload, self._began, not end and duration == self._step)
