"""Does what arrives sound like what was negotiated, like anything at all, and not overdriven? Never repaired silently.

All streams of one table at once: ten times a second 10 ms of each are looked at, and fading sums of about 1.5 s are
kept. Read by the wrong law audio moves more from sample to sample than read by the right one: measured on four voices
at three levels, music, tones and noise of four colours, the other reading had 0.3 to 0.8 of the variation of a wrong
one, and 1.3 to 7 times that of a right one. Linear PCM and G.722 read as G.711 are rougher than white noise.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711, watch_loops
from telephony.media.notices import Garbling
from telephony.media.watch_loops import (
    CLEAN,
    CONSTANT,
    OTHER_STEPS,
    QUIET,
    SIZE,
    STEADY,
    STEPS,
    TOP,
    WEIGHT,
)  # fmt: skip
from telephony.rtp.jitter_buffer import JitterBuffers

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Sums = NDArray[np.float32]

CHECK_EVERY: Final = 25
"""Rounds of 20 ms: questions twice a second."""
_LOOK_PARTS: Final = 10
_ENOUGH: Final = 5.0
"""Weight of about six looks with sound in them."""
_SILENT_LOOKS: Final = 24
_STEADY_LOOKS: Final = 100
"""A line that has been without digital silence so long has noise of its own: then its lack is a fault."""
_CONSTANT_LOOKS: Final = 5
_CLIPPED: Final = 0.02
_CLEAN_LOOKS: Final = 10
_OTHER_LAW: Final = 0.95
_ROUGH: Final = 1.45
_DOUBTFUL: Final = 0.9
_AS_LINEAR: Final = 0.8
_SPREAD: Final = 1.75
_G722_LEVEL: Final = 1200.0
_SMOOTH: Final = 0.8
_LOUD: Final = 6000.0
"""G.711 octets taken for G.722 are louder than any voice."""
_OTHER: Final = np.stack(
    [
        g711.decode(
            g711.encode(np.arange(65536, dtype=np.uint16).view(np.int16), law)[None],
            np.array([1 - law]),
        )[0]
        for law in (g711.ULAW, g711.ALAW)
    ]
)
"""By law: each sample read by that law, as the other law would have read its octet."""


class AudioWatch:
    """`rows` streams. `judge`, `silent` and `clipping` answer for one of them, twice a second.

    `law` and `coded` (rows,): the law of each that is G.711, not `coded`; the array is kept. Without: none is.
    """

    def __init__(self, rows: int, law: Rows | None = None, coded: Flags | None = None) -> None:
        self._law = np.zeros(rows, np.int64) if law is None else law
        self._coded = np.ones(rows, np.bool_) if coded is None else coded
        self._seen = np.full(rows, -1, np.int64)
        self._sums = np.zeros((5, rows), np.float32)
        self._looks = np.zeros((4, rows), np.int64)
        self._steps, self._other_steps = self._sums[STEPS], self._sums[OTHER_STEPS]
        self._size, self._top, self._weight = self._sums[SIZE], self._sums[TOP], self._sums[WEIGHT]
        self._quiet, self._steady = self._looks[QUIET], self._looks[STEADY]
        self._constant, self._clean = self._looks[CONSTANT], self._looks[CLEAN]
        self._heard = np.zeros(rows, np.bool_)
        self._suspected = np.zeros(rows, np.bool_)
        self._gated = np.zeros(rows, np.bool_)
        self._clipped = np.zeros(rows, np.bool_)

    def forget(self, row: int) -> None:
        """Another stream begins in this row, or the same one with another codec."""
        self._sums[:, row] = 0
        self._looks[:, row] = 0
        for flag in (self._heard, self._gated, self._clipped, self._suspected):
            flag[row] = False
        self._seen[row] = -1

    def look(self, buffers: JitterBuffers, sub_tick: int) -> None:
        """At a tenth of the streams: called in every second sub-tick it comes to each ten times a second."""
        watch_loops.look(
            sub_tick // 2 % _LOOK_PARTS,
            _LOOK_PARTS,
            buffers.begun,
            buffers.top,
            buffers.tag,
            buffers.pcm,
            self._law,
            self._coded,
            _OTHER,
            self._seen,
            self._sums,
            self._looks,
            self._heard,
            self._gated,
        )

    def suspects(self, rows: Rows) -> Rows:
        """Those of `rows` of which the questions below may be answered by yes."""
        weight, steps = self._weight[rows], self._steps[rows]
        odd = self._doubtful(steps, self._other_steps[rows], self._size[rows])
        odd |= self._top[rows] > _CLIPPED * weight
        odd &= weight >= _ENOUGH
        odd |= (self._constant[rows] >= _CONSTANT_LOOKS) | (self._quiet[rows] >= _SILENT_LOOKS)
        return rows[odd]

    @staticmethod
    def _doubtful(steps: Sums, other_steps: Sums, size: Sums) -> NDArray[np.bool_]:
        doubtful: NDArray[np.bool_] = (steps > _DOUBTFUL * size) | (
            other_steps < _OTHER_LAW * steps
        )
        return doubtful

    # -------------------------------------------------------------------------------------------------- one stream

    def silent(self, row: int) -> bool:
        """Packets come, but for 2.5 s without the least sound: from the start, or on a line that has noise of its own."""
        never = not self._heard[row]
        odd = self._steady[row] >= _STEADY_LOOKS and not self._gated[row]
        return bool(self._quiet[row] >= _SILENT_LOOKS and (never or odd))

    def clipping(self, row: int) -> bool:
        """More of the sound at full scale than any clean voice or music; ends when hardly any is."""
        if self._weight[row] >= _ENOUGH:
            over = self._top[row] > _CLIPPED * self._weight[row]
            self._clipped[row] = self._clean[row] < _CLEAN_LOOKS and (self._clipped[row] or over)
        return bool(self._clipped[row])

    def judge(self, row: int, law: int | None, octets: NDArray[np.uint8] | None) -> Garbling | None:
        """`law`: of a G.711 stream, whose last octets are then known; `octets` of a G.722 stream, 160 or more."""
        if self._constant[row] >= _CONSTANT_LOOKS:
            return Garbling.CONSTANT
        if self._weight[row] < _ENOUGH:
            return None
        size = float(self._size[row])
        if law is None:
            loud = size > _LOUD * float(self._weight[row])
            return (
                Garbling.WRONG_CODEC if loud and octets is not None and _is_g711(octets) else None
            )
        found = _linear_or_g722(octets, law) if octets is not None else None
        if found is None and self._other_law(row):
            found = Garbling.WRONG_LAW if self._suspected[row] else None
            self._suspected[row] = True
        else:
            self._suspected[row] = False
        return found

    def _other_law(self, row: int) -> bool:
        return float(self._other_steps[row]) < _OTHER_LAW * float(self._steps[row])


def _roughness(pcm: NDArray[Any]) -> float:
    """Mean step over mean amplitude: 0.1 to 0.7 for speech, 1.41 for white noise."""
    wide = pcm.astype(np.float64)
    return float(np.abs(np.diff(wide)).sum() / max(np.abs(wide).sum(), 1.0))


def _is_g711(octets: NDArray[np.uint8]) -> bool:
    readings = (g711.decode(octets[None], np.array([law]))[0] for law in (g711.ULAW, g711.ALAW))
    return min(map(_roughness, readings)) < _SMOOTH


def _linear_or_g722(octets: NDArray[np.uint8], law: int) -> Garbling | None:
    """Both are rougher than white noise when read as G.711, and G.722 is spread over all sizes, as noise is not."""
    pcm = g711.decode(octets[None], np.array([law]))[0]
    mine = _roughness(pcm)
    if mine < _ROUGH:
        return None
    even = octets[: len(octets) // 2 * 2]
    if min(_roughness(even.view(">i2")), _roughness(even.view("<i2"))) < _AS_LINEAR:
        return Garbling.LINEAR_PCM
    amplitude = np.abs(pcm.astype(np.float64))
    mean = float(amplitude.mean())
    spread = float(np.sqrt((amplitude**2).mean())) / max(mean, 1.0)
    return Garbling.WRONG_CODEC if spread > _SPREAD and mean > _G722_LEVEL else None
