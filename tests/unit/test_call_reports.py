"""Reported facts: admitted when they make sense, and folded into the conversation; replay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.call.commands import (
    Report,
)
from telephony.call.errors import (
    BrokenLogError,
    IllegalTransitionError,
)
from telephony.call.events import (
    AgentAttached,
    AgentFailed,
    BargedIn,
    CallEnded,
    CallEvent,
    CallResumed,
    CallStarted,
    DigitReceived,
    FloorReturned,
    LegAdded,
    LegConnected,
    LegRemoved,
    ListenStarted,
    ListenStopped,
    MediaTroubled,
    Misunderstood,
    PersonRequested,
    QualityMeasured,
    RuleRefused,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    ToolFinished,
    ToolRequested,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import CALLER, CallId, LegId, TurnId, UtteranceId
from telephony.call.machine import REPORTABLE, decide, evolve, replay
from telephony.call.state import CallState, Phase
from telephony.call.transfer_events import AnswererJudged, TrunkMeasured
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    CALL,
    CONNECT,
    START,
    TAKEN,
    after,
    fold,
    record,
)

UTTERANCE = UtteranceId("1.1.1")
SPOKEN = UtteranceStarted(
    utterance=UTTERANCE, turn=TurnId(1), text="Hello there.", step="greet", start_s=1.0
)
HEARD = UtteranceEnded(utterance=UTTERANCE, heard="Hello", complete=False, end_s=1.5)
BARGED = BargedIn(utterance=UTTERANCE, at_s=1.4, duck_ms=20.0, stop_ms=120.0)
SEGMENT = SegmentHeard(
    leg=CALLER,
    role="caller",
    turn=TurnId(1),
    text="hi",
    start_s=1.0,
    end_s=1.2,
    pause_before_s=0.1,
)
TIMED = TurnTimed(
    turn=TurnId(1),
    endpoint_ms=1.0,
    stt_final_ms=2.0,
    first_sentence_ms=3.0,
    first_audio_ms=4.0,
    first_packet_ms=5.0,
)
DIGIT = DigitReceived(leg=CALLER, digit="5")
MEASURED = QualityMeasured(leg=CALLER, loss_pct=0.0, jitter_ms=1.0, rtt_ms=None, mos=4.4)
TROUBLED = MediaTroubled(leg=CALLER, kind="gap", detail="40 ms")
REPORTS: tuple[CallEvent, ...] = (
    AgentAttached(agent=START.agent, worker="worker1"),  # type: ignore[arg-type]
    PersonRequested(reason="asked"),
    SEGMENT,
    SPOKEN,
    HEARD,
    BARGED,
    StepEntered(step="book", previous="greet", because="intent"),
    SlotFilled(name="day", value="Monday"),
    Misunderstood(turn=TurnId(1), times=2),
    RuleRefused(rule="prices", what="sentence", detail="…"),
    ToolRequested(run="r1", tool="book", arguments={"day": "Monday"}),
    ToolFinished(run="r1", ok=True, result="booked"),
    TIMED,
    DIGIT,
    MEASURED,
    TROUBLED,
    TrunkMeasured(
        leg=CALLER, trunk="a", direction="inbound", status=200, answered=True, cause="normal"
    ),
    AnswererJudged(leg=CALLER, answerer="machine", because="it spoke for long"),
)


def admitted(state: CallState, *events: CallEvent) -> bool:
    try:
        decide(state, Report(events=events))
    except IllegalTransitionError:
        return False
    return True


def test_every_reportable_fact_is_tried_here():
    assert {type(event) for event in REPORTS} == set(REPORTABLE)


@pytest.mark.parametrize("event", REPORTS, ids=lambda event: type(event).__name__)
def test_a_fact_is_admitted_in_the_phases_of_its_row_only(event: CallEvent):
    playing = after(START, CONNECT, Report(events=(SPOKEN,)))
    other = replace(SPOKEN, utterance=UtteranceId("1.1.2"))
    tried = other if event is SPOKEN else event
    for phase in Phase:
        state = replace(playing, phase=phase)
        assert admitted(state, tried) == (phase in REPORTABLE[type(event)].phases)


@pytest.mark.parametrize(
    "event",
    [
        SPOKEN,
        replace(HEARD, utterance=UtteranceId("9")),
        replace(BARGED, utterance=UtteranceId("9")),
        StepEntered(step="book", previous=None, because="x"),
        ToolRequested(run="r", tool="book", arguments={}),
        replace(DIGIT, leg=LegId("x")),
        replace(MEASURED, leg=LegId("x")),
        replace(TROUBLED, leg=LegId("x")),
        replace(SEGMENT, leg=LegId("x")),
        replace(SEGMENT, leg=ANNS_LEG),
        AgentFailed(reason="x"),
        CallEnded(cause="x", by="agent"),
        LegAdded(leg=LegId("x"), role="target", transport="sip"),
        FloorReturned(who=None, reason="x"),
        ListenStarted(leg=ANNS_LEG, who=ANN),
        ListenStopped(leg=ANNS_LEG, who=ANN),
        CallStarted(
            direction="inbound", transport="sip", called="", caller="", agent=None, variables={}
        ),
        CallResumed(leg=CALLER),
    ],
    ids=lambda event: type(event).__name__,
)
def test_facts_that_do_not_fit_a_call_a_person_has_are_refused(event: CallEvent):
    assert not admitted(after(*TAKEN), event)


def test_an_agent_cannot_be_attached_to_a_call_without_one():
    assert not admitted(after(replace(START, agent=None), CONNECT), REPORTS[0])


def test_an_utterance_starts_once_and_ends_once():
    state = after(START, CONNECT)
    assert not admitted(state, SPOKEN, SPOKEN)
    assert admitted(state, SPOKEN, BARGED, HEARD)
    assert not admitted(state, SPOKEN, HEARD, HEARD)


def test_a_report_is_admitted_as_a_whole():
    state = after(START, CONNECT)
    with pytest.raises(IllegalTransitionError):
        decide(state, Report(events=(SEGMENT, HEARD)))


def test_the_conversation_holds_what_was_heard_and_known():
    talk = after(
        START,
        CONNECT,
        Report(
            events=(
                SPOKEN,
                BARGED,
                HEARD,
                SEGMENT,
                REPORTS[6],
                Misunderstood(turn=TurnId(1), times=2),
                TIMED,
                replace(TIMED, first_packet_ms=None),
            )
        ),
    ).conversation
    agent, caller = talk.said
    assert (agent.heard, agent.interrupted, agent.end_s) == ("Hello", True, 1.5)
    assert (caller.text, caller.heard, caller.turn) == ("hi", "hi", 1)
    assert (talk.turn, talk.step, talk.misunderstood) == (1, "book", 2)
    assert (talk.barge_ins, talk.last_answer_ms) == (1, 5.0)


def test_a_slot_is_filled_forgotten_and_ends_the_misunderstanding():
    state = after(START, CONNECT, Report(events=(REPORTS[8], REPORTS[7])))
    assert (state.conversation.slots, state.conversation.misunderstood) == ({"day": "Monday"}, 0)
    forgotten = fold(state, SlotFilled(name="day", value=None))
    assert forgotten.conversation.slots == {}


def test_what_a_dead_worker_was_saying_counts_as_not_heard():
    state = after(START, CONNECT, Report(events=(SEGMENT, SPOKEN)))
    attached = fold(state, REPORTS[0])
    caller, agent = attached.conversation.said
    assert (caller.heard, agent.heard, agent.interrupted) == ("hi", "", True)


def test_a_record_that_does_not_follow_breaks_the_log():
    state = after(START)
    event = LegConnected(leg=CALLER, codec="PCMU")
    for wrong in (
        replace(record(state, event), seq=state.seq),
        replace(record(state, event), seq=state.seq + 2),
        replace(record(state, event), call=CallId("other")),
    ):
        with pytest.raises(BrokenLogError):
            evolve(state, wrong)


def test_an_event_of_an_unknown_leg_breaks_the_log():
    with pytest.raises(BrokenLogError):
        fold(after(START), LegRemoved(leg=LegId("x"), reason="?"))


def test_an_empty_log_is_no_call():
    with pytest.raises(BrokenLogError):
        replay([])


def test_replay_is_the_fold():
    state, records = CallState(id=CALL), []
    for command in TAKEN:
        for event in decide(state, command):
            records.append(record(state, event))
            state = evolve(state, records[-1])
    assert replay(records) == state
