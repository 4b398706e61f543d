"""Commands in any order and at any time: no illegal transition, no stuck call, one log for one state."""

from __future__ import annotations

import contextlib

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from telephony.call.commands import (
    AddLeg,
    CallCommand,
    ConnectLeg,
    EndCall,
    FailAgent,
    HandBack,
    HoldCall,
    LoseLeg,
    RemoveLeg,
    Report,
    ResumeCall,
    StartListening,
    StopListening,
    TakeFloor,
)
from telephony.call.edges import routes
from telephony.call.effects import CancelTimer, Limits, SetTimer, effects
from telephony.call.errors import CallError
from telephony.call.events import (
    AgentAttached,
    BargedIn,
    CallEnded,
    CallEvent,
    Recorded,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import AGENT, CALLER, LegId, UserName, UtteranceId
from telephony.call.machine import decide, evolve, replay
from telephony.call.serial import condition, record_from_json, record_to_json, row
from telephony.call.state import CallState, LegPhase, Phase
from tests.fakes.calls import ANN, ANNS_LEG, BOB, BOBS_LEG, CALL, RECEPTIONIST, START, record

DESK = {ANNS_LEG: ANN, BOBS_LEG: BOB}
LEGS = st.sampled_from([CALLER, *DESK, LegId("stranger")])
PEOPLE = st.sampled_from([ANN, BOB])


class AnyOrder(RuleBasedStateMachine):
    """Caller, two supervisors, the agent and the network, all at once. Timers fire when the machine says so."""

    def __init__(self) -> None:
        super().__init__()
        self.state = CallState(id=CALL)
        self.log: list[Recorded] = []
        self.timers: dict[str, CallCommand] = {}
        self.utterances = 0
        self.send(START)

    def send(self, command: CallCommand) -> None:
        """A refusal is fine if it is typed and changes nothing."""
        before = self.state
        with contextlib.suppress(CallError):
            for event in decide(before, command):
                entry = record(self.state, event)
                then = evolve(self.state, entry)
                self.keep_timers(self.state, entry, then)
                self.log.append(entry)
                self.state = then
            return
        assert self.state is before

    def keep_timers(self, before: CallState, entry: Recorded, then: CallState) -> None:
        for effect in effects(before, entry, then, Limits()):
            if isinstance(effect, SetTimer):
                self.timers[effect.name] = effect.command
            elif isinstance(effect, CancelTimer):
                self.timers.pop(effect.name, None)

    def report(self, *events: CallEvent) -> None:
        self.send(Report(events=events))

    @rule(leg=LEGS, codec=st.sampled_from(["PCMU", "opus"]))
    def connects(self, leg: LegId, codec: str) -> None:
        self.send(ConnectLeg(leg=leg, codec=codec))

    @rule(leg=LEGS)
    def is_lost(self, leg: LegId) -> None:
        self.send(LoseLeg(leg=leg, reason="ice"))

    @rule(leg=st.sampled_from(list(DESK)))
    def leaves(self, leg: LegId) -> None:
        self.send(RemoveLeg(leg=leg, reason="closed"))

    @rule(held=st.booleans(), leg=LEGS)
    def holds(self, held: bool, leg: LegId) -> None:
        self.send(HoldCall(leg=leg) if held else ResumeCall(leg=leg))

    @rule(leg=st.sampled_from(list(DESK)), who=PEOPLE)
    def joins(self, leg: LegId, who: UserName) -> None:
        self.send(AddLeg(leg=leg, role="supervisor", transport="webrtc", who=who))
        self.send(StartListening(leg=leg, who=who))

    @rule(leg=LEGS, who=PEOPLE)
    def stops(self, leg: LegId, who: UserName) -> None:
        self.send(StopListening(leg=leg, who=who))

    @rule(leg=LEGS, who=PEOPLE, reason=st.sampled_from(["", "wrong queue"]))
    def takes(self, leg: LegId, who: UserName, reason: str) -> None:
        self.send(TakeFloor(leg=leg, who=who, force_reason=reason))

    @rule(who=PEOPLE)
    def hands_back(self, who: UserName) -> None:
        self.send(HandBack(who=who, brief="go on"))

    @rule()
    def agent_speaks(self) -> None:
        self.utterances += 1
        self.report(
            UtteranceStarted(
                utterance=UtteranceId(f"{self.utterances}"),
                turn=None,
                text="words",
                step="greet",
                start_s=1.0,
            )
        )

    @rule(complete=st.booleans())
    def agent_stops(self, complete: bool) -> None:
        name = UtteranceId(f"{self.utterances}")
        if not complete:
            self.report(BargedIn(utterance=name, at_s=1.0, duck_ms=None, stop_ms=None))
        self.report(UtteranceEnded(utterance=name, heard="wor", complete=complete, end_s=2.0))

    @rule()
    def agent_fails(self) -> None:
        self.send(FailAgent(reason="eof"))

    @rule()
    def agent_comes_back(self) -> None:
        self.report(AgentAttached(agent=RECEPTIONIST, worker="worker1"))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def a_timer_fires(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.timers)))
        self.send(self.timers.pop(name))

    @rule(by=st.sampled_from(["bye", "cancel"]), often=st.integers(0, 9))
    def hangs_up(self, by: str, often: int) -> None:
        if often == 0:
            self.send(RemoveLeg(leg=CALLER, reason=by))

    # ------------------------------------------------------------------------------ what always holds

    @invariant()
    def the_log_replays_to_the_state(self) -> None:
        assert [entry.seq for entry in self.log] == list(range(1, len(self.log) + 1))
        assert replay(self.log) == self.state

    @invariant()
    def the_floor_is_the_agents_or_a_supervisors_who_is_there(self) -> None:
        floor, state = self.state.floor, self.state
        if state.phase is Phase.ENDED:
            assert (floor, state.controller) == (None, None)
        elif floor == AGENT:
            assert state.controller is None
        else:
            assert floor is not None
            leg = state.legs[floor]
            assert (leg.role, leg.who) == ("supervisor", state.controller)
            assert leg.phase is LegPhase.CONNECTED
            assert leg.listening

    @invariant()
    def one_voice_reaches_the_caller_and_only_who_is_there_is_routed(self) -> None:
        edges = routes(self.state)
        heard = [edge.source for edge in edges if edge.destination == CALLER]
        assert heard == ([self.state.floor] if self.state.phase is Phase.ACTIVE else [])
        for edge in edges:
            assert edge.source != edge.destination
            assert self.state.legs[edge.destination].phase is LegPhase.CONNECTED

    @invariant()
    def no_call_waits_without_a_timer_and_hang_up_always_works(self) -> None:
        if self.state.phase is Phase.ENDED:
            assert sum(isinstance(entry.event, CallEnded) for entry in self.log) == 1
            return
        assert "call" in self.timers
        if self.state.legs[CALLER].phase is not LegPhase.CONNECTED:
            assert "leg:caller" in self.timers
        ended = decide(self.state, EndCall(cause="bye", by="caller"))
        assert isinstance(ended[-1], CallEnded)

    @invariant()
    def it_can_be_shown_and_sent(self) -> None:
        assert row(self.state, "node1")["state"] == condition(self.state)
        if self.log:
            assert record_from_json(record_to_json(self.log[-1])) == self.log[-1]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
