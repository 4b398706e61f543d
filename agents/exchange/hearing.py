"""All ears of one call: frames to the recogniser, partial words, ends of turns, final words."""

from __future__ import annotations

from typing import Final, Protocol

from agents.brain import Expect, FinalHeard, FinishTurn, ListenTo, PartialHeard, ToWorker, Unlisten
from agents.exchange.ear import Ear, Heard
from agents.turn.endpointing import Completeness
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import AgentMedia, CallAccess
from telephony.call.state import LegPhase

LATE_FINAL_S: Final = 1.0
"""So long after the end of a turn the recogniser may still speak; then the last partial stands.

A partial without its end is answered wrongly, which costs more than to wait: on two cores with a load of five most
finals came later than 0.4 s, and "i would like to book an appointment" was half heard as a wish for a colleague.
"""


LATE_CONFIDENCE: Final = 0.035
"""How sure a partial is that stands for want of final words: enough for a value, not for a wish."""


class Send(Protocol):
    """Where messages to the brain go."""

    def __call__(self, message: ToWorker) -> None: ...


class Hearer(Protocol):
    """Who listens by these ears: the pipeline."""

    def expected(self, leg: LegId) -> str:
        """The step whose answers are expected on the leg; empty: anything."""

    def completeness(self, text: str) -> Completeness: ...

    def partial_heard(self, ear: Ear) -> None: ...

    def begin_ahead(self, ear: Ear, *, now: bool) -> bool:
        """Whether work on the partial is worth beginning; `now`: begin it."""

    def turn_heard(self, heard: Heard) -> None: ...


class Hearing:
    """The legs that are listened to, each with its ear and one timer."""

    def __init__(self, call: CallAccess, media: AgentMedia, hearer: Hearer, send: Send) -> None:
        self._call = call
        self._media = media
        self._hearer = hearer
        self._send = send
        self._ears: dict[LegId, Ear] = {}
        self.patient = False
        """Final words may still come: a brain is there."""
        self.agent_stopped_s: float | None = None
        """When the agent last fell silent for the caller."""
        self.turn_over_s = 0.0
        """When the caller's last turn was taken for over."""

    def ear(self, leg: LegId) -> Ear | None:
        return self._ears.get(leg)

    def listen(self, leg: LegId) -> None:
        """Frames of the leg go to the brain; a leg without audio is not listened to."""
        tap = self._media.listen(leg)
        known = self._call.state.legs.get(leg)
        if tap is None or known is None or known.phase is not LegPhase.CONNECTED:
            return
        before = self._ears.get(leg)
        self._ears[leg] = Ear(leg, known.role, tap, turn=before.turn if before else 0)
        self._send(ListenTo(self._call.state.id, leg, tap.number, tap.rate_hz))
        self.expect(leg)

    def unlisten(self, leg: LegId) -> None:
        if self._ears.pop(leg, None) is not None:
            self._call.set_timer(f"endpoint {leg}", None, _nothing)
            self._send(Unlisten(self._call.state.id, leg))

    def only_caller(self, and_also: LegId | None = None) -> None:
        for leg in [each for each in self._ears if each not in (CALLER, and_also)]:
            self.unlisten(leg)

    def expect(self, leg: LegId) -> None:
        """The recogniser begins a new turn of the leg, with the answers that are expected now."""
        ear = self._ears.get(leg)
        if ear is None:
            return
        ear.expect(self._hearer.expected(leg))
        self._arm(ear)
        self._send(Expect(self._call.state.id, leg, ear.turn, ear.step))

    def expect_anew(self) -> None:
        """The caller was asked something else; not while somebody is speaking already."""
        ear = self._ears.get(CALLER)
        if ear is not None and not ear.open and ear.step != self._hearer.expected(CALLER):
            self.expect(CALLER)

    def reopen(self, before: str) -> None:
        """The caller goes on with a turn that was taken for over: what was said belongs to it."""
        ear = self._ears.get(CALLER)
        if ear is not None:
            self.expect(CALLER)
            ear.before = before
            ear.understood(before, self._hearer.completeness(before))

    def again(self) -> None:
        """Another brain knows nothing yet."""
        for leg, ear in self._ears.items():
            self._send(ListenTo(self._call.state.id, leg, ear.tap.number, ear.tap.rate_hz))
            self._send(Expect(self._call.state.id, leg, ear.turn, ear.step))

    def began(self, leg: LegId, at_s: float, *, over_agent: bool) -> None:
        ear = self._ears.get(leg)
        if ear is not None:
            ear.began(at_s, over_agent=over_agent)
            self._arm(ear)

    def paused(self, leg: LegId, last_voiced_s: float) -> None:
        ear = self._ears.get(leg)
        if ear is not None and not ear.finishing:
            ear.paused(last_voiced_s)
            self._arm(ear)

    def partial(self, told: PartialHeard) -> None:
        ear = self._ears.get(LegId(told.leg))
        if ear is None or told.turn != ear.turn or ear.finishing:
            return
        text = ear.whole(told.text)
        if ear.understood(text, self._hearer.completeness(text)):
            self._hearer.partial_heard(ear)
            self._arm(ear)

    def final(self, told: FinalHeard) -> None:
        ear = self._ears.get(LegId(told.leg))
        if ear is None or told.turn != ear.turn or not ear.finishing:
            return
        text = ear.partial.removeprefix(ear.before) if told.failed else told.text
        heard = ear.heard(text, told.confidence, self.agent_stopped_s)
        self.expect(ear.leg)
        self._hearer.turn_heard(heard)

    def _arm(self, ear: Ear) -> None:
        """One timer per ear: the work ahead first, then the end of the turn."""
        due, ahead = ear.endpoint.commit_at, ear.endpoint.speculate_at
        if due is not None and ahead is not None and self._ahead(ear, now=False):
            due = min(ahead, due)
        wait = None if due is None else max(0.0, due - self._call.now_s())
        self._call.set_timer(f"endpoint {ear.leg}", wait, lambda: self._due(ear))

    def _ahead(self, ear: Ear, *, now: bool) -> bool:
        return ear.leg == CALLER and bool(ear.partial) and self._hearer.begin_ahead(ear, now=now)

    def _due(self, ear: Ear) -> None:
        if self._ears.get(ear.leg) is not ear:
            return
        commit, now_s = ear.endpoint.commit_at, self._call.now_s() + 0.0005
        if commit is not None and now_s >= commit:
            self._turn_over(ear)
            return
        ahead = ear.endpoint.speculate_at
        if ahead is not None and now_s >= ahead:
            self._ahead(ear, now=True)
        self._arm(ear)

    def _turn_over(self, ear: Ear) -> None:
        if ear.leg == CALLER:
            self.turn_over_s = self._call.now_s()
        ear.finish()
        self._send(FinishTurn(self._call.state.id, ear.leg, ear.turn))
        partial = ear.partial.removeprefix(ear.before)
        stands = FinalHeard(self._call.state.id, ear.leg, ear.turn, partial, LATE_CONFIDENCE)
        wait = LATE_FINAL_S if self.patient else 0.0
        self._call.set_timer(f"endpoint {ear.leg}", wait, lambda: self.final(stands))


def _nothing() -> None:
    """Stands for the callback of a timer that is taken back."""
