"""Comfort noise (RFC 3389): while a sender is silent on purpose, its room is heard at the level it told."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_NEVER: Final = 1 << 60
_OVERLOAD: Final = 32768.0
_LEVEL: Final = 0x7F
_NOISE: Final = np.random.default_rng(3389).normal(0, 1, 1 << 14).astype(np.float32)
"""White: the spectrum that may follow the level is not used."""


class ComfortNoise:
    """`rows` streams. Frames from `begins` to before `ends` that are missing are noise, and no loss."""

    def __init__(self, rows: int) -> None:
        self.begins = np.full(rows, _NEVER, np.int64)
        self.ends = np.full(rows, _NEVER, np.int64)
        self._rms = np.zeros(rows, np.float32)
        self._at = 0
        self.used: set[int] = set()
        """Rows that have known of some; empty in most nodes, and then nothing else need be asked."""

    def begin(self, row: int, frame: int, payload: bytes) -> None:
        """A packet of comfort noise: its first octet is the level in -dBov (RFC 3389 3.1)."""
        self.used.add(row)
        level = payload[0] & _LEVEL if payload else _LEVEL
        self._rms[row] = _OVERLOAD * 10 ** (-level / 20)
        if not self.goes_on(row):
            self.begins[row], self.ends[row] = frame, _NEVER

    def end(self, row: int, frame: int) -> None:
        """Audio is back with this frame."""
        if self.begins[row] <= frame < self.ends[row]:
            self.ends[row] = frame

    def clear(self, row: int) -> None:
        """A stream that knows of none."""
        self.used.discard(row)
        self.begins[row] = self.ends[row] = _NEVER

    def goes_on(self, row: int) -> bool:
        """The sender is silent on purpose."""
        return bool(self.begins[row] < _NEVER and self.ends[row] == _NEVER)

    def covers(self, rows: NDArray[np.int64], frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these frames are noise if they are missing."""
        return (frames >= self.begins[rows]) & (frames < self.ends[rows])

    def frame(self, row: int, samples: int) -> NDArray[np.int16]:
        """20 ms of it."""
        self._at = (self._at + 7919) % (len(_NOISE) - samples)
        noise = _NOISE[self._at : self._at + samples] * self._rms[row]
        pcm: NDArray[np.int16] = np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
        return pcm
