"""Transfers: every stage and every input, who may ask, what each outcome brings about, and who hears whom meanwhile."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from telephony.call.commands import (
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
    RingLeg,
    StopListening,
    TakeFloor,
)
from telephony.call.errors import (
    BrokenLogError,
    CallError,
    FloorHeldError,
    IllegalTransitionError,
    TransferRunningError,
)
from telephony.call.events import UtteranceStarted
from telephony.call.ids import AGENT, CALLER, COMFORT, RINGBACK, UtteranceId
from telephony.call.machine import decide
from telephony.call.state import LegPhase, Phase
from telephony.call.transfer_events import TransferEnded, TransferProgressed
from telephony.call.transitions import TRANSFER_STAGES
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    BOB,
    CONNECT,
    START,
    TAKEN,
    after,
    desk_joins,
    fold,
    names,
)
from tests.fakes.transfers import (
    ADD,
    ADD_OTHER,
    AGENT_CONSULTS,
    ANSWERS,
    ATTENDED,
    BETWEEN_PEOPLE,
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

# ------------------------------------------------------------------------------------------- all pairs

STAGES: dict[str, tuple[CallCommand, ...]] = {
    "none": TALK,
    "dialling": (*TALK, BY_ANN, ADD),
    "ringing": (*TALK, BY_ANN, ADD, RINGS),
    "referring": REFERS,
    "consulting": CONSULTS,
    "completing": (*CONSULTS, CompleteTransfer(who=ANN, release=True)),
    "bridged": BRIDGED,
    "caller gone": (*FROM_CALLER, RemoveLeg(leg=CALLER, reason="bye")),
    "queued": QUEUED,
    "ended": (*BRIDGED, EndCall(cause="bye", by="caller")),
}
INPUTS: dict[str, CallCommand] = {
    "asks again": ask(transfer=T2),
    "rings": RINGS,
    "answers": ANSWERS,
    "leaves": LEAVES,
    "another answers": ConnectLeg(leg=OTHER, codec="PCMU"),
    "holds": HoldCall(leg=TARGET),
    "progress": ProgressTransfer(transfer=T1, status=180),
    "complete": CompleteTransfer(who=ANN),
    "release": CompleteTransfer(who=ANN, release=True),
    "cancel": CancelTransfer(who=ANN),
    "answered elsewhere": EndTransfer(transfer=T1, outcome="answered", status=200),
    "declined": EndTransfer(transfer=T1, outcome="declined", status=603, reason="declined"),
    "timeout": EndTransfer(transfer=T1, outcome="timeout"),
    "late": EndTransfer(transfer=T2, outcome="failed"),
    "falls back": FallBack(transfer=T1, next=T2, status=603),
    "agent fails": FailAgent(reason="eof"),
    "taken": TakeFloor(leg=ANNS_LEG, who=ANN, force_reason="queue"),
    "handed back": HandBack(who=ANN),
    "caller lost": LoseLeg(leg=CALLER, reason="ice"),
    "caller leaves": RemoveLeg(leg=CALLER, reason="caller_hung_up"),
    "ends": EndCall(cause="bye", by="system"),
}


@pytest.mark.parametrize(("stage", "given"), list(product(STAGES, INPUTS)))
def test_every_stage_takes_or_refuses_every_input(stage: str, given: str):
    before = after(*STAGES[stage])
    try:
        events = decide(before, INPUTS[given])
    except CallError:
        return
    state = fold(before, *events)
    assert state.seq == before.seq + len(events)
    if state.phase is not Phase.ENDED:
        ended = decide(state, EndCall(cause="bye", by="caller"))
        assert fold(state, *ended).transfer is None


@pytest.mark.parametrize(("stage", "following"), list(product(TRANSFER_STAGES, TRANSFER_STAGES)))
def test_a_log_whose_transfer_moves_against_the_table_is_broken(stage: str, following: Any):
    state = after(*STAGES[stage])
    moved = TransferProgressed(transfer=T1, stage=following)
    if following in TRANSFER_STAGES[stage]:  # type: ignore[index]
        assert fold(state, moved).transfer.stage == following  # type: ignore[union-attr]
    else:
        with pytest.raises(BrokenLogError):
            fold(state, moved)


def test_a_log_that_ends_a_transfer_it_never_began_is_broken():
    with pytest.raises(BrokenLogError):
        fold(after(*TALK), TransferEnded(transfer=T1, outcome="failed"))


# ------------------------------------------------------------------------------------- who may ask, and when


def test_one_transfer_at_a_time_and_asking_again_is_harmless():
    state = after(*TALK, ask())
    assert decide(state, ask()) == ()
    with pytest.raises(TransferRunningError):
        decide(state, ask(transfer=T2))


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ((START,), ask()),
        (TAKEN, ask()),
        ((*TALK, HoldCall(leg=CALLER)), ask()),
        (TALK, ask(method="refer", mode="attended")),
        ((replace(START, transport="webrtc"), CONNECT), ask(method="refer")),
        (TALK, ATTENDED),
        (BRIDGED, ask(by="target", transfer=T2, leg=OTHER)),
        (BRIDGED, ask(by="target", transfer=T2)),
    ],
    ids=[
        "unanswered",
        "a supervisor has the floor",
        "held",
        "refer cannot consult",
        "a browser cannot refer",
        "nobody to consult",
        "another leg",
        "no leg",
    ],
)
def test_who_cannot_transfer_is_told_so(before: tuple[CallCommand, ...], command: RequestTransfer):
    with pytest.raises(IllegalTransitionError):
        decide(after(*before), command)


def test_a_colleagues_call_is_not_transferred():
    with pytest.raises(FloorHeldError):
        decide(after(*TAKEN), ask(by="supervisor", who=BOB))


def test_a_colleagues_transfer_is_neither_completed_nor_cancelled():
    state = after(*CONSULTS)
    for command in (CompleteTransfer(who=BOB), CancelTransfer(who=BOB)):
        with pytest.raises(FloorHeldError):
            decide(state, command)


# ---------------------------------------------------------------------------------------------- blind, bridged


def test_the_caller_hears_ringing_then_the_target_and_the_agent_is_silent():
    ringing = after(*TALK, ask(), ADD, RINGS)
    assert (edges(ringing), ringing.agent_has_floor) == ({(RINGBACK, CALLER)}, False)
    bridged = after(ANSWERS, state=ringing)
    assert edges(bridged) == {(TARGET, CALLER), (CALLER, TARGET)}
    assert (bridged.floor, bridged.transfer, bridged.agent_has_floor) == (TARGET, None, False)
    assert bridged.transferred is not None
    assert bridged.transferred.outcome == "answered"


def test_early_media_is_heard_instead_of_our_ringing():
    early = after(*TALK, ask(), ADD, RingLeg(leg=TARGET, early_media=True))
    assert edges(early) == {(TARGET, CALLER)}
    assert decide(early, RINGS) == ()


def test_a_supervisor_who_listens_hears_both():
    state = after(START, CONNECT, *desk_joins(), ask(), ADD, ANSWERS)
    assert edges(state) >= {(CALLER, ANNS_LEG), (TARGET, ANNS_LEG)}


@pytest.mark.parametrize(
    ("then", "agent", "ends"),
    [(None, True, False), ("return", True, False), ("end", True, True), (None, False, True)],
)
def test_when_the_target_hangs_up_the_caller_returns_or_the_call_ends(
    then: Any, agent: bool, ends: bool
):
    start = START if agent else BETWEEN_PEOPLE
    state = after(start, CONNECT, ask(by="system", then=then), ADD, ANSWERS)
    left = after(RemoveLeg(leg=TARGET, reason="target_hung_up"), state=state)
    if ends:
        assert (left.phase, left.end_cause) == (Phase.ENDED, "target_hung_up")
    else:
        assert (left.phase, left.floor) == (Phase.ACTIVE, AGENT)
        assert left.agent_has_floor


@pytest.mark.parametrize("result", ["declined", "failed", "timeout", "refused"])
def test_a_transfer_that_comes_to_nothing_returns_the_caller_to_the_agent(result: Any):
    state = after(*TALK, ask(), ADD, RINGS)
    events = decide(state, EndTransfer(transfer=T1, outcome=result, status=486, reason="busy"))
    assert names(events) == ["LegRemoved", "TransferEnded"]
    back = fold(state, *events)
    assert back.agent_has_floor
    assert back.transferred is not None
    assert (back.transferred.outcome, back.transferred.status) == (result, 486)
    assert edges(back) == {(AGENT, CALLER)}


def test_a_leg_that_failed_waits_for_the_outcome():
    state = after(*TALK, ask(), ADD, LEAVES)
    assert state.transfer is not None
    assert decide(state, EndTransfer(transfer=T2, outcome="failed")) == ()


def test_the_callers_hang_up_cancels_everything():
    state = after(*TALK, ask(), ADD, RINGS)
    events = decide(state, RemoveLeg(leg=CALLER, reason="caller_hung_up"))
    assert names(events) == ["TransferEnded", "LegRemoved", "CallEnded"]
    assert outcome(events) == "cancelled"


def test_a_supervisor_cancels_and_the_floor_is_where_it_was():
    state = after(*TAKEN, BY_ANN, ADD, RINGS)
    events = decide(state, CancelTransfer(who=ANN))
    assert names(events) == ["LegRemoved", "TransferEnded"]
    assert fold(state, *events).floor == ANNS_LEG
    assert decide(after(*TALK), CancelTransfer()) == ()


def test_a_person_who_was_put_through_can_be_passed_on():
    state = after(*BRIDGED, ask(transfer=T2, by="supervisor", who=ANN), ADD_OTHER)
    passed = after(ConnectLeg(leg=OTHER, codec="PCMU"), state=state)
    assert (passed.floor, passed.legs[TARGET].phase) == (OTHER, LegPhase.REMOVED)


def test_transferor_bye_keeps_survivor():
    """A person's own phone refers the caller on, and hangs up before anybody has answered."""
    state = after(*BRIDGED, ask(transfer=T2, by="target", leg=TARGET), ADD_OTHER)
    alone = after(RemoveLeg(leg=TARGET, reason="target_hung_up"), state=state)
    assert (alone.phase, edges(alone)) == (Phase.ACTIVE, {(RINGBACK, CALLER)})
    passed = after(ConnectLeg(leg=OTHER, codec="PCMU"), state=alone)
    assert passed.floor == OTHER


def test_a_person_without_an_agent_behind_refers_in_vain_and_the_call_ends():
    talk = (BETWEEN_PEOPLE, CONNECT, ask(by="system"), ADD, ANSWERS)
    state = after(*talk, ask(transfer=T2, by="target", leg=TARGET), ADD_OTHER)
    alone = after(RemoveLeg(leg=TARGET, reason="target_hung_up"), state=state)
    ended = after(EndTransfer(transfer=T2, outcome="declined", reason="busy"), state=alone)
    assert (ended.phase, ended.end_cause) == (Phase.ENDED, "busy")


# --------------------------------------------------------------------------------------------------- attended


def test_who_asked_speaks_with_the_target_while_the_caller_waits():
    waiting = after(*TAKEN, ATTENDED, ADD, RINGS)
    assert edges(waiting) == {(COMFORT, CALLER), (RINGBACK, ANNS_LEG)}
    consulting = after(ANSWERS, state=waiting)
    assert edges(consulting) == {(COMFORT, CALLER), (ANNS_LEG, TARGET), (TARGET, ANNS_LEG)}
    done = after(CompleteTransfer(who=ANN), state=consulting)
    assert (done.floor, done.controller) == (TARGET, None)
    assert edges(done) >= {(TARGET, CALLER), (CALLER, TARGET), (CALLER, ANNS_LEG)}


def test_the_agent_speaks_with_the_target_and_only_with_it():
    state = after(*AGENT_CONSULTS)
    assert edges(state) == {(COMFORT, CALLER), (AGENT, TARGET)}
    brief = UtteranceStarted(
        utterance=UtteranceId("1"),
        turn=None,
        text="I have a caller.",
        step="x",
        start_s=1.0,
        heard_by=TARGET,
    )
    assert after(Report(events=(brief,)), state=state).conversation.said[-1].heard_by == TARGET
    with pytest.raises(IllegalTransitionError):
        decide(state, Report(events=(replace(brief, heard_by=CALLER),)))
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK), Report(events=(brief,)))


def test_nothing_is_completed_before_the_target_answered():
    with pytest.raises(IllegalTransitionError):
        decide(after(*TAKEN, ATTENDED, ADD), CompleteTransfer(who=ANN))
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK), CompleteTransfer())


def test_a_target_who_hangs_up_while_consulted_has_declined():
    events = decide(after(*CONSULTS), RemoveLeg(leg=TARGET, reason="target_hung_up"))
    assert outcome(events) == "declined"
    assert fold(after(*CONSULTS), *events).floor == ANNS_LEG


@pytest.mark.parametrize(
    "gone",
    [
        RemoveLeg(leg=ANNS_LEG, reason="closed"),
        LoseLeg(leg=ANNS_LEG, reason="ice"),
        StopListening(leg=ANNS_LEG, who=ANN),
    ],
)
def test_a_consultant_who_goes_leaves_caller_and_target_together(gone: CallCommand):
    assert after(*CONSULTS, gone).floor == TARGET


def test_an_agent_that_fails_while_consulting_leaves_caller_and_target_together():
    assert after(*AGENT_CONSULTS, FailAgent(reason="eof")).floor == TARGET


def test_the_floor_is_not_handed_back_in_the_middle_of_a_transfer():
    with pytest.raises(TransferRunningError):
        decide(after(*CONSULTS), HandBack(who=ANN))


def test_a_release_that_is_refused_bridges_instead():
    state = after(*CONSULTS, CompleteTransfer(who=ANN, release=True))
    assert state.transfer is not None
    assert state.transfer.stage == "completing"
    events = decide(state, FallBack(transfer=T1, next=T2, status=603))
    assert names(events) == ["FloorGiven", "TransferEnded"]
    assert outcome(events) == "answered"


def test_a_released_target_may_leave_before_the_outcome_is_told():
    state = after(*CONSULTS, CompleteTransfer(who=ANN, release=True))
    assert names(decide(state, LEAVES)) == ["LegRemoved"]
