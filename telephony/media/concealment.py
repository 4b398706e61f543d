"""Packet loss concealment for decoded PCM: the last pitch period repeated, faded out within 60 ms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media.stream_loops import conceal_frame

Samples = NDArray[np.int16]


def conceal(before: Samples, frame_samples: int, run: int) -> Samples:
    """The `run`-th missing frame (0 = first) after `before`, the last 40 ms that were received."""
    frame = np.empty(frame_samples, np.int16)
    conceal_frame(before, run, frame)
    return frame


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
