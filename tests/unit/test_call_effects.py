"""What follows from a record: who hears whom, what is closed, which timer runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.call.commands import (
    CallCommand,
    EndCall,
    FailAgent,
    HandBack,
    HoldCall,
    LoseLeg,
    RemoveLeg,
    ResumeCall,
    TakeFloor,
)
from telephony.call.edges import routes
from telephony.call.effects import (
    AnswerLeg,
    CancelTimer,
    CloseLeg,
    Effect,
    Limits,
    SetRoutes,
    SetTimer,
    effects,
)
from telephony.call.events import BargedIn, CallEvent, SegmentHeard, UtteranceStarted
from telephony.call.ids import AGENT, CALLER, TurnId, UtteranceId
from telephony.call.machine import decide, evolve
from telephony.call.ports import Route
from telephony.call.state import CallState
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
    record,
)

LIMITS = Limits(call_s=1800, answer_s=60, connect_s=20, resume_s=30)
HOLD = HoldCall(leg=CALLER)


def effects_of(state: CallState, *events: CallEvent) -> list[Effect]:
    done: list[Effect] = []
    for event in events:
        entry = record(state, event)
        then = evolve(state, entry)
        done.extend(effects(state, entry, then, LIMITS))
        state = then
    return done


def effects_after(command: CallCommand, *before: CallCommand) -> list[Effect]:
    state = after(*before)
    return effects_of(state, *decide(state, command))


def edges(state: CallState) -> set[tuple[str, str]]:
    return {(route.source, route.destination) for route in routes(state)}


def test_the_agent_is_heard_by_the_caller():
    assert routes(after(START, CONNECT)) == (Route(AGENT, CALLER),)


def test_a_supervisor_hears_caller_and_agent_and_is_not_heard():
    assert edges(after(START, CONNECT, *desk_joins())) == {
        (AGENT, CALLER),
        (CALLER, ANNS_LEG),
        (AGENT, ANNS_LEG),
    }


def test_after_take_over_the_supervisor_is_heard_instead_of_the_agent():
    state = after(*TAKEN, *desk_joins(BOBS_LEG, BOB))
    assert edges(state) == {
        (ANNS_LEG, CALLER),
        (CALLER, ANNS_LEG),
        (CALLER, BOBS_LEG),
        (ANNS_LEG, BOBS_LEG),
    }


def test_a_leg_that_only_joined_hears_nothing():
    joined = after(START, CONNECT, desk_joins()[0], desk_joins()[2])
    assert edges(joined) == {(AGENT, CALLER)}


def test_without_an_agent_the_caller_hears_nobody():
    assert routes(after(replace(START, agent=None), CONNECT)) == ()


@pytest.mark.parametrize(
    "command", [HOLD, LoseLeg(leg=CALLER, reason="ice"), EndCall(cause="bye", by="caller")]
)
def test_there_is_silence_while_the_caller_is_not_there(command: CallCommand):
    assert routes(after(*TAKEN, command)) == ()
    assert SetRoutes((), flush_agent=True) in effects_after(command, *TAKEN)


def test_a_take_over_cuts_the_agent_off():
    done = effects_after(TAKEN[-1], *TAKEN[:-1])
    assert [one.flush_agent for one in done if isinstance(one, SetRoutes)] == [True]


def test_a_failed_agent_goes_on_with_what_it_has_in_line():
    done = effects_after(FailAgent(reason="eof"), START, CONNECT)
    assert not any(isinstance(one, SetRoutes) for one in done)


def test_a_barge_in_cuts_the_agent_off():
    said = UtteranceStarted(
        utterance=UtteranceId("1"), turn=None, text="Hello", step="greet", start_s=1.0
    )
    barged = BargedIn(utterance=UtteranceId("1"), at_s=1.2, duck_ms=None, stop_ms=None)
    done = effects_of(after(START, CONNECT), said, barged)
    assert done == [SetRoutes((Route(AGENT, CALLER),), flush_agent=True)]


def test_a_lost_supervisor_does_not_cut_the_agent_off():
    done = effects_after(LoseLeg(leg=ANNS_LEG, reason="ice"), START, CONNECT, *desk_joins())
    assert [one.flush_agent for one in done if isinstance(one, SetRoutes)] == [False]


def test_resuming_and_handing_back_restore_the_edges():
    assert SetRoutes((Route(AGENT, CALLER),), flush_agent=False) in effects_after(
        ResumeCall(leg=CALLER), START, CONNECT, HOLD
    )
    returned = [
        one for one in effects_after(HandBack(who=ANN), *TAKEN) if isinstance(one, SetRoutes)
    ]
    assert Route(AGENT, CALLER) in returned[0].routes


def test_an_inbound_call_is_answered_and_an_outbound_one_is_not():
    assert AnswerLeg(CALLER) in effects_after(START)
    assert AnswerLeg(CALLER) not in effects_after(replace(START, direction="outbound"))


def test_a_removed_leg_is_closed_once_and_the_end_closes_the_rest():
    assert CloseLeg(ANNS_LEG, "closed") in effects_after(
        RemoveLeg(leg=ANNS_LEG, reason="closed"), *TAKEN
    )
    closed = [
        one
        for one in effects_after(RemoveLeg(leg=CALLER, reason="bye"), *TAKEN)
        if isinstance(one, CloseLeg)
    ]
    assert closed == [CloseLeg(CALLER, "bye"), CloseLeg(ANNS_LEG, "bye")]


def test_every_wait_has_its_timer():
    too_long = EndCall(cause="too_long", by="system")
    no_answer = EndCall(cause="not_connected", by="system")
    assert effects_after(START)[0] == SetTimer("call", 1800, too_long)
    assert SetTimer("leg:caller", 60, no_answer) in effects_after(START)
    assert CancelTimer("leg:caller") in effects_after(CONNECT, START)
    lost = EndCall(cause="lost", by="system")
    assert SetTimer("leg:caller", 30, lost) in effects_after(
        LoseLeg(leg=CALLER, reason="ice"), START, CONNECT
    )
    gone = RemoveLeg(leg=ANNS_LEG, reason="lost")
    assert SetTimer("leg:desk-1", 30, gone) in effects_after(
        LoseLeg(leg=ANNS_LEG, reason="ice"), *TAKEN
    )
    idle = RemoveLeg(leg=ANNS_LEG, reason="not_connected")
    assert SetTimer("leg:desk-1", 20, idle) in effects_after(desk_joins()[0], START)


def test_facts_of_the_conversation_have_no_effect():
    heard = SegmentHeard(
        leg=CALLER,
        role="caller",
        turn=TurnId(1),
        text="hi",
        start_s=0.1,
        end_s=0.2,
        pause_before_s=0.0,
    )
    assert effects_of(after(START, CONNECT), heard) == []


def test_a_moved_floor_is_a_change_of_edges():
    second = desk_joins(BOBS_LEG, BOB)
    taken = TakeFloor(leg=BOBS_LEG, who=BOB, force_reason="queue")
    done = effects_after(taken, *TAKEN, *second)
    assert Route(BOBS_LEG, CALLER) in next(one for one in done if isinstance(one, SetRoutes)).routes
