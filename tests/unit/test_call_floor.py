"""Who listens and who speaks to the caller."""

from __future__ import annotations

import pytest

from telephony.call.commands import (
    CallCommand,
    HandBack,
    LoseLeg,
    RemoveLeg,
    Report,
    StartListening,
    StopListening,
    TakeFloor,
)
from telephony.call.errors import (
    FloorHeldError,
    IllegalTransitionError,
)
from telephony.call.events import (
    FloorTaken,
    PersonRequested,
)
from telephony.call.ids import AGENT, CALLER, LegId
from telephony.call.machine import decide
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
)

TALK = (START, CONNECT, *desk_joins())


def test_a_listening_is_on_record_before_audio_is_up():
    added = after(START, CONNECT, desk_joins()[0])
    assert names(decide(added, StartListening(leg=ANNS_LEG, who=ANN))) == ["ListenStarted"]


def test_listening_may_be_repeated_and_stopped_twice():
    state = after(*TALK)
    assert decide(state, StartListening(leg=ANNS_LEG, who=ANN)) == ()
    stopped = after(StopListening(leg=ANNS_LEG, who=ANN), state=state)
    assert not stopped.legs[ANNS_LEG].listening
    assert decide(stopped, StopListening(leg=ANNS_LEG, who=ANN)) == ()


@pytest.mark.parametrize("leg", [CALLER, ANNS_LEG, LegId("nobody")])
def test_a_supervisor_listens_on_the_own_leg_only(leg: LegId):
    with pytest.raises(IllegalTransitionError):
        decide(after(*TALK), StartListening(leg=leg, who=BOB))


def test_take_over_gives_the_floor_and_answers_the_request_for_a_person():
    asked = after(*TALK, Report(events=(PersonRequested(reason="asked"),)))
    assert asked.conversation.person_requested == "asked"
    state = after(TakeFloor(leg=ANNS_LEG, who=ANN), state=asked)
    assert (state.floor, state.controller) == (ANNS_LEG, ANN)
    assert state.conversation.person_requested is None
    assert not state.agent_has_floor
    assert decide(state, TakeFloor(leg=ANNS_LEG, who=ANN)) == ()


@pytest.mark.parametrize(
    "prepared",
    [desk_joins()[:2], (desk_joins()[0], desk_joins()[2])],
    ids=["not connected", "not listening"],
)
def test_take_over_needs_a_connected_leg_that_listens(prepared: tuple[CallCommand, ...]):
    with pytest.raises(IllegalTransitionError):
        decide(after(START, CONNECT, *prepared), TakeFloor(leg=ANNS_LEG, who=ANN))


def test_the_second_supervisor_is_told_who_has_the_call():
    state = after(*TAKEN, *desk_joins(BOBS_LEG, BOB))
    with pytest.raises(FloorHeldError) as refusal:
        decide(state, TakeFloor(leg=BOBS_LEG, who=BOB))
    assert refusal.value.user_message == "ann has the call."
    with pytest.raises(FloorHeldError):
        decide(state, HandBack(who=BOB))


def test_a_colleague_loses_the_floor_against_a_reason_on_record():
    state = after(*TAKEN, *desk_joins(BOBS_LEG, BOB))
    forced = decide(state, TakeFloor(leg=BOBS_LEG, who=BOB, force_reason="wrong queue"))
    assert forced == (
        FloorTaken(leg=BOBS_LEG, who=BOB, taken_from=ANN, force_reason="wrong queue"),
    )
    assert fold(state, *forced).controller == BOB


def test_a_supervisor_moves_the_floor_to_another_leg_without_force():
    second = LegId("desk-1b")
    state = after(*TAKEN, *desk_joins(second, ANN), TakeFloor(leg=second, who=ANN))
    assert state.floor == second


def test_hand_back_tells_the_agent_what_to_do():
    state = after(*TAKEN, HandBack(who=ANN, brief="Book it."))
    assert (state.floor, state.controller, state.conversation.brief) == (AGENT, None, "Book it.")
    with pytest.raises(IllegalTransitionError):
        decide(state, HandBack(who=ANN))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (LoseLeg(leg=ANNS_LEG, reason="ice"), ["FloorReturned", "LegLost"]),
        (RemoveLeg(leg=ANNS_LEG, reason="x"), ["FloorReturned", "ListenStopped", "LegRemoved"]),
        (StopListening(leg=ANNS_LEG, who=ANN), ["FloorReturned", "ListenStopped"]),
    ],
)
def test_the_floor_returns_by_itself_when_its_holder_goes(
    command: CallCommand, expected: list[str]
):
    state = after(*TAKEN)
    assert names(decide(state, command)) == expected
    assert after(command, state=state).agent_has_floor
