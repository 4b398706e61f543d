"""A caller who waits until the agent has finished, speaks the next recorded turn, and notes when the answer came.

No I/O and no clock: `next_frame(now)` each 20 ms, `heard(...)` per packet. Voice-to-voice is measured at the receiver:
from the sending of the packet with the last voiced sample to the first agent packet that is not silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from voiceapp.try_call.audio import LOUD, Recording, Samples, Speech

QUIET_S: Final = 1.0
"""Silence of the agent after which it counts as finished: longer than its pauses between clauses."""
PATIENCE_S: Final = 15.0
ANSWER_S: Final = 10.0


class Stage(StrEnum):
    """What the caller does."""

    LISTENING = "listening"
    SPEAKING = "speaking"
    DONE = "done"


@dataclass(slots=True)
class Measured:
    """Figures of one call. `voice_to_voice_ms` has one entry per turn, None where no answer came."""

    first_audio_ms: float | None = None
    voice_to_voice_ms: list[float | None] = field(default_factory=list)
    packets: int = 0
    longest_gap_ms: float = 0.0


class Caller:
    """One caller with turns to speak. `recording` holds what was heard."""

    def __init__(self, turns: Sequence[Speech], rate_hz: int, *, quiet_s: float = QUIET_S) -> None:
        self.measured = Measured()
        self.recording = Recording(rate_hz)
        self.stage = Stage.LISTENING
        self._turns = list(turns)
        self._quiet_s = quiet_s
        self._silence = np.zeros(rate_hz // 50, np.int16)
        self._turn = 0
        self._frame = 0
        self._connected_at: float | None = None
        self._since = 0.0
        self._spoke_at: float | None = None
        self._awaiting_since: float | None = None
        self._packet_at: float | None = None

    def connected(self, now: float) -> None:
        """The line is up; times count from here."""
        self._connected_at = self._since = now

    # ------------------------------------------------------------------------------- ears

    def heard(self, timestamp: int, pcm: Samples, now: float) -> None:
        """A received packet, decoded; `timestamp` in samples of the line's rate."""
        self.recording.add(timestamp, pcm)
        self.measured.packets += 1
        if self._packet_at is not None:
            gap_ms = (now - self._packet_at) * 1000
            self.measured.longest_gap_ms = max(self.measured.longest_gap_ms, gap_ms)
        self._packet_at = now
        if len(pcm) and int(np.abs(pcm.astype(np.int32)).max()) > LOUD:
            self._heard_sound(now)

    def _heard_sound(self, now: float) -> None:
        self._spoke_at = now
        if self.measured.first_audio_ms is None and self._connected_at is not None:
            self.measured.first_audio_ms = (now - self._connected_at) * 1000
        if self._awaiting_since is not None:
            self.measured.voice_to_voice_ms.append((now - self._awaiting_since) * 1000)
            self._awaiting_since = None

    # ------------------------------------------------------------------------------- voice

    def next_frame(self, now: float) -> Samples:
        """The 20 ms to send now."""
        if self.stage is Stage.LISTENING and self._may_go_on(now):
            self._go_on(now)
        if self.stage is not Stage.SPEAKING:
            return self._silence
        turn = self._turns[self._turn]
        frame: Samples = turn.frames[self._frame]
        if self._frame == turn.last_voiced:
            self._awaiting_since = now
        self._frame += 1
        if self._frame == len(turn.frames):
            self.stage, self._since = Stage.LISTENING, now
            self._turn += 1
            self._frame = 0
        return frame

    def _may_go_on(self, now: float) -> bool:
        if self._awaiting_since is not None:
            return now - self._awaiting_since > ANSWER_S
        if self._spoke_at is None or self._spoke_at < self._since - self._quiet_s:
            return now - self._since > PATIENCE_S
        return now - self._spoke_at > self._quiet_s

    def _go_on(self, now: float) -> None:
        if self._awaiting_since is not None:
            self.measured.voice_to_voice_ms.append(None)
            self._awaiting_since = None
        if self._turn < len(self._turns):
            self.stage, self._since = Stage.SPEAKING, now
        else:
            self.stage = Stage.DONE
