"""A turn that was taken for over and is not: the caller goes on before the agent has been heard."""

from __future__ import annotations

from typing import Final

from agents.exchange.reply import Reply
from agents.exchange.voice import Voice
from telephony.call.events import CallEvent, SlotFilled, StepEntered
from telephony.call.ports import CallAccess
from telephony.call.state import Conversation

BECAUSE: Final = "reopened"
LONGEST_S: Final = 4.0
"""An answer that was not heard by then never will be: what the caller says now is a turn of its own."""


class Reopening:
    """Remembers the last turn and what was known before its answer, until the answer is being heard."""

    def __init__(self, call: CallAccess, voice: Voice, reply: Reply) -> None:
        self._call = call
        self._voice = voice
        self._reply = reply
        self._text = ""
        self._before: Conversation | None = None

    def turn_over(self, text: str) -> None:
        """Called before the turn's answer takes effect."""
        self._text = text
        self._before = self._call.state.conversation

    def take_back(self) -> str | None:
        """What was said so far, its answer undone; None if the turn is over for good.

        An answer that is being heard, or has called a person, is not taken back.
        """
        before, answer = self._before, self._reply.answer
        self._before = None
        if before is None or answer is None or answer.cause != "speech" or answer.ending:
            return None
        if self._call.now_s() - answer.asked_s > LONGEST_S:
            return None
        nothing_to_say = answer.complete and not answer.utterances
        if not answer.committed or nothing_to_say or self._voice.first_sample_s is not None:
            return None
        self._reply.drop()
        self._voice.flush()
        self._restore(before)
        return self._text

    def _restore(self, before: Conversation) -> None:
        now = self._call.state.conversation
        names = {*before.slots, *now.slots}
        changed = [n for n in sorted(names) if now.slots.get(n) != before.slots.get(n)]
        facts: list[CallEvent] = [SlotFilled(name=n, value=before.slots.get(n)) for n in changed]
        if before.step and now.step != before.step:
            facts.append(StepEntered(step=before.step, previous=now.step, because=BECAUSE))
        if facts:
            self._call.report(*facts)
