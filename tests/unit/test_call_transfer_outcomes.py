"""REFER and its fallback, phones that take the place of others, and calls between people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.call.commands import (
    AddLeg,
    CancelTransfer,
    CompleteTransfer,
    ConnectLeg,
    EndCall,
    EndTransfer,
    FallBack,
    HoldCall,
    ProgressTransfer,
    RemoveLeg,
    ResumeCall,
    RingLeg,
    StartCall,
    TakeFloor,
)
from telephony.call.errors import (
    IllegalTransitionError,
)
from telephony.call.ids import AGENT, CALLER, COMFORT, RINGBACK, LegId
from telephony.call.machine import decide
from telephony.call.state import LegPhase, Phase
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    BOB,
    BOBS_LEG,
    CONNECT,
    START,
    after,
    desk_joins,
    fold,
    names,
)
from tests.fakes.transfers import (
    ADD,
    ADD_OTHER,
    ANSWERS,
    BRIDGED,
    BY_ANN,
    CONSULTS,
    FROM_CALLER,
    LEAVES,
    OTHER,
    QUEUED,
    REFERS,
    RINGS,
    T1,
    T2,
    TALK,
    TARGET,
    ask,
    edges,
    outcome,
)

# ------------------------------------------------------------------------------------------------------- REFER


def test_a_refer_that_was_answered_ends_our_call():
    events = decide(after(*REFERS), EndTransfer(transfer=T1, outcome="answered", status=200))
    assert names(events) == ["TransferEnded", "CallEnded"]
    assert fold(after(*REFERS), *events).end_cause == "transferred"


def test_refer_603_falls_back_to_bridge():
    state = after(*REFERS, ProgressTransfer(transfer=T1, status=180))
    events = decide(state, FallBack(transfer=T1, next=T2, status=603))
    assert names(events) == ["TransferEnded", "TransferRequested"]
    assert outcome(events) == "fell_back"
    again = fold(state, *events).transfer
    assert again is not None
    assert (again.id, again.method, again.stage, again.name) == (T2, "bridge", "dialling", "sales")


def test_a_refer_in_hand_of_the_trunk_is_not_cancelled():
    with pytest.raises(IllegalTransitionError):
        decide(after(*REFERS), CancelTransfer())
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK, ask()), FallBack(transfer=T1, next=T2))


# ------------------------------------------------------------------------------------------ another phone instead


def test_a_phone_that_replaces_the_callers_goes_on_with_the_conversation():
    other = LegId("taken-1")
    add = AddLeg(leg=other, role="target", transport="sip", replaces=CALLER)
    state = after(*TALK, add, ConnectLeg(leg=other, codec="G722"))
    assert (state.legs[CALLER].codec, state.legs[other].phase) == ("G722", LegPhase.REMOVED)
    assert (state.phase, edges(state)) == (Phase.ACTIVE, {(AGENT, CALLER)})


def test_a_held_caller_who_is_replaced_is_not_held_any_more():
    other = LegId("taken-1")
    add = AddLeg(leg=other, role="target", transport="sip", replaces=CALLER)
    held = (*TALK, HoldCall(leg=CALLER), add, ConnectLeg(leg=other, codec="PCMU"))
    assert after(*held).phase is Phase.ACTIVE


@pytest.mark.parametrize("replaces", [AGENT, LegId("nobody"), TARGET])
def test_only_a_leg_that_is_up_can_be_replaced(replaces: LegId):
    add = AddLeg(leg=OTHER, role="target", transport="sip", replaces=replaces)
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK, ask(), ADD), add)


def test_a_caller_who_refers_is_replaced_even_after_the_hang_up():
    gone = after(*FROM_CALLER, RemoveLeg(leg=CALLER, reason="caller_hung_up"))
    assert gone.phase is Phase.RECONNECTING
    back = after(ANSWERS, state=gone)
    assert (back.phase, back.legs[CALLER].codec, back.transfer) == (Phase.ACTIVE, "PCMA", None)
    assert back.agent_has_floor


def test_a_caller_who_referred_in_vain_and_left_has_ended_the_call():
    gone = after(*FROM_CALLER, RemoveLeg(leg=CALLER, reason="caller_hung_up"))
    ended = after(EndTransfer(transfer=T1, outcome="declined", status=486), state=gone)
    assert (ended.phase, ended.end_cause) == (Phase.ENDED, "caller_hung_up")


def test_a_person_waits_with_ringing_while_the_callers_successor_is_rung():
    bridged = after(*BRIDGED, ask(transfer=T2, by="caller"), replace(ADD_OTHER, replaces=CALLER))
    assert edges(bridged) == {(RINGBACK, TARGET)}
    gone = after(RemoveLeg(leg=CALLER, reason="bye"), state=bridged)
    assert edges(gone) == {(RINGBACK, TARGET)}


# ------------------------------------------------------------------------------------------ people without an agent


def test_the_first_person_who_answers_has_the_call_and_the_others_stop_ringing():
    state = after(*QUEUED, RINGS)
    assert (state.phase, edges(state)) == (Phase.RINGING, set())
    events = decide(state, ConnectLeg(leg=OTHER, codec="PCMU"))
    assert names(events) == ["LegConnected", "LegRemoved", "FloorGiven", "TransferEnded"]
    talking = after(CONNECT, state=fold(state, *events))
    assert edges(talking) == {(OTHER, CALLER), (CALLER, OTHER)}


def test_an_unanswered_caller_with_an_open_path_hears_the_targets_own_ringing():
    state = after(
        *QUEUED, RingLeg(leg=CALLER, early_media=True), RingLeg(leg=TARGET, early_media=True)
    )
    assert edges(state) == {(TARGET, CALLER)}


def test_a_supervisor_takes_a_call_that_rings_for_others():
    state = after(*QUEUED, *desk_joins())
    events = decide(state, TakeFloor(leg=ANNS_LEG, who=ANN))
    assert names(events) == ["FloorTaken", "LegRemoved", "LegRemoved", "TransferEnded"]
    assert after(CONNECT, state=fold(state, *events)).controller == ANN


def test_a_call_for_an_agent_is_not_taken_before_it_is_answered():
    with pytest.raises(IllegalTransitionError):
        decide(after(START, *desk_joins()), TakeFloor(leg=ANNS_LEG, who=ANN))


def test_nobody_answers_and_the_call_ends_with_the_reason():
    ended = after(*QUEUED, EndTransfer(transfer=T1, outcome="timeout", reason="no_answer"))
    assert (ended.phase, ended.end_cause) == (Phase.ENDED, "no_answer")


def test_hold_state_of_a_person_lets_the_caller_hear_that_nobody_has_gone():
    held = after(*BRIDGED, HoldCall(leg=TARGET))
    assert (held.phase, edges(held)) == (Phase.ACTIVE, {(COMFORT, CALLER), (CALLER, TARGET)})
    assert decide(held, HoldCall(leg=TARGET)) == ()
    assert edges(after(ResumeCall(leg=TARGET), state=held)) == {(TARGET, CALLER), (CALLER, TARGET)}


# --------------------------------------------------------------------------------------------- calls that we place


def test_a_call_that_we_place_rings_is_answered_and_fails_like_any_other():
    start = StartCall(
        direction="outbound", transport="sip", called="+15550123", caller="+15550100", agent=None
    )
    early = after(start, *desk_joins(), RingLeg(leg=CALLER, early_media=True))
    assert edges(early) == {(CALLER, ANNS_LEG)}
    assert after(start, CONNECT).phase is Phase.ACTIVE
    busy = after(start, EndCall(cause="busy", by="system"))
    assert (busy.phase, busy.end_cause, busy.answered_us) == (Phase.ENDED, "busy", None)


def test_a_supervisor_with_a_leg_of_another_call_listens_on():
    state = after(*TALK, *desk_joins(), *desk_joins(BOBS_LEG, BOB), BY_ANN, ADD, ANSWERS)
    assert {(TARGET, ANNS_LEG), (TARGET, BOBS_LEG)} <= edges(state)


def test_a_supervisor_takes_a_call_from_the_person_it_was_put_through_to():
    state = after(*BRIDGED, *desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))
    assert (state.floor, state.legs[TARGET].phase) == (ANNS_LEG, LegPhase.REMOVED)


def test_a_persons_phone_is_replaced_by_another_while_somebody_else_is_rung():
    desk = LegId("taken-1")
    add = AddLeg(leg=desk, role="target", transport="sip", replaces=TARGET)
    state = after(*BRIDGED, ask(transfer=T2, by="supervisor", who=ANN), add)
    assert state.transfer is not None
    assert state.transfer.targets == ()
    replaced = after(ConnectLeg(leg=desk, codec="G722"), state=state)
    assert (replaced.floor, replaced.legs[TARGET].codec) == (TARGET, "G722")


def test_a_release_that_fails_after_the_target_has_gone_returns_the_caller():
    state = after(*CONSULTS, CompleteTransfer(who=ANN, release=True), LEAVES)
    events = decide(state, FallBack(transfer=T1, next=T2, status=603))
    assert outcome(events) == "failed"
    assert fold(state, *events).floor == ANNS_LEG


def test_the_trunk_may_report_ringing_twice_and_for_others_in_vain():
    state = after(*REFERS, ProgressTransfer(transfer=T1, status=180))
    again = decide(state, ProgressTransfer(transfer=T1, status=183))
    assert again == ()
    assert decide(state, ProgressTransfer(transfer=T2, status=180)) == ()
