from __future__ import annotations

from typing import Any

import pytest

from frontend.access import PERMISSIONS, TRANSCRIPT, VIEW, Viewer
from frontend.presenters.captions import Captions
from frontend.presenters.events import SPOKEN, present_event, present_partial
from frontend.presenters.masking import mask, mask_numbers, party
from frontend.presenters.rows import order_of, patch, present_row
from telephony.call.serial import EVENTS, holds_personal_data

EVERYTHING = Viewer("ravi", frozenset(PERMISSIONS))
READER = Viewer("lena", frozenset({VIEW, TRANSCRIPT}))
WATCHER = Viewer("tom", frozenset({VIEW}))

ROW = {
    "id": "c1", "node": "node1", "state": "thinking", "direction": "inbound", "transport": "sip",
    "caller": "+4930123456", "called": "demo", "agent": "receptionist", "version": 3,
    "step": "greeting", "floor": "agent", "controller": None, "listeners": ["asha"],
    "last": {"role": "caller", "text": "my number is 0171 5550 992"}, "answer_ms": 380.0,
    "barge_ins": 0, "person_requested": None, "started_us": 1, "answered_us": 2, "ended_us": None,
    "end_cause": None, "seq": 9,
}  # fmt: skip


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"call": "c1", "seq": 7, "at_us": 1, "kind": kind, "actor": "system", "event": fields}


# ------------------------------------------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("+4930123456", "+4930123456"),
        ("sip:+4930123456@trunk.example;user=phone", "+4930123456"),
        ('"<sips:anna@example.com>', "anna"),
        ("", "unknown"),
    ],
)
def test_a_party_is_shown_by_the_user_part_of_its_address(address: str, name: str) -> None:
    assert party(address, "sip") == name


def test_a_browser_caller_has_no_number() -> None:
    assert party("", "webrtc") == "Web visitor"


def test_a_masked_number_cannot_be_called_back() -> None:
    assert mask("+4930123456") == "••• 56"
    assert mask("anna") == "a•••"


def test_long_numbers_in_a_sentence_are_hidden_and_short_ones_are_not() -> None:
    assert mask_numbers("at 11, call 0171 5550-992 please") == "at 11, call ••• please"


# ---------------------------------------------------------------------------------------------------------- rows


def test_a_row_shows_number_and_words_only_to_those_who_may_see_them() -> None:
    assert present_row(ROW, EVERYTHING)["caller"] == "+4930123456"
    assert present_row(ROW, EVERYTHING)["last"]["text"] == "my number is 0171 5550 992"
    assert present_row(ROW, READER)["caller"] == "••• 56"
    assert present_row(ROW, READER)["last"]["text"] == "my number is •••"
    assert present_row(ROW, WATCHER)["last"] is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"person_requested": "caller_asked"}, "wants a person"),
        ({"state": "degraded"}, "agent failed"),
        ({"answer_ms": 1300.0}, "slow answers"),
        ({"barge_ins": 3}, "3 barge-ins"),
        ({"person_requested": "caller_asked", "controller": "asha"}, ""),
        ({"person_requested": "caller_asked", "state": "ended"}, ""),
        ({}, ""),
    ],
)
def test_a_row_says_why_it_needs_a_person(change: dict[str, Any], why: str) -> None:
    assert present_row(ROW | change, EVERYTHING)["why"] == why


def test_calls_that_need_a_person_stand_first_and_the_newest_follow() -> None:
    rows = {
        name: present_row(ROW | {"id": name, "started_us": started, "barge_ins": barges}, READER)
        for name, started, barges in (("old", 1, 5), ("mid", 2, 0), ("new", 3, 0))
    }
    assert order_of(rows) == ["old", "new", "mid"]


def test_a_patch_holds_only_what_changed() -> None:
    assert patch({"a": 1, "b": 2}, {"a": 1, "b": 3}) == {"b": 3}


# -------------------------------------------------------------------------------------------------------- events


def test_every_kind_with_personal_data_has_a_rule_here() -> None:
    covered = set(SPOKEN) | {"CallStarted", "DigitReceived"}
    assert {kind for kind in EVENTS if holds_personal_data(kind)} <= covered


def test_words_are_withheld_by_name_from_those_who_may_not_read_them() -> None:
    shown = present_event(event("SegmentHeard", role="caller", text="my secret"), WATCHER)
    assert shown["withheld"] is True
    assert "text" not in shown["event"]


def test_tool_arguments_are_masked_value_by_value() -> None:
    body = event("ToolRequested", run="1", tool="book", arguments={"number": "01715550992"})
    assert present_event(body, READER)["event"]["arguments"] == {"number": "•••"}


def test_digits_are_withheld_whole_but_keep_their_place() -> None:
    assert present_event(event("DigitReceived", digit="7"), READER) == {
        "seq": 7, "kind": "withheld", "at_us": 1,
    }  # fmt: skip


def test_the_caller_is_masked_in_the_first_event_as_in_the_row() -> None:
    body = event(
        "CallStarted", transport="sip", caller="+4930123456", called="demo", variables={"a": "b"}
    )
    shown = present_event(body, READER)["event"]
    assert shown["caller"] == "••• 56"
    assert "variables" not in shown


def test_growing_words_reach_only_readers() -> None:
    partial = {
        "call": "c1",
        "leg": "caller",
        "role": "caller",
        "turn": 1,
        "text": "call 0171555099",
    }
    assert present_partial(partial, WATCHER) is None
    shown = present_partial(partial, READER)
    assert shown is not None
    assert shown["text"] == "call •••"


# ------------------------------------------------------------------------------------------------------ captions


def test_captions_tell_the_caller_what_was_said_and_who_speaks() -> None:
    captions = Captions()
    said = captions.of_event(
        event("UtteranceStarted", utterance="1.0.1", text="Hello", step="greeting")
    )
    assert said == [{"type": "transcript", "role": "agent", "text": "Hello", "final": True, "id": "1.0.1", "seq": 7}]  # fmt: skip
    assert captions.of_event(event("FloorTaken", leg="d", who="asha"))[0]["to"] == "person"


def test_an_interrupted_line_is_cut_to_what_was_heard() -> None:
    ended = event("UtteranceEnded", utterance="1.0.1", heard="Hel", complete=False)
    assert Captions().of_event(ended)[0] == {"type": "interrupted", "id": "1.0.1", "heard": "Hel", "seq": 7}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    ["RuleRefused", "ToolRequested", "ToolFinished", "SlotFilled", "ListenStarted", "StepEntered"],
)
def test_nothing_of_the_house_reaches_the_caller(kind: str) -> None:
    assert Captions().of_event(event(kind, who="asha", detail="x", value="y")) == []


def test_the_brief_of_a_hand_back_never_reaches_the_caller() -> None:
    messages = Captions().of_event(event("FloorReturned", who="asha", brief="offer a discount"))
    assert "discount" not in str(messages)
    assert "asha" not in str(messages)


def test_a_state_is_said_once() -> None:
    captions = Captions()
    assert captions.of_row({"state": "speaking", "seq": 3}) is not None
    assert captions.of_row({"state": "speaking", "seq": 4}) is None


def test_the_end_says_how_long_the_call_was() -> None:
    captions = Captions()
    captions.of_event(event("CallStarted", transport="webrtc") | {"at_us": 1_000_000})
    ended = captions.of_event(event("CallEnded", cause="caller_hung_up") | {"at_us": 13_200_000})
    assert ended == [{"type": "ended", "reason": "caller_hung_up", "seconds": 12, "seq": 7}]


def test_a_supervisor_is_a_person_to_the_caller() -> None:
    partial = Captions().of_partial({"role": "supervisor", "text": "hi"})
    assert partial is not None
    assert partial["role"] == "person"


def test_what_others_say_while_the_caller_waits_is_not_for_the_caller() -> None:
    captions = Captions()

    def told(kind: str, **event: Any) -> list[dict[str, Any]]:
        return captions.of_event({"kind": kind, "seq": 1, "event": event})

    aside = {"utterance": "1", "text": "I have a caller.", "heard_by": "target-1"}
    assert told("UtteranceStarted", **aside) == []
    assert told("UtteranceEnded", utterance="1", heard="I have", complete=False) == []
    told("TransferProgressed", stage="consulting")
    assert told("SegmentHeard", role="supervisor", text="a difficult one") == []
    assert captions.of_partial({"role": "target", "text": "oh"}) is None
    assert told("SegmentHeard", role="caller", text="hello?") != []
    told("TransferEnded", outcome="cancelled")
    assert told("SegmentHeard", role="supervisor", text="there I am again") != []


def test_a_transfer_shows_a_colleague_by_name_and_a_number_masked() -> None:
    row = {**ROW, "transfer": {"stage": "ringing", "mode": "blind", "to": "+15550123"}}
    shown = present_row(row, WATCHER)["transfer"]
    assert (shown["stage"], shown["to"]) == ("ringing", "••• 23")
    assert present_row(row, EVERYTHING)["transfer"]["to"] == "+15550123"
    to_desk = {**ROW, "transfer": {"to": "200"}}
    assert present_row(to_desk, WATCHER)["transfer"]["to"] == "200"
    asked = event("TransferRequested", destination="+15550123", brief="no")
    shown = present_event(asked, WATCHER)
    assert (shown["event"], shown["withheld"]) == ({"destination": "••• 23"}, True)


def test_the_person_of_a_call_that_we_placed_is_the_one_called_and_is_masked() -> None:
    row = {
        "direction": "outbound",
        "transport": "sip",
        "caller": "+4930999",
        "called": "+4930123456",
    }
    shown = present_row(ROW | row, WATCHER)
    assert (shown["caller"], shown["called"]) == ("••• 56", "+4930999")
    assert present_row(ROW | row, EVERYTHING)["caller"] == "+4930123456"
    started = event("CallStarted", **row)
    assert "123456" not in str(present_event(started, WATCHER))


def test_a_number_that_we_called_is_masked_like_a_callers() -> None:
    row = {**ROW, "direction": "outbound", "caller": "+4930999", "called": "+491701234567"}
    assert present_row(row, WATCHER)["caller"] == "••• 67"
    shown = present_row(row, EVERYTHING)
    assert (shown["caller"], shown["called"]) == ("+491701234567", "+4930999")
    began = event(
        "CallStarted", direction="outbound", transport="sip", called="+491701234567", caller="+4930999"
    )  # fmt: skip
    assert present_event(began, WATCHER)["event"]["called"] == "••• 67"
    assert present_event(began, WATCHER)["event"]["caller"] == "+4930999"


def test_a_caller_who_is_put_through_waits() -> None:
    assert Captions().of_row({"state": "transferring", "seq": 3}) == {
        "type": "state",
        "state": "hold",
        "seq": 3,
    }


def test_whom_a_phone_of_ours_calls_is_masked_wherever_it_is_written() -> None:
    """A call out goes on as a transfer whose name is the number."""
    out = {"transport": "sip", "caller": "200", "called": "+491701234567"}
    row = {**ROW, **out, "transfer": {"to": "+491701234567", "name": "+491701234567"}}
    asked = event("TransferRequested", destination="+491701234567", name="+491701234567")
    began = event("CallStarted", direction="inbound", **out)
    for shown in (
        present_row(row, WATCHER),
        present_event(asked, WATCHER),
        present_event(began, WATCHER),
    ):
        assert "1701234567" not in str(shown)
    assert present_row(row, EVERYTHING)["called"] == "+491701234567"
    assert present_row(row, EVERYTHING)["transfer"]["name"] == "+491701234567"
