"""Does what a leg sends sound like what was negotiated? Never repaired silently: the call is told.

Speech is smooth from sample to sample only when it is read the way it was written. Measured on synthetic speech, 2 s of
it: mu-law read as A-law (or the reverse) is 1.3 to 1.5 times as rough as read rightly, linear PCM read as G.711 rougher
than white noise. Looked at once a second until eight looks had sound in them, and again after 10 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.notices import Garbling

LOOKS: Final = 8
"""Looks at 160 ms each that have sound in them, before a verdict."""
PAUSE: Final = 10.0
_SOUND: Final = 300.0
_OTHER_LAW: Final = 0.85
_LINEAR_ROUGH: Final = 1.2
_LINEAR: Final = 0.75
_MIN_BAD: Final = 5
_BAD_SHARE: Final = 0.2
_READINGS: Final = 4
_ULAW, _ALAW, _BIG, _LITTLE = range(_READINGS)


def _steps_and_size(samples: NDArray[np.int16]) -> tuple[float, float]:
    wide = samples.astype(np.float32)
    return float(np.abs(np.diff(wide)).sum()), float(np.abs(wide).sum())


@dataclass(slots=True)
class GarblingWatch:
    """One leg. `steps` and `sizes` are sums under the four readings: mu-law, A-law, linear of either order."""

    next_at: float = 0.0
    looks: int = 0
    steps: list[float] = field(default_factory=lambda: [0.0] * _READINGS)
    sizes: list[float] = field(default_factory=lambda: [0.0] * _READINGS)
    bad: int = 0
    good: int = 0

    def look(self, pcm: NDArray[np.int16], law: int, now: float) -> Garbling | None:
        """At consecutive samples as they were decoded by `law`; a verdict at the last look only."""
        if now < self.next_at:
            return None
        if pcm.min() == pcm.max() and abs(int(pcm[0])) > _SOUND:
            self._rest(now)
            return Garbling.CONSTANT
        if np.abs(pcm.astype(np.int32)).mean() < _SOUND:
            return None
        octets = g711.encode(pcm, law)
        readings = (
            g711.decode(octets[None], np.array([g711.ULAW]))[0],
            g711.decode(octets[None], np.array([g711.ALAW]))[0],
            octets.view(">i2"),
            octets.view("<i2"),
        )
        for at, samples in enumerate(readings):
            steps, size = _steps_and_size(samples)
            self.steps[at] += steps
            self.sizes[at] += size
        self.looks += 1
        if self.looks < LOOKS:
            return None
        verdict = self._verdict(law)
        self._rest(now)
        return verdict

    def _verdict(self, law: int) -> Garbling | None:
        rough = [steps / max(size, 1.0) for steps, size in zip(self.steps, self.sizes, strict=True)]
        mine, other = rough[law], rough[_ALAW if law == g711.ULAW else _ULAW]
        if mine > _LINEAR_ROUGH and min(rough[_BIG], rough[_LITTLE]) < _LINEAR * mine:
            return Garbling.LINEAR_PCM
        return Garbling.WRONG_LAW if other < _OTHER_LAW * mine else None

    def _rest(self, now: float) -> None:
        self.next_at = now + PAUSE
        self.looks = 0
        self.steps = [0.0] * _READINGS
        self.sizes = [0.0] * _READINGS

    def packets(self, good: int, bad: int) -> Garbling | None:
        """Totals of a leg, once a second: over a fifth unusable is told, each time it begins."""
        fresh_good, fresh_bad = good - self.good, bad - self.bad
        self.good, self.bad = good, bad
        many = fresh_bad >= _MIN_BAD and fresh_bad > _BAD_SHARE * (fresh_good + fresh_bad)
        return Garbling.BAD_PACKETS if many else None
