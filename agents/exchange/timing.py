"""Where the time of an answer went."""

from __future__ import annotations

from dataclasses import dataclass

from agents.exchange.answer import Answer
from telephony.call.events import TurnTimed
from telephony.call.ids import TurnId


@dataclass(frozen=True, slots=True)
class Timing:
    """When what of a turn was reached, in seconds of the call."""

    turn: TurnId
    last_voiced_s: float
    endpoint_s: float
    final_s: float

    def fact(self, answer: Answer, first_sample_s: float) -> TurnTimed:
        """The turn's figures, once its answer is being heard."""
        return TurnTimed(
            turn=self.turn,
            endpoint_ms=self._after(self.endpoint_s) or 0.0,
            stt_final_ms=self._after(self.final_s),
            first_sentence_ms=self._after(answer.sentence_s),
            first_audio_ms=self._after(answer.audio_s),
            first_packet_ms=self._after(first_sample_s),
        )

    def _after(self, at_s: float | None) -> float | None:
        return None if at_s is None else round((at_s - self.last_voiced_s) * 1000, 1)
