"""Who answered a call that we placed: a person greets in a few words and waits, a machine reads out a text.

Goes by the voice activity of the called side alone. It says what it takes the answerer for; what follows is the agent's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from telephony.call.commands import CallCommand, Report
from telephony.call.events import LegConnected, Recorded
from telephony.call.ids import CALLER
from telephony.call.ports import MediaFact, SpeechBegan, SpeechPaused
from telephony.call.state import CallState
from telephony.call.transfer_events import Answerer, AnswererJudged

LONG_S: Final = 5.0
"""Nobody greets for so long in one breath."""
PAUSE_S: Final = 0.8
"""Who stops for so long waits for an answer."""
SHORT_S: Final = 3.0
"""A greeting up to this length is a person's; one between both may be either's, and nothing is said of it."""


class Call(Protocol):
    """`telephony.call.session.CallSession`."""

    def post(self, command: CallCommand) -> None: ...
    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None: ...


class GreetingWatch:
    """Of one call, a `CallParticipant` beside its agent."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._listening = False
        self._began_s: float | None = None

    def on_event(self, record: Recorded, state: CallState) -> None:
        event = record.event
        if isinstance(event, LegConnected) and event.leg == CALLER and not event.resumed:
            self._listening = state.answerer == ""

    def on_media(self, fact: MediaFact) -> None:
        if not self._listening:
            return
        if isinstance(fact, SpeechBegan) and fact.leg == CALLER:
            self._began(fact)
        elif isinstance(fact, SpeechPaused) and fact.leg == CALLER and self._began_s is not None:
            spoken_s = fact.last_voiced_s - self._began_s
            self._call.set_timer("greeting", PAUSE_S, lambda: self._waits(spoken_s))

    async def close(self) -> None:
        self._listening = False

    def _began(self, fact: SpeechBegan) -> None:
        if self._began_s is None:
            self._began_s = fact.voiced_s
        left_s = LONG_S - (fact.at_s - self._began_s)
        self._call.set_timer("greeting", max(0.0, left_s), self._talks_on)

    def _talks_on(self) -> None:
        self._judge("machine", f"it spoke for {LONG_S:.0f} s without a pause")

    def _waits(self, spoken_s: float) -> None:
        if spoken_s <= SHORT_S:
            self._judge("person", "a short greeting, then a pause")
        self._listening = False

    def _judge(self, answerer: Answerer, because: str) -> None:
        self._listening = False
        judged = AnswererJudged(leg=CALLER, answerer=answerer, because=because)
        self._call.post(Report(actor="gateway", events=(judged,)))
