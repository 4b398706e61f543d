from __future__ import annotations

import json
from typing import Any

import pytest

from frontend.messages import DESK, WIDGET, MessageError, Patience, parse

LIMIT = 64 * 1024


def read(message: Any, shapes: Any = WIDGET) -> dict[str, Any]:
    return parse(json.dumps(message), shapes, maximum=LIMIT)


def test_a_well_formed_start_is_taken_as_it_is() -> None:
    message = {"type": "start", "v": 1, "key": "demo", "sdp": "v=0", "variables": {"plan": "gold"}}
    assert read(message) == message


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"type": "start", "v": 1, "key": "demo"}, "sdp"),
        ({"type": "start", "v": True, "key": "demo", "sdp": "v=0"}, "v is missing"),
        ({"type": "start", "v": 2, "key": "demo", "sdp": "v=0"}, "v is missing"),
        ({"type": "start", "v": 1, "key": "  ", "sdp": "v=0"}, "key"),
        ({"type": "start", "v": 1, "key": "demo", "sdp": "x" * 32769}, "sdp"),
        ({"type": "start", "v": 1, "key": "d", "sdp": "v", "variables": {"a": 1}}, "variables"),
        ({"type": "start", "v": 1, "key": "d", "sdp": "v", "more": 1}, "unknown field"),
        ({"type": "resume", "v": 1, "token": "t", "sdp": "v", "since": -1}, "since"),
        ({"type": "text", "text": "x" * 501}, "text"),
        ({"type": "shout"}, "no such message type"),
        (["start"], "object with a type"),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_by_name(message: Any, named: str) -> None:
    with pytest.raises(MessageError) as refused:
        read(message)
    assert named in refused.value.text
    assert refused.value.code == "message"


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 5000, '"start"'])
def test_what_is_not_a_json_object_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        parse(text, WIDGET, maximum=LIMIT)


def test_a_message_over_the_limit_is_refused_by_its_bytes_not_its_letters() -> None:
    with pytest.raises(MessageError) as refused:
        parse("ä" * 40_000, WIDGET, maximum=LIMIT)
    assert refused.value.code == "too-large"


def test_half_a_surrogate_pair_is_refused_and_a_whole_one_is_not() -> None:
    with pytest.raises(MessageError):
        parse('{"type": "text", "text": "\\uD83d"}', WIDGET, maximum=LIMIT)
    assert (
        parse('{"type": "text", "text": "\\ud83d\\ude00"}', WIDGET, maximum=LIMIT)["text"] == "😀"
    )


def test_a_command_may_carry_an_offer_but_no_long_text() -> None:
    command = {"type": "cmd", "id": "1", "call": "c", "name": "listen"}
    assert read({**command, "args": {"sdp": "v" * 20_000}}, DESK)["args"]["sdp"]
    with pytest.raises(MessageError):
        read({**command, "args": {"brief": "v" * 20_000}}, DESK)


def test_the_tenth_refusal_within_ten_seconds_closes() -> None:
    patience = Patience()
    assert [patience.refused(now=float(i)) for i in range(10)] == [False] * 9 + [True]


def test_refusals_far_apart_never_close() -> None:
    patience = Patience()
    assert not any(patience.refused(now=i * 2.0) for i in range(40))
