"""Packets of other lengths than 20 ms, cut anew into 20 ms frames by their timestamps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Recutter:
    """One stream's partly filled frame. A hole in the stream is filled with silence up to the packet after it."""

    def __init__(self, frame_samples: int) -> None:
        self._frame_samples = frame_samples
        self._frame = 0
        self._partial: Samples = np.zeros(0, np.int16)

    def add(self, offset: int, samples: Samples) -> list[tuple[int, Samples]]:
        """`offset` counts samples from the start of frame 0; returns (frame number, samples) of full frames."""
        size = self._frame_samples
        if len(samples) == size and offset == self._frame * size and not len(self._partial):
            self._frame += 1
            return [(self._frame - 1, samples)]
        if offset != self._frame * size + len(self._partial):
            self._frame = offset // size
            self._partial = np.zeros(offset % size, np.int16)
        joined = np.concatenate((self._partial, samples))
        count = len(joined) // size
        first = self._frame
        self._frame += count
        self._partial = joined[count * size :]
        return [(first + i, joined[i * size : (i + 1) * size]) for i in range(count)]
