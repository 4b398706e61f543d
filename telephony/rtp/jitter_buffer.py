"""Jitter buffers of many streams as arrays: where a frame goes, what is due, how deep to be. No I/O, no clock.

A frame is 20 ms of PCM with a number that grows by one per 20 ms of media time. Two pointers read a stream's ring:
`detect` takes a frame in the moment it arrives and waits at most 20 ms for a missing one; `play` lags by the target
depth and advances by one per call of `advance`, whatever arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.rtp import jitter_loops
from telephony.rtp.jitter_loops import DETECT_WAIT, MAX_TARGET, RING, START_TARGET

__all__ = [
    "DETECT_WAIT",
    "MAX_TARGET",
    "MIN_TARGET",
    "RING",
    "START_TARGET",
    "Due",
    "JitterBuffers",
]

Rows = NDArray[np.int64]

MIN_TARGET: Final = 1
_EMPTY: Final = -(1 << 40)
"""No frame is called so: playout begins before frame 0, with negative numbers."""
_UNSEEN_DEPTH: Final = 1 << 30
_SPEECH_SURPLUS: Final = 3
"""Frames too deep before one is dropped in speech: clock drift, not jitter."""


@dataclass(frozen=True, slots=True)
class Due:
    """Frames for detection: (n,) rows, frame numbers, and how many frames are missing just before each."""

    rows: Rows
    frames: Rows
    missing: Rows


class JitterBuffers:
    """`rows` streams of frames of `frame_samples` int16 samples."""

    def __init__(self, rows: int, frame_samples: int) -> None:
        self.pcm = np.zeros((rows, RING, frame_samples), np.int16)
        self.tag = np.full((rows, RING), _EMPTY, np.int64)
        self.begun = np.zeros(rows, np.bool_)
        # Before its beginning a stream has nothing to detect: `detect` is beyond `top`.
        self.top = np.full(rows, -1, np.int64)
        self.first = np.zeros(rows, np.int64)
        self.play = np.zeros(rows, np.int64)
        self.detect = np.zeros(rows, np.int64)
        self.target = np.full(rows, START_TARGET, np.int64)
        self.min_depth = np.full(rows, _UNSEEN_DEPTH, np.int64)
        self.grown = np.zeros(rows, np.bool_)
        self.missing = np.zeros(rows, np.int64)
        self.waiting_since = np.full(rows, np.inf)
        self.late = np.zeros(rows, np.int64)
        self.early = np.zeros(rows, np.int64)
        self.duplicates = np.zeros(rows, np.int64)
        self.lost = np.zeros(rows, np.int64)
        self.holes = np.zeros(rows, np.int64)
        self._found = tuple(np.zeros(rows, np.int64) for _ in range(3))

    def clear(self, row: int) -> None:
        """Forgets the stream; it begins anew with `begin`."""
        self.tag[row] = _EMPTY
        self.begun[row] = False
        self.detect[row] = self.top[row] + 1
        self.target[row] = START_TARGET
        self.min_depth[row] = _UNSEEN_DEPTH
        for column in (
            self.late, self.early, self.duplicates, self.missing, self.lost, self.holes,
        ):  # fmt: skip
            column[row] = 0
        self.waiting_since[row] = np.inf

    def begin(self, row: int, frame: int, depth: int = 0) -> None:
        """Playout starts `depth` (or the target) frames behind `frame`, which is about to be placed."""
        self.tag[row] = _EMPTY
        self.begun[row] = True
        self.target[row] = max(self.target[row], depth)
        self.top[row] = frame - 1
        self.first[row] = self.detect[row] = frame
        self.play[row] = frame - self.target[row]
        self.min_depth[row] = _UNSEEN_DEPTH
        self.waiting_since[row] = np.inf

    def expect(self, row: int, frame: int) -> None:
        """The sender was silent up to `frame` on purpose: nothing before it is missing."""
        if self.detect[row] > self.top[row] and frame > self.detect[row]:
            self.detect[row] = frame
            self.top[row] = frame - 1

    def place(self, rows: Rows, frames: Rows, pcm: NDArray[np.int16]) -> None:
        """Stores frames (n, frame_samples) of begun streams; a row may occur more than once.

        Late frames move their playout back at once, so that they are still heard.
        """
        jitter_loops.place(
            rows,
            frames,
            pcm,
            self.pcm,
            self.tag,
            self.top,
            self.play,
            self.target,
            self.grown,
            self.early,
            self.late,
            self.duplicates,
        )

    def due(self, now: float) -> Due | None:
        """One frame per stream that has one for detection; call until None."""
        found = jitter_loops.due(
            now,
            self.detect,
            self.top,
            self.tag,
            self.waiting_since,
            self.missing,
            self.lost,
            self.holes,
            *self._found,
        )
        if not found:
            return None
        rows, frames, missing = (column[:found].copy() for column in self._found)
        return Due(rows, frames, missing)

    def advance(self, rows: Rows) -> tuple[Rows, NDArray[np.bool_]]:
        """One playout step of begun streams: (frame numbers, which of them are there)."""
        frames = self.play[rows]
        self.play[rows] = frames + 1
        have = self.tag[rows, frames & (RING - 1)] == frames
        self.min_depth[rows] = np.minimum(self.min_depth[rows], self.top[rows] - frames)
        return frames, have

    def latest(self, row: int) -> NDArray[np.int16] | None:
        """The last 8 frames as one array of samples, if all of them are there."""
        if not self.begun[row]:
            return None
        frames = np.arange(self.top[row] - RING // 2 + 1, self.top[row] + 1)
        where = frames & (RING - 1)
        if (self.tag[row, where] != frames).any():
            return None
        samples: NDArray[np.int16] = self.pcm[row, where].ravel()
        return samples

    def adapt(self, rows: Rows, silent: NDArray[np.bool_]) -> None:
        """Once a second: shrink by one frame in silence if it was deeper than needed; in speech only for drift."""
        spare = self.min_depth[rows]
        seen = spare < _UNSEEN_DEPTH
        calm = seen & ~self.grown[rows]
        shrink = calm & ((silent & (spare > MIN_TARGET)) | (spare > MIN_TARGET + _SPEECH_SURPLUS))
        chosen = rows[shrink]
        self.play[chosen] += 1
        self.target[chosen] = np.maximum(self.target[chosen] - 1, MIN_TARGET)
        self.grown[rows] = False
        self.min_depth[rows] = _UNSEEN_DEPTH
