"""The compiled loop of `telephony.media.audio_watch`: what the newest frame of each stream sounds like."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Sums = NDArray[np.float32]

_FADE: Final = np.float32(0.93)
_SOUND: Final = 150.0
"""Mean amplitude under which there is nothing to judge."""
_DIGITAL_SILENCE: Final = 16
_GATE_LOOKS: Final = 2
_CONSTANT_LEVEL: Final = 300
_FULL_SCALE: Final = 31_000
STEPS, OTHER_STEPS, SIZE, TOP, WEIGHT = range(5)
"""Of `sums` (5, rows): fading sums of what is told of a frame with sound in it; a weight of 1 each."""
QUIET, STEADY, CONSTANT, CLEAN = range(4)
"""Of `looks` (4, rows): how many in a row were so."""


@compiled()
def _mean_step(frame: NDArray[np.int16], half: int) -> float | np.float64:
    """From sample to sample."""
    total = np.int64(0)
    for k in range(1, half):
        total += abs(np.int64(frame[k]) - np.int64(frame[k - 1]))
    return total / (half - 1)


@compiled()
def _mean_other_step(
    frame: NDArray[np.int16], half: int, other: NDArray[np.int16]
) -> float | np.float64:
    """The same where each sample is first looked up in `other`."""
    total = np.int64(0)
    before = np.int64(other[np.int64(frame[0]) & 0xFFFF])
    for k in range(1, half):
        value = np.int64(other[np.int64(frame[k]) & 0xFFFF])
        total += abs(value - before)
        before = value
    return total / (half - 1)


@compiled(
    "void(i8, i8, b1[::1], i8[::1], i8[:,::1], i2[:,:,::1], i8[::1], b1[::1], i2[:,::1], i8[::1],"
    " f4[:,::1], i8[:,::1], b1[::1], b1[::1])"
)
def look(
    first: int,
    step: int,
    begun: Flags,
    newest: Rows,
    tag: Rows,
    ring: NDArray[np.int16],
    law: Rows,
    coded: Flags,
    other: NDArray[np.int16],
    seen: Rows,
    sums: Sums,
    looks: Rows,
    heard: Flags,
    gated: Flags,
) -> None:
    """At half of the newest frame of each `step`th stream from `first`, where one has come since the last look.

    `law`: of a stream that is G.711, not `coded`; `other` (2, 65536): each sample that was read by that law, as the
    other law would have read its octet.
    """
    half = ring.shape[2] // 2
    for row in range(first, len(begun), step):
        at = newest[row] & (tag.shape[1] - 1)
        if not begun[row] or newest[row] == seen[row] or tag[row, at] != newest[row]:
            continue
        seen[row] = newest[row]
        frame = ring[row, at]
        total = peak = over = np.int64(0)
        flat = True
        for k in range(half):
            amplitude = abs(np.int64(frame[k]))
            total += amplitude
            peak = max(peak, amplitude)
            over += 1 if amplitude >= _FULL_SCALE else 0
            flat &= frame[k] == frame[0]
        if total / half > _SOUND:
            mean_step = _mean_step(frame, half)
            other_step = mean_step
            if not coded[row]:
                other_step = _mean_other_step(frame, half, other[law[row] & 1])
            for column in range(5):
                sums[column, row] *= _FADE
            sums[STEPS, row] += np.float32(mean_step)
            sums[OTHER_STEPS, row] += np.float32(other_step)
            sums[SIZE, row] += np.float32(total / half)
            sums[TOP, row] += np.float32(over / half)
            sums[WEIGHT, row] += np.float32(1)
            looks[CLEAN, row] = 0 if over else looks[CLEAN, row] + 1
        if flat and peak <= _DIGITAL_SILENCE:
            looks[QUIET, row] += 1
        else:
            gated[row] |= heard[row] and looks[QUIET, row] >= _GATE_LOOKS
            heard[row] = True
            looks[STEADY, row] += 1
            looks[QUIET, row] = 0
        looks[CONSTANT, row] = looks[CONSTANT, row] + 1 if flat and peak > _CONSTANT_LEVEL else 0
