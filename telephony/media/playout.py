"""Voices: queues of speech, read one frame per 20 ms, and what of each utterance was sent.

All voices are rows of arrays. A voice's next 200 ms lie in its row of the stage; Python looks at a voice only when
its stage is used up or an utterance ends there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.handles import VoiceHandle
from telephony.media.notices import Notice, PlayoutProgress, PlayoutRefused, PlayoutState

Rows = NDArray[np.int64]

STAGE_FRAMES: Final = 10
MAX_QUEUED_SECONDS: Final = 30
DUCK_GAIN: Final = 10 ** (-15 / 20)
_CLOSED_KEPT: Final = 64
_MAX_FRAME: Final = 320
_RAMPS: Final = {
    size: np.minimum(np.arange(1, size + 1, dtype=np.float32) * (2 / size), 1.0)
    for size in (160, _MAX_FRAME)
}
"""Over the first 10 ms of a frame, by its samples."""


@dataclass(slots=True)
class _Utterance:
    name: str
    start: int
    end: int
    closed: bool = False
    reported: int = -1


@dataclass(slots=True)
class _Voice:
    handle: VoiceHandle
    rate_hz: int
    chunks: deque[NDArray[np.int16]] = field(default_factory=deque)
    chunk_at: int = 0
    utterances: deque[_Utterance] = field(default_factory=deque)
    closed: deque[str] = field(default_factory=lambda: deque(maxlen=_CLOSED_KEPT))
    enqueued: int = 0
    gain: float = 1.0


class Voices:
    """`rows` playout queues; positions are samples at the voice's rate since it was added."""

    def __init__(self, rows: int) -> None:
        self.active = np.zeros(rows, np.bool_)
        self.talking = np.zeros(rows, np.bool_)
        self.paused = np.zeros(rows, np.bool_)
        self.samples = np.zeros(rows, np.int64)
        # One more than there are voices: the last never sounds, for who has none.
        self.last_sound = np.full(rows + 1, -np.inf)
        self._stage = np.zeros((rows, STAGE_FRAMES * _MAX_FRAME), np.int16)
        self._staged = np.zeros(rows, np.int64)
        self._at = np.zeros(rows, np.int64)
        self._mark = np.zeros(rows, np.int64)
        self._sent = np.zeros(rows, np.int64)
        self._gain = np.ones(rows, np.float32)
        self._goal = np.ones(rows, np.float32)
        self._fading = np.zeros(rows, np.bool_)
        self._shaped = np.zeros(rows, np.bool_)
        self._voices: list[_Voice | None] = [None] * rows
        self.late_chunks = 0

    def add(self, row: int, handle: VoiceHandle, rate_hz: int) -> None:
        """8000 or 16000 Hz."""
        self._voices[row] = _Voice(handle, rate_hz)
        self.active[row] = True
        self.talking[row] = self.paused[row] = self._fading[row] = False
        self.samples[row] = rate_hz // 50
        self._staged[row] = self._at[row] = self._mark[row] = self._sent[row] = 0
        self._gain[row] = self._goal[row] = 1.0
        self._shaped[row] = False
        self.last_sound[row] = -np.inf

    def remove(self, row: int, now: float) -> list[Notice]:
        """The rest is flushed and reported."""
        notices = self.flush(row, now)
        self._voices[row] = None
        self.active[row] = False
        return notices

    def enqueue(self, row: int, utterance: str, pcm: bytes, last: bool, now: float) -> list[Notice]:
        voice = self._voice(row)
        queued = voice.enqueued - int(self._sent[row])
        too_long = queued + len(pcm) // 2 > MAX_QUEUED_SECONDS * voice.rate_hz
        if utterance in voice.closed:
            # On its way when the utterance was flushed: how that ended has been told already.
            self.late_chunks += 1
            return []
        if too_long:
            return [PlayoutRefused(voice.handle, utterance, now)]
        if not voice.utterances or voice.utterances[-1].name != utterance:
            voice.utterances.append(_Utterance(utterance, voice.enqueued, voice.enqueued))
        current = voice.utterances[-1]
        if pcm:
            voice.chunks.append(np.frombuffer(pcm, "<i2"))
            voice.enqueued += len(pcm) // 2
            current.end = voice.enqueued
        if last:
            current.closed = True
            voice.closed.append(utterance)
        self._fill(row, voice)
        return self._report(row, voice, now) if last and not self.talking[row] else []

    def flush(self, row: int, now: float) -> list[Notice]:
        """All that is queued is gone; ends a duck or pause. Each utterance is reported where it was cut."""
        voice = self._voice(row)
        sent = int(self._sent[row])
        notices: list[Notice] = []
        for utterance in voice.utterances:
            heard = max(0, sent - utterance.start)
            state = PlayoutState.FLUSHED
            notices.append(PlayoutProgress(voice.handle, utterance.name, heard, state, now))
            voice.closed.append(utterance.name)
        voice.utterances.clear()
        voice.chunks.clear()
        voice.chunk_at = 0
        voice.enqueued = sent
        self._staged[row] = self._at[row] = self._mark[row] = 0
        self.talking[row] = self.paused[row] = self._fading[row] = False
        self._gain[row] = self._goal[row] = voice.gain
        self._shaped[row] = voice.gain != 1.0
        return notices

    def duck(self, row: int) -> None:
        self._goal[row] = self._voice(row).gain * DUCK_GAIN
        self._shaped[row] = True

    def pause(self, row: int) -> None:
        if not self.paused[row]:
            self.paused[row] = self._shaped[row] = True
            self._fading[row] = self.talking[row]

    def resume(self, row: int) -> None:
        if self.paused[row]:
            self.paused[row] = self._fading[row] = False
            self._gain[row] = 0.0
        self._goal[row] = self._voice(row).gain
        self._shaped[row] = True

    def set_gain(self, row: int, gain: float) -> None:
        """A duck in force ends."""
        self._voice(row).gain = gain
        self._goal[row] = gain
        self._shaped[row] = True

    def take(self, rows: Rows, now: float) -> tuple[NDArray[np.int16], list[Notice]]:
        """The next frame of talking voices of one rate: ((n, samples) int16, what is to be told)."""
        size = int(self.samples[rows[0]])
        begin = self._at[rows]
        frames = self._stage.reshape(len(self._stage), -1, size)[rows, begin // size]
        left = self._staged[rows] - begin
        end = begin + size
        sounding = rows
        if np.count_nonzero(self._shaped[rows]):
            paused = self.paused[rows]
            end[paused], left[paused] = begin[paused], 0
            sounding = rows[~paused | self._fading[rows]]
            frames = self._shape(rows, frames)
        self._at[rows] = end
        self._sent[rows] += np.minimum(left, size)
        self.last_sound[sounding] = now
        notices: list[Notice] = []
        # A paused voice stands before its mark: what it has staged ends behind it.
        for row in rows[end >= self._mark[rows]].tolist():
            voice = self._voice(row)
            self._fill(row, voice)
            notices += self._report(row, voice, now)
        return frames, notices

    def _shape(self, rows: Rows, frames: NDArray[np.int16]) -> NDArray[np.int16]:
        """Gain, ramped over the first 10 ms; a pause fades what would come next and keeps its position."""
        gain, goal = self._gain[rows], self._goal[rows]
        paused = self.paused[rows]
        gain = np.where(paused & ~self._fading[rows], 0.0, gain)
        goal = np.where(paused, 0.0, goal)
        shaped = ((gain != 1.0) | (goal != 1.0)).nonzero()[0]
        if len(shaped):
            start, change = gain[shaped, None], (goal - gain)[shaped, None]
            if np.count_nonzero(change):
                start = start + change * _RAMPS[frames.shape[1]]
            louder = frames[shaped] * start
            np.rint(louder, out=louder)
            np.maximum(louder, -32768, out=louder)
            frames[shaped] = np.minimum(louder, 32767, out=louder)
        self._fading[rows] = False
        self._gain[rows] = np.where(paused, self._gain[rows], goal)
        self._shaped[rows] = paused | (goal != 1.0)
        return frames

    def _fill(self, row: int, voice: _Voice) -> None:
        """Tops the stage up to 200 ms; the tail of a last, partial frame is silence."""
        size = voice.rate_hz // 50
        at, staged = self._at.item(row), self._staged.item(row)
        if at >= staged:
            at = staged = 0
        stage, chunks = self._stage[row], voice.chunks
        room = STAGE_FRAMES * size
        while chunks and staged < room:
            chunk = chunks[0]
            piece = chunk[voice.chunk_at : voice.chunk_at + room - staged]
            used = len(piece)
            stage[staged : staged + used] = piece
            staged += used
            voice.chunk_at += used
            if voice.chunk_at >= len(chunk):
                chunks.popleft()
                voice.chunk_at = 0
        if staged % size:
            stage[staged : staged + size - staged % size] = 0
        self._at[row], self._staged[row] = at, staged
        self.talking[row] = staged > at
        self._mark[row] = self._next_mark(row, voice, at, staged)

    def _next_mark(self, row: int, voice: _Voice, at: int, staged: int) -> int:
        """Where Python must look at the voice again: the stage's end, or an utterance's before it."""
        head = voice.utterances[0] if voice.utterances else None
        if head is None or not head.closed:
            return staged
        sent = self._sent.item(row)
        for utterance in voice.utterances:
            end = utterance.end - sent + at
            if utterance.closed and at < end < staged:
                return end
            if end >= staged:
                break
        return staged

    def _report(self, row: int, voice: _Voice, now: float) -> list[Notice]:
        sent = self._sent.item(row)
        notices: list[Notice] = []
        while voice.utterances:
            head = voice.utterances[0]
            heard = min(sent, head.end) - head.start
            done = head.closed and sent >= head.end
            if (heard > 0 and heard != head.reported) or done:
                state = PlayoutState.DONE if done else PlayoutState.PLAYING
                notices.append(PlayoutProgress(voice.handle, head.name, heard, state, now))
                head.reported = heard
            if not done:
                break
            voice.utterances.popleft()
        return notices

    def _voice(self, row: int) -> _Voice:
        voice = self._voices[row]
        assert voice is not None, "a handle without its voice"  # noqa: S101 - generations rule it out
        return voice
