"""Voices: queues of speech, read one frame per 20 ms, and what of each utterance was sent.

All voices are rows of arrays. A voice's next second lies in its row of the stage; Python looks at a voice only each
200 ms, to tell how far it is, and when its stage is used up or an utterance ends there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.handles import VoiceHandle
from telephony.media.mixer import Floor
from telephony.media.notices import Notice, PlayoutProgress, PlayoutRefused, PlayoutState
from telephony.media.voice_loops import play_voices

Rows = NDArray[np.int64]

STAGE_FRAMES: Final = 50
TOLD_EVERY_FRAMES: Final = 10
MAX_QUEUED_SECONDS: Final = 30
DUCK_GAIN: Final = 10 ** (-15 / 20)
_DONE: Final = PlayoutState.DONE
_PLAYING: Final = PlayoutState.PLAYING
_CLOSED_KEPT: Final = 64
_MAX_FRAME: Final = 320


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
    tell_at: int = 0
    room: int = 0


class Voices:
    """`rows` playout queues; positions are samples at the voice's rate since it was added."""

    def __init__(self, rows: int) -> None:
        self.active = np.zeros(rows, np.bool_)
        self.talking = np.zeros(rows, np.bool_)
        self.paused = np.zeros(rows, np.bool_)
        self.samples = np.zeros(rows, np.int64)
        self.last_sound = np.full(rows, -np.inf)
        self._stage = np.zeros((rows, STAGE_FRAMES * _MAX_FRAME), np.int16)
        self._staged = np.zeros(rows, np.int64)
        self._at = np.zeros(rows, np.int64)
        self._mark = np.zeros(rows, np.int64)
        self._sent = np.zeros(rows, np.int64)
        self._gain = np.ones(rows, np.float32)
        self._goal = np.ones(rows, np.float32)
        self._fading = np.zeros(rows, np.bool_)
        self._shaped = np.zeros(rows, np.bool_)
        self._sounding = np.zeros(rows, np.bool_)
        self._due = np.zeros((rows, 4), np.int64)
        self._silent = np.zeros(rows, np.int64)
        self._crossing = np.zeros(rows, np.int64)
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
        self._shaped[row] = self._sounding[row] = False
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
        notices: list[Notice] = []
        if last and not self.talking[row]:
            _report(voice, self._sent.item(row), now, notices)
        return notices

    def hush(self, row: int) -> None:
        """Nothing that it said last is on the floor any more."""
        self._sounding[row] = False

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

    def play(
        self, quarters: Rows, quarter: int, floor: Floor, first_source: int, now: float
    ) -> list[Notice]:
        """The next frame of each voice whose of `quarters` it is, onto the floor; row 0 is source `first_source`."""
        due, silent, crossing, _ = play_voices(
            quarter, now, first_source, quarters, self._sounding, self.talking, self.paused,
            self._fading, self._shaped, self.samples, self._at, self._staged, self._mark,
            self._sent, self._gain, self._goal, self.last_sound, self._stage,
            floor.narrow_frames, floor.wide_frames, floor.wanted_at, self._due, self._silent,
            self._crossing,
        )  # fmt: skip
        if crossing:
            floor.convert(self._crossing[:crossing])
        for row in self._silent[:silent].tolist():
            self._sounding[row] = False
            floor.hush(first_source + row)
        notices: list[Notice] = []
        # A paused voice stands before its mark: what it has staged ends behind it.
        for row, at, staged, sent in self._due[:due].tolist() if due else ():
            voice = self._voice(row)
            if sent >= voice.tell_at:
                voice.tell_at = sent + TOLD_EVERY_FRAMES * voice.rate_hz // 50
            if at >= staged:
                self._fill(row, voice)
            else:
                self._mark[row] = _next_mark(voice, at, staged, sent)
            _report(voice, sent, now, notices)
        return notices

    def _fill(self, row: int, voice: _Voice) -> None:
        """Tops the stage up to a second; the tail of a last, partial frame is silence."""
        size = voice.rate_hz // 50
        at, staged, sent = self._at.item(row), self._staged.item(row), self._sent.item(row)
        if at >= staged:
            at = staged = 0
            voice.room = STAGE_FRAMES * size
            if not self.talking[row]:
                # By its row, so that those who begin together are not filled, or told, together.
                voice.room -= row % (STAGE_FRAMES - TOLD_EVERY_FRAMES) * size
                voice.tell_at = sent + (TOLD_EVERY_FRAMES - row % TOLD_EVERY_FRAMES) * size
        stage, chunks, room = self._stage[row], voice.chunks, voice.room
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
        self._mark[row] = _next_mark(voice, at, staged, sent)

    def _voice(self, row: int) -> _Voice:
        voice = self._voices[row]
        assert voice is not None, "a handle without its voice"  # noqa: S101 - generations rule it out
        return voice


# Both are called 40 times in a sub-tick of 1,500 calls: built-in functions such as min() would be half of their time.


def _next_mark(voice: _Voice, at: int, staged: int, sent: int) -> int:
    """Where Python must look at the voice again: when it is to tell, at an utterance's end or the stage's."""
    mark = at + voice.tell_at - sent
    if mark > staged:
        mark = staged
    if not voice.utterances or not voice.utterances[0].closed:
        return mark
    last = mark + sent - at
    for utterance in voice.utterances:
        if utterance.end >= last:
            break
        if utterance.closed and utterance.end > sent:
            return utterance.end - sent + at
    return mark


def _report(voice: _Voice, sent: int, now: float, notices: list[Notice]) -> None:
    utterances = voice.utterances
    while utterances:
        head = utterances[0]
        unfinished = sent < head.end
        heard = (sent if unfinished else head.end) - head.start
        done = head.closed and not unfinished
        if done or (heard > 0 and heard != head.reported):
            state = _DONE if done else _PLAYING
            notices.append(PlayoutProgress(voice.handle, head.name, heard, state, now))
            head.reported = heard
        if not done:
            return
        utterances.popleft()
