"""8 kHz <-> 16 kHz by a half-band FIR, for the sources that somebody hears at the other rate."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

Rows = NDArray[np.int64]
Samples = NDArray[np.int16]
Gains = NDArray[np.float32]

_TAPS: Final = 31
_CENTRE: Final = _TAPS // 2
NARROW: Final = 160
WIDE: Final = 320


def _half_band() -> NDArray[np.float32]:
    """Windowed sinc at a quarter of the wide rate: 47 dB down at 5.2 kHz; 0.9 ms of delay."""
    offset = np.arange(_TAPS) - _CENTRE
    taps = np.sinc(offset / 2) / 2 * np.kaiser(_TAPS, 5.0)
    taps[_CENTRE] = 0.5
    sides = np.arange(0, _TAPS, 2)
    taps[sides] *= 0.5 / taps[sides].sum()
    return taps.astype(np.float32)


_H: Final = _half_band()
_PAIRS: Final = _H[: _CENTRE + 1 : 2].copy()
"""Of each two taps as far from the centre, one; the rest but the centre are 0."""


class RateConverter:
    """Keeps the last samples of each source, so that frames join without a seam."""

    def __init__(self, rows: int) -> None:
        self._tail = np.zeros((rows, _TAPS - 1), np.float32)

    def clear(self, row: int) -> None:
        self._tail[row] = 0

    def narrow(self, rows: Rows, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """(n, 320) at 16 kHz -> (n, 160) at 8 kHz."""
        converted = np.empty((len(rows), NARROW), np.int16)
        narrow_rows(rows, pcm, _PAIRS, self._tail, converted)
        return converted

    def widen(self, rows: Rows, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """(n, 160) at 8 kHz -> (n, 320) at 16 kHz."""
        converted = np.empty((len(rows), WIDE), np.int16)
        widen_rows(rows, pcm, _PAIRS, self._tail, converted)
        return converted


@compiled()
def _filter(x: Gains, pairs: Gains, y: Gains) -> None:
    """Adds to `y[i]` the pairs of taps over `x[i]` to `x[i + 15]`."""
    far = 2 * len(pairs) - 1
    for j in range(len(pairs)):
        weight, first, second = pairs[j], x[far - j :], x[j:]
        for i in range(len(y)):
            y[i] += weight * (first[i] + second[i])


@compiled()
def _to_int16(y: np.float32) -> np.int16:
    return np.int16(min(max(np.rint(y), np.float32(-32768)), np.float32(32767)))


@compiled("void(i8[::1], Array(i2, 2, 'C', readonly=True), f4[::1], f4[:,::1], i2[:,::1])")
def narrow_rows(rows: Rows, pcm: Samples, pairs: Gains, tails: Gains, converted: Samples) -> None:
    """Row i of `pcm` by way of `tails[rows[i]]`, its last samples before, into row i of `converted`."""
    past = len(pairs) * 2 - 1
    evens, odds = np.empty(past + NARROW, np.float32), np.empty(past + NARROW, np.float32)
    y = np.empty(NARROW, np.float32)
    for n in range(len(rows)):
        frame, tail, to = pcm[n], tails[rows[n]], converted[n]
        for i in range(past):
            evens[i], odds[i] = tail[2 * i], tail[2 * i + 1]
            tail[2 * i] = frame[WIDE - 2 * past + 2 * i]
            tail[2 * i + 1] = frame[WIDE - 2 * past + 2 * i + 1]
        for i in range(NARROW):
            evens[past + i], odds[past + i] = frame[2 * i], frame[2 * i + 1]
        for i in range(NARROW):
            y[i] = np.float32(0.5) * odds[past // 2 + i]
        _filter(evens, pairs, y)
        for i in range(NARROW):
            to[i] = _to_int16(y[i])


@compiled("void(i8[::1], Array(i2, 2, 'C', readonly=True), f4[::1], f4[:,::1], i2[:,::1])")
def widen_rows(rows: Rows, pcm: Samples, pairs: Gains, tails: Gains, converted: Samples) -> None:
    """Row i of `pcm` by way of the beginning of `tails[rows[i]]` into row i of `converted`."""
    past = len(pairs) * 2 - 1
    x, y = np.empty(past + NARROW, np.float32), np.empty(NARROW, np.float32)
    doubled = np.float32(2) * pairs
    for n in range(len(rows)):
        frame, tail, to = pcm[n], tails[rows[n]], converted[n]
        for i in range(past):
            x[i] = tail[i]
            tail[i] = frame[NARROW - past + i]
        for i in range(NARROW):
            x[past + i] = frame[i]
        y[:] = 0
        _filter(x, doubled, y)
        for i in range(NARROW):
            to[2 * i] = _to_int16(y[i])
            to[2 * i + 1] = _to_int16(x[past // 2 + 1 + i])
