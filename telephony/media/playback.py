"""The play path: one frame per 20 ms out of each jitter buffer and each voice, onto the floor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.comfort import ComfortNoise
from telephony.media.concealment import conceal
from telephony.media.mixer import Floor
from telephony.media.notices import Notice
from telephony.media.playout import Voices
from telephony.rtp.jitter_buffer import RING, JitterBuffers

Rows = NDArray[np.int64]

_NOBODY: Final = -1


class StreamPlayback:
    """Received audio of the slots of one table; its row 0 is source `first_source`."""

    def __init__(
        self, buffers: JitterBuffers, floor: Floor, first_source: int, noise: ComfortNoise
    ) -> None:
        self._buffers = buffers
        self._noise = noise
        self._floor = floor
        self._first = first_source
        self._run = np.zeros(len(buffers.begun), np.int64)
        self._steps = 0
        self.concealed = np.zeros(len(buffers.begun), np.int64)

    def play(self, rows: Rows, speech: NDArray[np.bool_], *, adapt: bool) -> None:
        """The next frame of `rows` (all begun); `speech` tells where a frame may not be dropped lightly."""
        buffers = self._buffers
        frames, have = buffers.advance(rows)
        if np.count_nonzero(have) == len(rows):
            self._run[rows] = 0
        else:
            self._note_missing(rows, frames, have)
        wanted = self._floor.wanted(rows + self._first)
        if np.count_nonzero(wanted):
            self._put(rows[wanted], frames[wanted], have[wanted])
        if adapt:
            buffers.adapt(rows, ~speech)

    def _note_missing(self, rows: Rows, frames: Rows, have: NDArray[np.bool_]) -> None:
        self._run[rows] = np.where(have, 0, self._run[rows] + 1)
        missing = ~have & (frames >= self._buffers.first[rows])
        if self._noise.used:
            missing &= ~self._noise.covers(rows, frames)
        self.concealed[rows[missing]] += 1

    def _put(self, rows: Rows, frames: Rows, have: NDArray[np.bool_]) -> None:
        pcm = self._buffers.pcm[rows, frames & (RING - 1)]
        for at in (~have).nonzero()[0].tolist():
            pcm[at] = self._concealed(int(rows[at]), int(frames[at]))
        self._floor.put(rows + self._first, pcm)

    def _concealed(self, row: int, frame: int) -> NDArray[np.int16]:
        buffers = self._buffers
        run = int(self._run[row]) - 1
        last = frame - 1 - run
        size = buffers.pcm.shape[2]
        if row in self._noise.used and self._noise.covers(np.array([row]), np.array([frame]))[0]:
            return self._noise.frame(row, size)
        if last < buffers.first[row] or buffers.tag[row, last & (RING - 1)] != last:
            return np.zeros(size, np.int16)
        before = buffers.pcm[row, [(last - 1) & (RING - 1), last & (RING - 1)]].ravel()
        return conceal(before, size, run)


class VoicePlayback:
    """All voices; row 0 is source `first_source`. A voice plays in the sub-tick of the slot it was first routed to."""

    def __init__(self, voices: Voices, floor: Floor, first_source: int) -> None:
        self._voices = voices
        self._floor = floor
        self._first = first_source
        self.quarter = np.zeros(len(voices.active), np.int64)
        self._leader = np.full(len(voices.active), _NOBODY, np.int64)

    def play(self, quarter: int, now: float) -> list[Notice]:
        return self._voices.play(self.quarter, quarter, self._floor, self._first, now)

    def forget(self, row: int) -> None:
        """The voice is gone; the next in its row finds its own sub-tick."""
        self._leader[row] = _NOBODY
        self.hush(row)

    def lead(self, row: int, destination: int, quarter: int) -> None:
        """The voice speaks just before `destination` sends, unless another slot has led it so far."""
        if self._leader[row] in (destination, _NOBODY):
            self._leader[row], self.quarter[row] = destination, quarter

    def hush(self, row: int) -> None:
        """Nothing of what the voice said last is sent any more."""
        self._voices.hush(row)
        self._floor.hush(row + self._first)
