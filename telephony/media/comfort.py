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
    """`rows` streams. From `first_frame[row]` on, frames that are missing are noise and no loss."""

    def __init__(self, rows: int) -> None:
        self.first_frame = np.full(rows, _NEVER, np.int64)
        self._rms = np.zeros(rows, np.float32)
        self._at = 0

    def begin(self, row: int, frame: int, payload: bytes) -> None:
        """A packet of comfort noise: its first octet is the level in -dBov (RFC 3389 3.1)."""
        level = payload[0] & _LEVEL if payload else _LEVEL
        self._rms[row] = _OVERLOAD * 10 ** (-level / 20)
        self.first_frame[row] = min(frame, int(self.first_frame[row]))

    def end(self, row: int) -> None:
        """Audio is back."""
        self.first_frame[row] = _NEVER

    def frame(self, row: int, samples: int) -> NDArray[np.int16]:
        """20 ms of it."""
        self._at = (self._at + 7919) % (len(_NOISE) - samples)
        noise = _NOISE[self._at : self._at + samples] * self._rms[row]
        pcm: NDArray[np.int16] = np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
        return pcm
