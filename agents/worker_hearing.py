"""One leg's audio in the worker: gated to the recogniser, and judged when speech begins over the agent's voice."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.speech.confirm import is_voiced_speech, level_dbfs
from agents.speech.ports import Grammar, SttSession

PRE_ROLL_FRAMES: Final = 20
"""The recogniser hears 400 ms from before the onset: a word has begun when it is noticed."""
HANG_OVER_FRAMES: Final = 60
JUDGED_FRAMES: Final = 15
"""300 ms: what is no speech by then is none."""
QUIET_DBFS: Final = -60.0
HUM_SHARE: Final = 0.01
"""Share of energy above 1 kHz below which a sound is a hum: "mm-hm", not words."""
HUM_DECIDED_FRAMES: Final = 9
"""A word may begin as a hum ("no", "one"): for so long it may still become speech."""

Frame = NDArray[np.int16]


class Gate:
    """Lets speech through to the recogniser, with what came just before; it need not decode silence."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=PRE_ROLL_FRAMES)
        self._unheard = 0
        self._open_for = 0
        self._seq = 0
        self._number: int | None = None
        self.session: SttSession | None = None
        self._wanted: tuple[int, Grammar] | None = None

    def expect(self, turn: int, grammar: Grammar) -> None:
        """A new turn; the pre-roll is heard again, for the turn may have begun before it was asked for."""
        self._wanted = (turn, grammar)
        self._open_for = 0
        self._unheard = len(self._recent)
        if self.session is not None:
            self.session.expect(turn, grammar)

    def connect(self, session: SttSession) -> None:
        """The recogniser is there."""
        self.session = session
        if self._wanted is not None:
            session.expect(*self._wanted)

    def frame(self, number: int, pcm: bytes, *, speech: bool) -> None:
        self._recent.append((number, pcm))
        self._unheard = min(self._unheard + 1, PRE_ROLL_FRAMES)
        if speech:
            self._open_for = HANG_OVER_FRAMES
        if self._open_for:
            self._open_for -= 1
            self._pass_on()

    def finish(self) -> bool:
        """The turn is over. False if there is no recogniser to ask."""
        self._open_for = 0
        self._recent.clear()
        self._unheard = 0
        if self.session is None:
            return False
        self.session.finish()
        return True

    def _pass_on(self) -> None:
        unheard = list(self._recent)[len(self._recent) - self._unheard :]
        self._unheard = 0
        for number, pcm in unheard:
            lost = 0 if self._number is None else number - self._number - 1
            self._seq += 1 + (lost if 0 < lost < PRE_ROLL_FRAMES else 0)
            self._number = number
            if self.session is not None:
                self.session.feed(self._seq, pcm)


class Judgement:
    """Whether an onset is speech: frames go in, one verdict comes out per onset, or "hum" and then "speech"."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frames: deque[Frame] = deque(maxlen=JUDGED_FRAMES + 5)
        self._speech: deque[bool] = deque(maxlen=JUDGED_FRAMES + 5)
        self._floor_dbfs = QUIET_DBFS
        self._onset: int | None = None
        self._seen = 0
        self._told_hum = False

    def begin(self, onset: int) -> None:
        self._onset = onset
        self._seen = 0
        self._told_hum = False

    def frame(self, frame: Frame, *, speech: bool) -> tuple[int, str] | None:
        """(onset, verdict) once it is clear."""
        self._frames.append(frame)
        self._speech.append(speech)
        if not speech:
            self._floor_dbfs += 0.02 * (level_dbfs(frame) - self._floor_dbfs)
        if self._onset is None:
            return None
        self._seen += 1
        onset, verdict = self._onset, self._verdict()
        over = verdict != "hum" or self._seen >= HUM_DECIDED_FRAMES
        if over and verdict:
            self._onset = None
        if not verdict or (verdict == "hum" and self._told_hum):
            return None
        self._told_hum = verdict == "hum"
        return onset, verdict

    def _verdict(self) -> str:
        frames, speech = list(self._frames)[-5:], list(self._speech)[-5:]
        if is_voiced_speech(frames, speech, max(self._floor_dbfs, QUIET_DBFS), self._rate_hz):
            return "hum" if self._hums(frames[-4:]) else "speech"
        return "noise" if self._seen >= JUDGED_FRAMES else ""

    def _hums(self, frames: list[Frame]) -> bool:
        sound = np.concatenate(frames).astype(np.float64)
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        high = round(1000 * len(sound) / self._rate_hz)
        return bool(power[high:].sum() < HUM_SHARE * power.sum())
