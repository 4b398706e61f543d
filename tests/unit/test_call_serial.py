"""Events as JSON: everything goes there and back, and nothing else comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.call.commands import (
    CallCommand,
    EndCall,
    FailAgent,
    HoldCall,
    LoseLeg,
    Report,
)
from telephony.call.errors import UnknownEventError
from telephony.call.events import (
    AgentRef,
    CallEvent,
    Recorded,
    SegmentHeard,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import CALLER, CallId, TurnId, UtteranceId
from telephony.call.serial import (
    EVENTS,
    condition,
    event_from_json,
    event_to_json,
    holds_personal_data,
    record_from_json,
    record_to_json,
    row,
)
from tests.fakes.calls import CONNECT, START, TAKEN, after

finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)
events: st.SearchStrategy[CallEvent] = st.one_of(*(st.from_type(kind) for kind in EVENTS.values()))
records = st.builds(
    Recorded,
    call=st.text().map(CallId),
    seq=st.integers(min_value=1),
    at_us=st.integers(min_value=0),
    event=events,
    actor=st.text(),
    idempotency_key=st.none() | st.text(),
)


@given(records)
def test_a_record_goes_through_json_unchanged(recorded: Recorded):
    wire = json.loads(json.dumps(record_to_json(recorded)))
    assert record_from_json({**wire, "row": {}}) == recorded


@pytest.mark.parametrize("kind", EVENTS)
def test_every_kind_goes_there_and_back(kind: str):
    @given(st.from_type(EVENTS[kind]))
    def both_ways(event: CallEvent) -> None:
        assert event_from_json(kind, json.loads(json.dumps(event_to_json(event)))) == event

    both_ways()


SLOT = {"name": "day", "value": "Monday"}
TIMED = {
    "turn": 1,
    "endpoint_ms": 1,
    "stt_final_ms": None,
    "first_sentence_ms": None,
    "first_audio_ms": None,
    "first_packet_ms": None,
}
CALLED: dict[str, Any] = {
    "direction": "inbound",
    "transport": "sip",
    "called": "a",
    "caller": "b",
    "agent": {"agent": "x", "version": 1},
}


@pytest.mark.parametrize(
    ("kind", "body", "version", "named"),
    [
        ("SlotEmptied", {}, 1, "SlotEmptied"),
        ("SlotFilled", SLOT, 2, "version 2"),
        ("SlotFilled", [], 1, "object"),
        ("SlotFilled", {**SLOT, "colour": "red"}, 1, "'colour'"),
        ("SlotFilled", {"name": "day"}, 1, "'value'"),
        ("SlotFilled", {"name": 5, "value": None}, 1, "'name'"),
        ("TurnTimed", {**TIMED, "endpoint_ms": "fast"}, 1, "'endpoint_ms'"),
        ("TurnTimed", {**TIMED, "endpoint_ms": True}, 1, "'endpoint_ms'"),
        ("TurnTimed", {**TIMED, "turn": True}, 1, "'turn'"),
        ("CallStarted", {**CALLED, "direction": "up"}, 1, "'direction'"),
        ("CallStarted", {**CALLED, "direction": []}, 1, "'direction'"),
        ("CallStarted", {**CALLED, "agent": {"agent": "x"}}, 1, "'agent'"),
        ("CallStarted", {**CALLED, "agent": "x"}, 1, "'agent'"),
        ("CallStarted", {**CALLED, "variables": []}, 1, "'variables'"),
        ("CallStarted", {**CALLED, "variables": {"a": 1}}, 1, "'variables'"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(kind: str, body: Any, version: int, named: str):
    with pytest.raises(UnknownEventError, match=named):
        event_from_json(kind, body, version)


def test_a_field_with_a_default_may_be_missing_and_numbers_are_floats():
    event = event_from_json("CallStarted", CALLED)
    assert event == EVENTS["CallStarted"](**{**CALLED, "agent": AgentRef("x", 1), "variables": {}})
    timed = event_from_json("TurnTimed", TIMED)
    assert isinstance(timed, TurnTimed)
    assert isinstance(timed.endpoint_ms, float)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seq": "1"}, "int"), ({"call": None}, "str"), ({"id": 5}, "str"), ({"kind": 1}, "str")],
)
def test_a_record_of_wrong_types_is_refused(change: dict[str, Any], named: str):
    good = {"call": "c", "seq": 1, "at_us": 1, "kind": "SlotFilled", "actor": "x", "event": SLOT}
    with pytest.raises(UnknownEventError, match=named):
        record_from_json({**good, **change})


def test_a_record_without_an_event_is_refused():
    with pytest.raises(UnknownEventError, match="call"):
        record_from_json({})


def test_refusals_do_not_quote_values():
    with pytest.raises(UnknownEventError) as refusal:
        event_from_json("SlotFilled", {"name": "day", "value": ["+15550100"]})
    assert "+15550100" not in str(refusal.value)


def test_words_and_numbers_of_callers_are_personal_data():
    private = {kind for kind in EVENTS if holds_personal_data(kind)}
    assert {"CallStarted", "SegmentHeard", "UtteranceEnded", "DigitReceived"} <= private
    assert not private & {"LegAdded", "BargedIn", "TurnTimed", "QualityMeasured", "CallEnded"}


# ------------------------------------------------------------------------------------------------------ rows

SPOKEN = UtteranceStarted(
    utterance=UtteranceId("1"), turn=None, text="Hello.", step="greet", start_s=0.1
)
ASKED = SegmentHeard(
    leg=CALLER,
    role="caller",
    turn=TurnId(1),
    text="hi",
    start_s=1.0,
    end_s=1.2,
    pause_before_s=0.3,
)
SAID = UtteranceEnded(utterance=UtteranceId("1"), heard="Hello.", complete=True, end_s=0.9)


@pytest.mark.parametrize(
    ("word", "commands"),
    [
        ("ringing", ()),
        ("ringing", (START,)),
        ("listening", (START, CONNECT)),
        ("speaking", (START, CONNECT, Report(events=(SPOKEN,)))),
        ("listening", (START, CONNECT, Report(events=(SPOKEN, SAID)))),
        ("thinking", (START, CONNECT, Report(events=(SPOKEN, SAID, ASKED)))),
        ("human", TAKEN),
        ("degraded", (START, CONNECT, FailAgent(reason="eof"))),
        ("hold", (*TAKEN, HoldCall(leg=CALLER))),
        ("reconnecting", (START, CONNECT, LoseLeg(leg=CALLER, reason="ice"))),
        ("ended", (*TAKEN, EndCall(cause="bye", by="caller"))),
    ],
)
def test_a_call_is_described_by_one_word(word: str, commands: tuple[CallCommand, ...]):
    assert condition(after(*commands)) == word


def test_a_row_says_what_a_list_shows():
    state = after(*TAKEN, Report(events=(ASKED,)))
    assert row(state, "node1") == {
        "id": "c1",
        "node": "node1",
        "phase": "active",
        "state": "human",
        "direction": "inbound",
        "transport": "sip",
        "caller": "+15550100",
        "called": "demo",
        "agent": "receptionist",
        "version": 3,
        "step": None,
        "floor": "desk-1",
        "controller": "ann",
        "listeners": ["ann"],
        "last": {"role": "caller", "text": "hi"},
        "answer_ms": None,
        "barge_ins": 0,
        "person_requested": None,
        "transfer": None,
        "started_us": 1000,
        "answered_us": 1000,
        "ended_us": None,
        "end_cause": None,
        "seq": state.seq,
    }
