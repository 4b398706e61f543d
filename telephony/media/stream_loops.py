"""The loops over received streams that play: their frames onto the floor, and what stands in for those that are lost."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Samples = NDArray[np.int16]

FADE_FRAMES: Final = 3
_HIGHEST_PITCH_HZ: Final = 400
_LOWEST_PITCH_HZ: Final = 80


@compiled()
def _pitch(before: Samples, rate_hz: int) -> int:
    """Lag of the best match of the last 10 ms with what came before it, in samples."""
    window = rate_hz // 100
    last = before[len(before) - window :]
    found, best = 0, -np.inf
    for lag in range(rate_hz // _HIGHEST_PITCH_HZ, rate_hz // _LOWEST_PITCH_HZ + 1):
        start = len(before) - window - lag
        if start < 0:
            break
        earlier = before[start : start + window]
        match = power = np.int64(0)
        # In whole numbers the order of the sum does not matter, so that it takes several at a time.
        for i in range(window):
            match += np.int32(earlier[i]) * np.int32(last[i])
            power += np.int32(earlier[i]) * np.int32(earlier[i])
        score = match / np.sqrt(power + 1.0)
        if score > best:
            found, best = lag, score
    return found


@compiled()
def _conceal(before: Samples, run: int, to: Samples) -> None:
    size = len(to)
    if run >= FADE_FRAMES:
        to[:] = 0
        return
    lag = _pitch(before, size * 50)
    period = before[len(before) - lag :]
    at = run * size
    for i in range(size):
        fade = 1.0 - at / (FADE_FRAMES * size)
        to[i] = np.int16(np.rint(period[at % lag] * fade))
        at += 1


@compiled("void(i2[::1], i8, i2[::1])")
def conceal_frame(before: Samples, run: int, to: Samples) -> None:
    """The `run`-th missing frame (0 = first) into `to`, after `before`, the last 40 ms that were received."""
    _conceal(before, run, to)


@compiled(
    "UniTuple(i8,2)(i8[::1], i8[::1], b1[::1], i8, b1[::1], i8[::1], i8[::1], i2[:,:,::1],"
    " i8[:,::1], i8[::1], i8[::1], i8[::1], i2[:,::1], i8[::1], i8[::1])"
)
def put_frames(
    rows: Rows,
    frames: Rows,
    have: Flags,
    first_source: int,
    heard: Flags,
    wanted: Rows,
    run: Rows,
    pcm: NDArray[np.int16],
    tag: Rows,
    begin: Rows,
    noise_begin: Rows,
    noise_end: Rows,
    table: Samples,
    noisy: Rows,
    crossing: Rows,
) -> tuple[int, int]:
    """Frames of `rows` that somebody hears onto `table`; one that is missing (the `run`-th) is concealed.

    `noisy` gets the rows for which comfort noise is to be made instead, `crossing` the sources that somebody hears at
    the other rate (`wanted`); the result is how many. `heard` and `wanted` are of all sources, the rest of streams.
    """
    size, ring = pcm.shape[2], pcm.shape[1] - 1
    before = np.empty(2 * size, np.int16)
    noises = crossings = 0
    for i in range(len(rows)):
        row, frame = rows[i], frames[i]
        source = first_source + row
        if not heard[source]:
            continue
        if wanted[source] > 0:
            crossing[crossings] = source
            crossings += 1
        to = table[source]
        if have[i]:
            there = pcm[row, frame & ring]
            for at in range(size):
                to[at] = there[at]
            continue
        if noise_begin[row] <= frame < noise_end[row]:
            noisy[noises] = row
            noises += 1
            continue
        last = frame - run[row]
        if last < begin[row] or tag[row, last & ring] != last:
            to[:] = 0
            continue
        older, newer = pcm[row, (last - 1) & ring], pcm[row, last & ring]
        for at in range(size):
            before[at], before[size + at] = older[at], newer[at]
        _conceal(before, run[row] - 1, to)
    return noises, crossings
