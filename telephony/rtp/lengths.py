"""Do the lengths of packets fit the time between them? No I/O, no clock.

A sender that suppresses silence leaves time out now and then. One whose every packet is longer or shorter than the
time to the next sends something else than was agreed on.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from telephony.rtp.packet import timestamp_step

_MISFITS: Final = 4
"""So many in a row may be chance, or a change of packet time."""


class Fit(Enum):
    """What a packet says of the one before it."""

    FITS = "fits"
    PAUSE = "pause"
    MISFIT = "misfit"


class PacketLengths:
    """One stream. Packets of the agreed length that came in their turn need not be shown here."""

    def __init__(self) -> None:
        self._last: tuple[int, int, int] | None = None
        self._run = 0
        self._excess = 0

    def note(self, sequence: int, timestamp: int, samples: int, plain_step: int) -> Fit:
        """`plain_step`: clock units that this packet is too late, if the one before was not shown here."""
        last, self._last = self._last, (sequence, timestamp, samples)
        if last is None or last[0] != (sequence - 1) & 0xFFFF:
            self._run = 0
            return Fit.PAUSE if plain_step > 0 else Fit.FITS
        excess = timestamp_step(timestamp, last[1]) - last[2]
        if excess:
            self._run, self._excess = self._run + 1, excess
            return Fit.MISFIT if self._run > _MISFITS else Fit.FITS
        paused = self._run == 1 and self._excess > 0
        self._run = 0
        return Fit.PAUSE if paused else Fit.FITS
