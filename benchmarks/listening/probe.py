"""A caller for measuring: asks one question, may speak over the answer, and notes every packet sent and received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from voiceapp.try_call.audio import VOICED_SHARE, Samples, Speech
from voiceapp.try_call.caller import Caller, Stage

INTERRUPT_AFTER_S: Final = 1.2
"""From the answer's first packet: all answers are in the middle of a sentence then, of the fake voice too."""
WATCHED_S: Final = 2.45
"""A cut begins within 2 s and is known 400 ms later."""
NO_ANSWER_S: Final = 4.0
FULL_SCALE: Final = 32768.0


@dataclass(frozen=True, slots=True)
class Packet:
    """A received packet: when it came, its media time in samples, its peak (of 32768) and its RMS in dBFS."""

    at: float
    timestamp: int
    peak: int
    level_dbfs: float


@dataclass(frozen=True, slots=True)
class Task:
    """What one caller does. `loud`: the peak from which a packet is sound on this line."""

    name: str
    question: Speech
    interruption: Speech | None
    rate_hz: int
    loud: float


class Probe(Caller):
    """Hangs up when the answer was watched for long enough."""

    def __init__(self, task: Task) -> None:
        super().__init__([task.question], task.rate_hz)
        self.packets: list[Packet] = []
        self.sent: list[float] = []
        self.connected_at: float | None = None
        self.asked_at: float | None = None
        self.answered_at: float | None = None
        self.interrupted_at: float | None = None
        """When the first voiced packet over the answer was sent; without interruption, when it would have been."""
        self._task = task
        self._spoken = 0

    def connected(self, now: float) -> None:
        super().connected(now)
        self.connected_at = now

    def heard(self, timestamp: int, pcm: Samples, now: float) -> None:
        sound = pcm.astype(np.float64)
        power = float(np.mean(sound**2)) if len(pcm) else 0.0
        peak = int(np.abs(sound).max()) if len(pcm) else 0
        level = 10 * float(np.log10(power / FULL_SCALE**2 + 1e-12))
        self.packets.append(Packet(now, timestamp, peak, level))
        super().heard(timestamp, pcm, now)
        if self.asked_at is not None and self.answered_at is None and peak > self._task.loud:
            self.answered_at = now

    def next_frame(self, now: float) -> Samples:
        self.sent.append(now)
        if self.asked_at is None:
            return self._ask(now)
        frame: Samples = np.zeros(self._task.rate_hz // 50, np.int16)
        if self.answered_at is None:
            if now - self.asked_at > NO_ANSWER_S:
                self.stage = Stage.DONE
        elif now - self.answered_at >= INTERRUPT_AFTER_S:
            frame = self._interrupt(now)
        return frame

    def _ask(self, now: float) -> Samples:
        """The question is over with its last voiced frame; what is left of it is silence."""
        before = self.stage
        frame = super().next_frame(now)
        if self.stage is Stage.LISTENING and before is Stage.SPEAKING:
            self.asked_at = now
        return frame

    def _interrupt(self, now: float) -> Samples:
        if self.interrupted_at is None:
            self.interrupted_at = now
        if now - self.interrupted_at > WATCHED_S:
            self.stage = Stage.DONE
        spoken, at = self._task.interruption, self._spoken
        self._spoken += 1
        if spoken is None or at >= len(spoken.frames):
            return np.zeros(self._task.rate_hz // 50, np.int16)
        frame: Samples = spoken.frames[at]
        return frame


def cut_to_voice(samples: Samples, rate_hz: int) -> Speech:
    """Without what is quieter than -30 dB at either end: the first and the last packet are voiced."""
    loud = np.abs(samples.astype(np.int32))
    voiced = np.flatnonzero(loud > max(1.0, VOICED_SHARE * loud.max()))
    kept = samples[voiced[0] : voiced[-1] + 1]
    size = rate_hz // 50
    frames = np.concatenate([kept, np.zeros(-len(kept) % size, np.int16)]).reshape(-1, size)
    return Speech(frames, len(frames) - 1)
