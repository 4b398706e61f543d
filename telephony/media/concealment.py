"""Packet loss concealment for decoded PCM: the last pitch period repeated, faded out within 60 ms."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

FADE_FRAMES: Final = 3
_HIGHEST_PITCH_HZ: Final = 400
_LOWEST_PITCH_HZ: Final = 80


def conceal(before: Samples, frame_samples: int, run: int) -> Samples:
    """The `run`-th missing frame (0 = first) after `before`, the last 40 ms that were received."""
    if run >= FADE_FRAMES:
        return np.zeros(frame_samples, np.int16)
    period = before[-_pitch(before, frame_samples * 50) :].astype(np.float32)
    at = np.arange(frame_samples) + run * frame_samples
    fade = 1.0 - at / (FADE_FRAMES * frame_samples)
    return np.rint(period[at % len(period)] * fade).astype(np.int16)


class Repetition:
    """Concealment for a codec that has none of its own. `frame_samples` are those of 20 ms."""

    def __init__(self, frame_samples: int) -> None:
        self._samples = frame_samples
        self._last = np.zeros(2 * frame_samples, np.int16)
        self._run = 0

    def heard(self, pcm: Samples) -> None:
        """What was decoded last."""
        size = 2 * self._samples
        kept = pcm[-size:]
        self._last = np.concatenate((self._last[len(kept) :], kept))
        self._run = 0

    def conceal(self) -> Samples:
        """The next missing frame."""
        self._run += 1
        return conceal(self._last, self._samples, self._run - 1)


def _pitch(before: Samples, rate_hz: int) -> int:
    """Lag of the best match of the last 10 ms with what came before it, in samples."""
    signal = before.astype(np.float32)
    window = rate_hz // 100
    lags = np.arange(rate_hz // _HIGHEST_PITCH_HZ, rate_hz // _LOWEST_PITCH_HZ + 1)
    starts = len(signal) - window - lags
    lags, starts = lags[starts >= 0], starts[starts >= 0]
    earlier = np.lib.stride_tricks.sliding_window_view(signal, window)[starts]
    power = np.einsum("ij,ij->i", earlier, earlier)
    score = earlier @ signal[-window:] / np.sqrt(power + 1.0)
    return int(lags[int(np.argmax(score))])
