"""The play path: one frame per 20 ms out of each jitter buffer and each voice, onto the floor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.comfort import ComfortNoise
from telephony.media.mixer import Floor
from telephony.media.notices import Notice
from telephony.media.playout import Voices
from telephony.media.resample import WIDE
from telephony.media.stream_loops import put_frames
from telephony.rtp.jitter_buffer import JitterBuffers

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
        wide = buffers.pcm.shape[2] == WIDE
        self._table = floor.wide_frames if wide else floor.narrow_frames
        self._wanted = floor.wanted_at[0 if wide else 1]
        self._noisy = np.zeros(len(buffers.begun), np.int64)
        self._crossing = np.zeros(len(buffers.begun), np.int64)
        self._run = np.zeros(len(buffers.begun), np.int64)
        self.concealed = np.zeros(len(buffers.begun), np.int64)

    def play(self, rows: Rows, speech: NDArray[np.bool_], *, adapt: bool) -> None:
        """The next frame of `rows` (all begun); `speech` tells of which sources none may be dropped lightly."""
        buffers = self._buffers
        frames, have = buffers.advance(rows)
        if np.count_nonzero(have) == len(rows):
            self._run[rows] = 0
        else:
            self._note_missing(rows, frames, have)
        self._put(rows, frames, have)
        if adapt:
            buffers.adapt(rows, ~speech[rows + self._first])

    def _note_missing(self, rows: Rows, frames: Rows, have: NDArray[np.bool_]) -> None:
        self._run[rows] = np.where(have, 0, self._run[rows] + 1)
        missing = ~have & (frames >= self._buffers.first[rows])
        if self._noise.used:
            missing &= ~self._noise.covers(rows, frames)
        self.concealed[rows[missing]] += 1

    def _put(self, rows: Rows, frames: Rows, have: NDArray[np.bool_]) -> None:
        buffers, noise = self._buffers, self._noise
        noises, crossings = put_frames(
            rows, frames, have, self._first, self._floor.heard_by_any, self._wanted, self._run,
            buffers.pcm, buffers.tag, buffers.first, noise.begins, noise.ends, self._table,
            self._noisy, self._crossing,
        )  # fmt: skip
        for row in self._noisy[:noises].tolist() if noises else ():
            self._table[self._first + row] = noise.frame(row, buffers.pcm.shape[2])
        if crossings:
            self._floor.convert(self._crossing[:crossings])


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
