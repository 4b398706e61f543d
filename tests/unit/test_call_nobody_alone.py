"""Nobody is left waiting for somebody who is gone: held calls, people without an agent, consultants who leave early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.call.commands import (
    CallCommand,
    ConnectLeg,
    EndTransfer,
    FailAgent,
    HandBack,
    HoldCall,
    LoseLeg,
    RemoveLeg,
    RequestTransfer,
    StopListening,
    TakeFloor,
)
from telephony.call.errors import IllegalTransitionError
from telephony.call.ids import AGENT, CALLER
from telephony.call.machine import decide
from telephony.call.state import LegPhase, Phase
from tests.fakes.calls import ANN, ANNS_LEG, BOB, CONNECT, TAKEN, after, desk_joins, names
from tests.fakes.transfers import (
    ADD,
    ADD_OTHER,
    ANSWERS,
    ATTENDED,
    BETWEEN_PEOPLE,
    BY_ANN,
    OTHER,
    RINGS,
    T1,
    T2,
    TALK,
    TARGET,
    ask,
    outcome,
)

PEOPLE = (BETWEEN_PEOPLE, CONNECT, ask(by="system"), ADD, ANSWERS)
TAKEN_FROM_PEOPLE = (*PEOPLE, *desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))
GONE = RemoveLeg(leg=ANNS_LEG, reason="closed")


def test_a_phone_that_holds_us_may_refer_us_on():
    """Phones hold the call before they send REFER."""
    state = after(*TALK, HoldCall(leg=CALLER), ask(by="caller", leg=CALLER))
    assert (state.phase, state.transfer is not None) == (Phase.HELD, True)
    put_through = after(replace(ADD, replaces=CALLER), ANSWERS, state=state)
    assert (put_through.phase, put_through.floor) == (Phase.ACTIVE, AGENT)


def test_a_held_caller_whose_refer_comes_to_nothing_is_still_held():
    state = after(*TALK, HoldCall(leg=CALLER), ask(by="caller", leg=CALLER))
    back = after(EndTransfer(transfer=T1, outcome="declined"), state=state)
    assert (back.phase, back.transfer) == (Phase.HELD, None)


@pytest.mark.parametrize("asked", [ask(), BY_ANN])
def test_nobody_else_transfers_a_caller_who_holds(asked: RequestTransfer):
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK, HoldCall(leg=CALLER)), asked)


def test_a_supervisor_who_leaves_a_call_between_people_ends_it():
    ended = after(*TAKEN_FROM_PEOPLE, GONE)
    assert (ended.phase, ended.end_cause) == (Phase.ENDED, "supervisor_left")


def test_a_supervisor_whose_line_is_lost_finds_the_caller_again():
    lost = after(*TAKEN_FROM_PEOPLE, LoseLeg(leg=ANNS_LEG, reason="ice"))
    assert (lost.phase, lost.floor) == (Phase.ACTIVE, ANNS_LEG)
    back = after(ConnectLeg(leg=ANNS_LEG, codec="opus"), state=lost)
    assert (back.floor, back.controller) == (ANNS_LEG, ANN)
    assert after(GONE, state=lost).phase is Phase.ENDED


@pytest.mark.parametrize("command", [HandBack(who=ANN), StopListening(leg=ANNS_LEG, who=ANN)])
def test_a_caller_is_not_given_back_to_an_agent_that_is_not_there(command: CallCommand):
    with pytest.raises(IllegalTransitionError):
        decide(after(*TAKEN_FROM_PEOPLE), command)


def test_a_supervisor_may_leave_while_somebody_is_rung():
    state = after(*TAKEN_FROM_PEOPLE, replace(BY_ANN, transfer=T2), ADD_OTHER, GONE)
    assert state.phase is Phase.ACTIVE
    assert after(ConnectLeg(leg=OTHER, codec="PCMU"), state=state).floor == OTHER
    missed = EndTransfer(transfer=T2, outcome="timeout", reason="no_answer")
    assert after(missed, state=state).end_cause == "no_answer"


def test_a_target_that_answers_when_the_consultant_has_gone_is_put_through():
    waiting = after(*TAKEN_FROM_PEOPLE, replace(ATTENDED, transfer=T2), ADD_OTHER, GONE)
    events = decide(waiting, ConnectLeg(leg=OTHER, codec="PCMU"))
    assert names(events) == ["LegConnected", "FloorGiven", "TransferEnded"]
    assert outcome(events) == "answered"


def test_a_target_that_answers_an_agent_that_failed_is_put_through():
    waiting = after(*TALK, ask(mode="attended"), ADD, FailAgent(reason="eof"))
    assert after(ANSWERS, state=waiting).floor == TARGET


def test_an_agent_consults_for_a_supervisor_who_has_gone():
    state = after(*TAKEN, ATTENDED, ADD, RINGS, GONE, ANSWERS)
    assert state.agent_consults == TARGET


def test_a_person_who_hands_the_caller_back_does_not_stay_behind_in_silence():
    state = after(*TALK, BY_ANN, replace(ADD, who=BOB), ANSWERS, HandBack(who=BOB))
    assert (state.floor, state.legs[TARGET].phase) == (AGENT, LegPhase.REMOVED)
