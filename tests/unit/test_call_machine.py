"""`decide` and `evolve`: every pair of phase and command, the call and its legs."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from itertools import product

import pytest

from telephony.call.commands import (
    AddLeg,
    CallCommand,
    CancelTransfer,
    CompleteTransfer,
    ConnectLeg,
    EndCall,
    EndTransfer,
    FailAgent,
    FallBack,
    HandBack,
    HoldCall,
    LoseLeg,
    ProgressTransfer,
    RemoveLeg,
    Report,
    RequestTransfer,
    ResumeCall,
    RingLeg,
    StartListening,
    StopListening,
    TakeFloor,
)
from telephony.call.errors import (
    BrokenLogError,
    CallError,
    CallGoneError,
    IllegalTransitionError,
)
from telephony.call.events import (
    AgentAttached,
    CallEnded,
    CallEvent,
    CallHeld,
    LegConnected,
    LegLost,
    LegRemoved,
    PersonRequested,
)
from telephony.call.ids import AGENT, CALLER, LegId, TransferId
from telephony.call.machine import decide, evolve
from telephony.call.state import LegPhase, Phase
from telephony.call.transitions import ADMITTED, LEG_PHASES, PHASES
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    BOB,
    BOBS_LEG,
    CONNECT,
    START,
    TAKEN,
    after,
    desk_joins,
    fold,
    names,
    record,
)

HOLD, RESUME = HoldCall(leg=CALLER), ResumeCall(leg=CALLER)
LOSE = LoseLeg(leg=CALLER, reason="ice")
END = EndCall(cause="bye", by="caller")
T1 = TransferId("t1")
TALK = (START, CONNECT, *desk_joins())

PHASE_STATES = {
    Phase.NEW: after(),
    Phase.RINGING: after(START, *desk_joins()),
    Phase.ACTIVE: after(*TAKEN),
    Phase.HELD: after(*TAKEN, HOLD),
    Phase.RECONNECTING: after(*TAKEN, LOSE),
    Phase.ENDED: after(*TAKEN, END),
}
COMMANDS: tuple[CallCommand, ...] = (
    START,
    AddLeg(leg=BOBS_LEG, role="supervisor", transport="webrtc", who=BOB),
    CONNECT,
    LOSE,
    RemoveLeg(leg=CALLER, reason="bye"),
    HOLD,
    RESUME,
    END,
    StartListening(leg=ANNS_LEG, who=ANN),
    StopListening(leg=ANNS_LEG, who=ANN),
    TakeFloor(leg=ANNS_LEG, who=ANN),
    HandBack(who=ANN),
    RingLeg(leg=CALLER),
    RequestTransfer(
        transfer=T1, mode="blind", method="bridge", by="supervisor", who=ANN, destination="200"
    ),
    ProgressTransfer(transfer=T1, status=180),
    CompleteTransfer(who=ANN),
    CancelTransfer(who=ANN),
    EndTransfer(transfer=T1, outcome="failed"),
    FallBack(transfer=T1, next=TransferId("t2")),
    FailAgent(reason="eof"),
    Report(events=(PersonRequested(reason="asked"),)),
)


# ------------------------------------------------------------------------------------------ all pairs


def test_every_command_has_its_row():
    assert {type(command) for command in COMMANDS} == set(ADMITTED)


@pytest.mark.parametrize(
    ("phase", "command"),
    list(product(Phase, COMMANDS)),
    ids=lambda value: value.value if isinstance(value, Phase) else type(value).__name__,
)
def test_a_pair_is_accepted_and_folds_or_is_refused_by_type(phase: Phase, command: CallCommand):
    state = PHASE_STATES[phase]
    if phase not in ADMITTED[type(command)]:
        with pytest.raises(CallGoneError if phase is Phase.ENDED else IllegalTransitionError):
            decide(state, command)
        return
    with contextlib.suppress(IllegalTransitionError):
        events = decide(state, command)
        assert fold(state, *events).seq == state.seq + len(events)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nothing_leaves_ended(command: CallCommand):
    state = PHASE_STATES[Phase.ENDED]
    try:
        events = decide(state, command)
    except CallError:
        return
    assert fold(state, *events).phase is Phase.ENDED


@pytest.mark.parametrize("phase", Phase)
def test_hang_up_works_in_every_phase_and_twice(phase: Phase):
    ended = after(END, state=PHASE_STATES[phase])
    assert ended.phase is Phase.ENDED
    assert decide(ended, END) == ()


@pytest.mark.parametrize("pair", list(product(Phase, (LegConnected, LegLost, CallHeld, CallEnded))))
def test_a_log_whose_call_moves_against_the_table_is_broken(pair: tuple[Phase, type[CallEvent]]):
    phase, kind = pair
    made: dict[type[CallEvent], CallEvent] = {
        LegConnected: LegConnected(leg=CALLER, codec="opus"),
        LegLost: LegLost(leg=CALLER, reason="ice"),
        CallHeld: CallHeld(leg=CALLER),
        CallEnded: CallEnded(cause="bye", by="caller"),
    }
    state = PHASE_STATES[phase]
    leg = state.legs.get(CALLER)
    legal = (phase, kind) in PHASES and (
        kind in (CallHeld, CallEnded) or (leg is not None and (leg.phase, kind) in LEG_PHASES)
    )
    if legal:
        assert fold(state, made[kind]).phase is PHASES[phase, kind]
    else:
        with pytest.raises(BrokenLogError):
            fold(state, made[kind])


# ------------------------------------------------------------------------------------------ the call


def test_a_started_call_rings_with_the_callers_leg():
    state = after(START)
    assert (state.phase, state.caller, state.floor) == (Phase.RINGING, "+15550100", AGENT)
    assert state.legs[CALLER].phase is LegPhase.ADDED


def test_a_call_without_an_agent_has_no_floor_and_no_agent_to_fail():
    state = after(replace(START, agent=None), CONNECT)
    assert state.floor is None
    with pytest.raises(IllegalTransitionError):
        decide(state, FailAgent(reason="eof"))


def test_the_first_connection_is_the_answer():
    state = after(START)
    answered = evolve(state, record(state, LegConnected(leg=CALLER, codec="PCMU"), at_us=7))
    again = evolve(answered, record(answered, LegConnected(leg=CALLER, codec="PCMA"), at_us=9))
    assert (again.answered_us, again.legs[CALLER].codec) == (7, "PCMA")


def test_hold_and_resume_may_be_repeated():
    held = after(START, CONNECT, HOLD)
    assert held.phase is Phase.HELD
    assert decide(held, HOLD) == ()
    back = after(RESUME, state=held)
    assert back.phase is Phase.ACTIVE
    assert decide(back, RESUME) == ()


@pytest.mark.parametrize("command", [HoldCall(leg=ANNS_LEG), ResumeCall(leg=ANNS_LEG)])
def test_only_the_caller_holds(command: CallCommand):
    with pytest.raises(IllegalTransitionError):
        decide(PHASE_STATES[Phase.ACTIVE], command)


def test_an_agent_fails_once_until_another_is_attached():
    failed = after(START, CONNECT, FailAgent(reason="eof"))
    assert failed.conversation.agent_failed == "eof"
    assert decide(failed, FailAgent(reason="again")) == ()
    assert failed.agent is not None
    back = fold(failed, AgentAttached(agent=failed.agent, worker="worker2"))
    assert back.conversation.agent_failed is None
    assert names(decide(back, FailAgent(reason="again"))) == ["AgentFailed"]


# ------------------------------------------------------------------------------------------ the legs


@pytest.mark.parametrize(
    "command",
    [
        AddLeg(leg=ANNS_LEG, role="supervisor", transport="webrtc", who=ANN),
        AddLeg(leg=LegId("x"), role="caller", transport="sip"),
        AddLeg(leg=LegId("x"), role="agent", transport="loopback"),
        AddLeg(leg=LegId("x"), role="supervisor", transport="webrtc"),
        ConnectLeg(leg=LegId("x"), codec="opus"),
        LoseLeg(leg=LegId("x"), reason="ice"),
        RemoveLeg(leg=LegId("x"), reason="bye"),
    ],
    ids=["twice", "second caller", "agent", "nameless", "connect", "lose", "remove"],
)
def test_legs_that_cannot_be_are_refused(command: CallCommand):
    with pytest.raises(IllegalTransitionError):
        decide(PHASE_STATES[Phase.ACTIVE], command)


def test_a_target_needs_no_name():
    state = after(*TALK, AddLeg(leg=LegId("t"), role="target", transport="sip"))
    assert state.legs[LegId("t")].role == "target"


def test_a_leg_that_left_is_gone_and_may_leave_again():
    state = after(*TALK, RemoveLeg(leg=ANNS_LEG, reason="closed"))
    assert decide(state, RemoveLeg(leg=ANNS_LEG, reason="closed")) == ()
    for command in (
        ConnectLeg(leg=ANNS_LEG, codec="opus"),
        StartListening(leg=ANNS_LEG, who=ANN),
        TakeFloor(leg=ANNS_LEG, who=ANN),
    ):
        with pytest.raises(IllegalTransitionError):
            decide(state, command)


def test_the_callers_departure_ends_the_call():
    events = decide(after(*TALK), RemoveLeg(leg=CALLER, reason="bye"))
    assert events == (
        LegRemoved(leg=CALLER, reason="bye"),
        CallEnded(cause="bye", by="caller"),
    )


def test_a_lost_caller_may_come_back():
    state = after(START, CONNECT, LOSE)
    assert state.phase is Phase.RECONNECTING
    assert decide(state, LOSE) == ()
    assert decide(state, CONNECT) == (LegConnected(leg=CALLER, codec="PCMU", resumed=True),)
    assert after(CONNECT, state=state).phase is Phase.ACTIVE


def test_a_leg_lost_before_it_carried_audio_is_removed():
    assert names(decide(after(START), LOSE)) == ["LegRemoved", "CallEnded"]


def test_a_connection_may_be_repeated_and_its_codec_changed():
    state = after(START, CONNECT)
    assert decide(state, CONNECT) == ()
    changed = ConnectLeg(leg=CALLER, codec="PCMA")
    assert decide(state, changed) == (LegConnected(leg=CALLER, codec="PCMA"),)
