"""Guarded latching: from which address a leg's audio is believed to come. Without authentication, so with care.

Three packets in a row from one source, with one SSRC, an agreed payload type and consecutive sequence numbers, and
the source is the SDP's address or lies in the networks given for the leg. While the SDP's own address sends, no
other is believed. What arrives before is never heard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from telephony.rtp.packet import RtpPacket

Source = tuple[int, int]
"""Address as a 32-bit number (an IPv6 address has one that stands for it), and port."""

NEEDED: Final = 3
_WINDOW: Final = 0.060
_GRAIN: Final = 0.010
_SDP_SPEAKS: Final = 0.2
_MAX_CANDIDATES: Final = 8


@dataclass(frozen=True, slots=True)
class LatchRule:
    """`networks`: (address, mask) pairs besides the SDP's own address; `further`: admits what a mask cannot tell."""

    signalled: Source
    networks: tuple[tuple[int, int], ...]
    payload_types: frozenset[int]
    ptime: float = 0.020
    further: Callable[[int], bool] | None = None

    def admits(self, source: Source) -> bool:
        if source == self.signalled:
            return True
        if self.further is not None and self.further(source[0]):
            return True
        return any(source[0] & mask == address for address, mask in self.networks)


@dataclass(slots=True)
class _Candidate:
    ssrc: int
    sequence: int
    times: list[float]


class Latch:
    """One leg's probation; forget it once `offer` said True."""

    def __init__(self, rule: LatchRule) -> None:
        self.rule = rule
        self._candidates: dict[Source, _Candidate] = {}
        self._signalled_at = float("-inf")

    def offer(self, source: Source, packet: RtpPacket, now: float) -> bool:
        """True: this packet made `source` the leg's."""
        if packet.payload_type not in self.rule.payload_types or not self.rule.admits(source):
            return False
        if source == self.rule.signalled:
            self._signalled_at = now
        elif now - self._signalled_at < _SDP_SPEAKS:
            return False
        return self._count(source, packet, now)

    def _count(self, source: Source, packet: RtpPacket, now: float) -> bool:
        candidate = self._candidates.get(source)
        follows = (
            candidate is not None
            and candidate.ssrc == packet.ssrc
            and packet.sequence == (candidate.sequence + 1) & 0xFFFF
        )
        if candidate is None or not follows:
            if candidate is None and len(self._candidates) >= _MAX_CANDIDATES:
                del self._candidates[next(iter(self._candidates))]
            self._candidates[source] = _Candidate(packet.ssrc, packet.sequence, [now])
            return False
        candidate.sequence = packet.sequence
        candidate.times = [*candidate.times[1 - NEEDED :], now]
        window = max(_WINDOW, NEEDED * self.rule.ptime) + _GRAIN
        return len(candidate.times) == NEEDED and now - candidate.times[0] <= window
