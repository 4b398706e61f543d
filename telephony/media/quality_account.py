"""The quality of one leg from its totals: a figure every few seconds, and at once when it turns bad."""

from __future__ import annotations

from typing import Final

from telephony.media.handles import SlotHandle
from telephony.media.notices import Quality
from telephony.rtp.quality import G711, Impairment, burst_ratio, mos, mouth_to_ear_ms
from telephony.values import value

FIRST_AFTER: Final = 1.9
"""Seconds until the first figure: with a visit a second it is told within three."""
_HALF_A_VISIT: Final = 0.5
"""Visits come each second, not to the millisecond."""
RECENT: Final = 3
"""Visits, a second apart, between whose ends the quality of the moment is measured: two seconds."""
TOO_FEW: Final = 40
_BURST: Final = 0.10
_POOR_MOS: Final = 3.5
_WELL_MOS: Final = 3.6


@value(frozen=True, slots=True)
class Totals:
    """Of a stream since its start. `lost` and `holes`: missing frames, and how many runs of them."""

    expected: int = 0
    received: int = 0
    late: int = 0
    concealed: int = 0
    lost: int = 0
    holes: int = 0


@value(frozen=True, slots=True)
class Line:
    """What else the E-model asks for, now. `depth`: frames in the jitter buffer."""

    jitter_ms: float
    depth: float
    round_trip: float | None = None
    remote_loss: float | None = None
    codec: Impairment = G711


@value(frozen=True, slots=True)
class _Figure:
    loss: float
    mos: float


class QualityAccount:
    """The figures of one leg, told each interval."""

    def __init__(self, now: float, interval: float) -> None:
        self._interval = interval
        self.due = now + FIRST_AFTER
        self._told = Totals()
        self._poor = False

    def measure(self, slot: SlotHandle, totals: Totals, line: Line, now: float) -> Quality | None:
        """The figures since the last ones; None while nothing has arrived. Called when `due`."""
        if totals.expected < self._told.expected:
            self._told = Totals()  # another stream: its totals begin anew
        if not totals.received:
            return None
        self.due = now + self._interval - _HALF_A_VISIT
        before, self._told = self._told, totals
        figure = _figure(before, totals, line)
        return Quality(
            slot=slot,
            received=totals.received - before.received,
            lost=max(0, totals.expected - before.expected - totals.received + before.received),
            late=totals.late - before.late,
            concealed=totals.concealed - before.concealed,
            loss=figure.loss,
            jitter_ms=line.jitter_ms,
            round_trip_ms=None if line.round_trip is None else line.round_trip * 1000,
            mos=figure.mos,
            at=now,
            remote_loss=line.remote_loss,
        )

    def poor(self, first: Totals, last: Totals, line: Line) -> str | None:
        """Words for a burst of loss or a bad score between the two; None if all is well, or too little to say."""
        if last.expected - first.expected < TOO_FEW:
            return None
        now = _figure(first, last, line)
        limit = _WELL_MOS if self._poor else _POOR_MOS
        self._poor = now.loss >= _BURST or now.mos < limit
        trip = "" if line.round_trip is None else f", round trip {line.round_trip * 1000:.0f} ms"
        return f"{now.loss:.0%} lost, MOS {now.mos:.1f}{trip}" if self._poor else None


def _figure(first: Totals, last: Totals, line: Line) -> _Figure:
    """Loss as heard: what never came, and what came too late to be played in its place."""
    expected = last.expected - first.expected
    missing = max(0, expected - (last.received - first.received))
    share = missing / expected if expected > 0 else 0.0
    heard = min(1.0, (missing + last.late - first.late) / expected) if expected > 0 else 0.0
    burst = burst_ratio(last.lost - first.lost, last.holes - first.holes, expected)
    delay = mouth_to_ear_ms(line.round_trip, line.depth)
    return _Figure(share, mos(heard, delay, line.codec, burst))
