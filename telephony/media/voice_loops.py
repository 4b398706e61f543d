"""The loop over the voices of a sub-tick: one frame of each from its stage onto the floor, shaped by gain, duck and pause."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Samples = NDArray[np.int16]
Gains = NDArray[np.float32]

_NARROW: Final = 160
_LINE: Final = 32
"""Samples in a line of the cache."""
_AHEAD: Final = 2
_LOUDEST: Final = np.float32(32767)
_LOWEST: Final = np.float32(-32768)


@compiled()
def _shape(speech: Samples, heard: Samples, gain: np.float32, goal: np.float32) -> None:
    """A frame, from one gain to another over the first half of it (10 ms)."""
    if gain == np.float32(1) and goal == np.float32(1):
        for i in range(len(speech)):
            heard[i] = speech[i]
        return
    step, change = np.float32(2 / len(speech)), goal - gain
    for i in range(len(speech)):
        ramp = min(np.float32(i + 1) * step, np.float32(1))
        sample = np.rint(np.float32(speech[i]) * (gain + change * ramp))
        heard[i] = np.int16(min(max(sample, _LOWEST), _LOUDEST))


@compiled()
def _touch(stage: Samples, row: int, at: Rows) -> int:
    """Brings a frame into the cache while those before it are played: speech of 1,500 voices does not fit there."""
    begin = min(at[row], stage.shape[1] - _NARROW)
    speech = stage[row, begin : begin + _NARROW]
    total = 0
    for i in range(0, _NARROW, _LINE):
        total += speech[i]
    return total


@compiled()
def _gains(
    row: int, halted: bool, fading: Flags, gain: Gains, goal: Gains
) -> tuple[np.float32, np.float32]:
    """At the beginning of the frame and after its ramp. At a halt what would come next fades out, once."""
    old, new = gain[row], goal[row]
    if halted:
        old, new = old if fading[row] else np.float32(0), np.float32(0)
    else:
        gain[row] = new
    fading[row] = False
    return old, new


@compiled(
    "UniTuple(i8,4)(i8, f8, i8, i8[::1], b1[::1], b1[::1], b1[::1], b1[::1], b1[::1], i8[::1],"
    " i8[::1], i8[::1], i8[::1], i8[::1], f4[::1], f4[::1], f8[::1], i2[:,::1],"
    " i2[:,::1], i2[:,::1], i8[:,::1], i8[:,::1], i8[::1], i8[::1])"
)
def play_voices(
    quarter: int,
    now: float,
    first: int,
    quarters: Rows,
    sounding: Flags,
    talking: Flags,
    paused: Flags,
    fading: Flags,
    shaped: Flags,
    samples: Rows,
    at: Rows,
    staged: Rows,
    mark: Rows,
    sent: Rows,
    gain: Gains,
    goal: Gains,
    last_sound: NDArray[np.float64],
    stage: Samples,
    narrow: Samples,
    wide: Samples,
    wanted: Rows,
    due: Rows,
    silent: Rows,
    crossing: Rows,
) -> tuple[int, int, int, int]:
    """Numbers of rows written to: `due` (row, at, staged, sent; at its mark), `silent` (talks no more), `crossing`.

    And a number without a meaning, so that what is read ahead counts as used.

    Row i of the voices is row `first + i` of `narrow` or `wide` (by its `samples` per frame); `wanted` (2, sources)
    counts who hears a source at the narrow and at the wide rate. `crossing` are sources that are heard at the other.
    """
    dues = silents = crossings = touched = 0
    for row in range(len(quarters)):
        if quarters[row] != quarter:
            continue
        if not talking[row]:
            if sounding[row]:
                silent[silents] = row
                silents += 1
            continue
        size, begin, source = samples[row], at[row], first + row
        halted = paused[row]
        heard = fading[row] or not halted
        old = new = np.float32(1)
        if shaped[row]:
            old, new = _gains(row, halted, fading, gain, goal)
            shaped[row] = halted or new != np.float32(1)
        touched += _touch(stage, min(row + _AHEAD, len(quarters) - 1), at)
        # A view of one row each: with two indexes the loop over samples takes ten times as long.
        speech = stage[row, begin : begin + size]
        _shape(speech, wide[source] if size > _NARROW else narrow[source], old, new)
        sounding[row] = True
        if heard:
            last_sound[row] = now
        if wanted[0 if size > _NARROW else 1, source] > 0:
            crossing[crossings] = source
            crossings += 1
        if halted:
            continue
        at[row] = begin + size
        sent[row] += min(size, staged[row] - begin)
        if at[row] >= mark[row]:
            due[dues, 0], due[dues, 1] = row, at[row]
            due[dues, 2], due[dues, 3] = staged[row], sent[row]
            dues += 1
    return dues, silents, crossings, touched
