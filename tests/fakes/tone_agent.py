"""An agent without a brain: answers with a tone, and again each time the caller has finished speaking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from telephony.call.events import LegConnected, Recorded, UtteranceEnded, UtteranceStarted
from telephony.call.ids import CALLER, UtteranceId
from telephony.call.ports import (
    AgentMedia,
    CallAccess,
    DigitPressed,
    MediaFact,
    PlayoutMoved,
    SpeechBegan,
    SpeechPaused,
    VoiceVerb,
)
from telephony.call.state import CallState


def tone(hz: int, seconds: float, rate_hz: int) -> bytes:
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    return (8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes()


class ToneAgent:
    """A participant. `facts` and `records`: all that it was told."""

    def __init__(self, call: CallAccess, media: AgentMedia, definition: Mapping[str, Any]) -> None:
        self.call = call
        self.media = media
        self.facts: list[MediaFact] = []
        self.records: list[Recorded] = []
        self.hz = int(definition.get("hz", 440))
        self.seconds = float(definition.get("seconds", 1.0))
        self._count = 0

    def on_event(self, record: Recorded, state: CallState) -> None:
        self.records.append(record)
        if isinstance(record.event, LegConnected) and record.event.leg == CALLER:
            self.media.listen(CALLER)
            self.speak()

    def on_media(self, fact: MediaFact) -> None:
        self.facts.append(fact)
        if isinstance(fact, SpeechBegan) and fact.ducked:
            self.media.voice(VoiceVerb.RESUME)
        elif isinstance(fact, SpeechPaused) or (
            isinstance(fact, DigitPressed) and fact.digit == "5"
        ):
            self.speak()
        elif isinstance(fact, PlayoutMoved) and (fact.done or fact.flushed):
            self.call.report(
                UtteranceEnded(
                    utterance=fact.utterance,
                    heard="tone",
                    complete=fact.done,
                    end_s=self.call.now_s(),
                )
            )

    def speak(self) -> None:
        self._count += 1
        utterance = UtteranceId(f"0.0.{self._count}")
        started = UtteranceStarted(
            utterance=utterance, turn=None, text="tone", step="tone", start_s=self.call.now_s()
        )
        if self.call.report(started):
            pcm = tone(self.hz, self.seconds, self.media.voice_rate_hz)
            self.media.play(utterance, pcm, last=True)

    async def close(self) -> None:
        return
