"""Definitions: what is accepted, and every fault with its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from agents.conversation.flow import FlowError, parse_definition
from agents.services.checking import problems_of
from tests.fakes.conversation import RECEPTIONIST

SMALL: dict[str, Any] = {
    "start": "ask",
    "facts": {"shop": "Corner Shop"},
    "steps": [
        {
            "name": "ask",
            "say": ["Welcome to {shop}. Which size?"],
            "expect": {
                "kind": "one_of",
                "options": [
                    {"value": "small", "phrases": ["small"], "digit": "1"},
                    {"value": "big", "phrases": ["big", "large"]},
                ],
            },
            "slot": "size",
            "next": "bye",
        },
        {"name": "bye", "say": ["{size} it is. Bye."], "ending": "end"},
    ],
    "intents": [{"name": "hours", "phrases": ["hours"], "say": ["All day."], "everywhere": True}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small definition with one value replaced; `path` like `steps.0.next`."""
    body = copy.deepcopy(SMALL)
    place: Any = body
    *way, last = path.split(".")
    for key in way:
        place = place[int(key)] if key.isdigit() else place[key]
    place[int(last) if last.isdigit() else last] = value
    return body


def problems(definition: Any) -> tuple[str, ...]:
    with pytest.raises(FlowError) as refusal:
        parse_definition(definition)
    return refusal.value.problems


def test_receptionist_is_a_valid_definition_and_can_be_recognised() -> None:
    assert problems_of(RECEPTIONIST) == []


def test_small_definition_is_read_whole() -> None:
    flow = parse_definition(SMALL)
    assert flow.steps["ask"].expect.options[1].phrases == ("big", "large")
    assert flow.may_follow(flow.steps["ask"]) == {"ask", "bye"}
    assert flow.limits.misunderstandings == 3
    assert str(flow.zone) == "UTC"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("start", "nowhere", "start: there is no step 'nowhere'"),
        ("start", "", "start: must not be empty"),
        ("zone", "Mars/Base", "zone: 'Mars/Base' is not a time zone such as Europe/London"),
        ("zone", 5, "zone: must be a text of at most 400 characters"),
        ("colour", "red", "colour: is not known here"),
        ("facts", [], "facts: must be an object of names with texts"),
        ("steps", {}, "steps: must be a list of at most 200 entries"),
        ("steps.0", 5, "steps[0]: must be an object"),
        ("steps.0.nex", "bye", "steps[ask].nex: is not known here"),
        ("steps.0.next", "gone", "steps[ask].next: there is no step 'gone'"),
        ("steps.0.next", "", "steps[ask].next: nothing follows this step: give `next`, `answers` or `ending`"),
        ("steps.0.say", [], "steps[ask].say: a step that expects an answer has to ask for it"),
        ("steps.0.say", [""], "steps[ask].say: must be a list of texts of 1 to 400 characters"),
        ("steps.0.say", ["{nothing}"], "steps[ask].say[0]: {nothing} is neither a fact nor a slot"),
        ("steps.0.say", ["{shop"], "steps[ask].say[0]: a curly bracket is not closed"),
        ("steps.0.name", "Ask me", "steps[Ask me].name: 'Ask me' must be lower-case letters, digits and _, from a letter on"),
        ("steps.0.expect", {"kind": "guess"}, "steps[ask].expect.kind: 'guess' must be one of 'nothing', 'intents', 'yes_no', 'one_of', 'digits', 'date', 'time', 'name', 'free'"),
        ("steps.0.expect", {"kind": "one_of"}, "steps[ask].expect.options: at least one option is needed"),
        ("steps.0.expect", {"kind": "digits", "min": 5, "max": 2}, "steps[ask].expect.max: must not be less than min"),
        ("steps.0.expect", {"kind": "digits", "min": 1.5, "max": 2}, "steps[ask].expect.min: must be a whole number"),
        ("steps.0.expect", {"kind": "digits", "max": True}, "steps[ask].expect.max: must be a number from 0 to 30"),
        ("steps.0.expect", {"kind": "date", "weekdays": ["Moonday"]}, "steps[ask].expect.weekdays: must be some of monday, tuesday, wednesday, thursday, friday, saturday, sunday"),
        ("steps.0.expect", {"kind": "time", "earliest": "9"}, "steps[ask].expect.earliest: must be a time such as 09:30"),
        ("steps.0.expect", {"kind": "time", "earliest": "10:00", "latest": "09:00"}, "steps[ask].expect.latest: must not be before earliest"),
        ("steps.0.expect.options.0.digit", "0", "steps[ask].expect.options[0].digit: must be one key from 1 to 9 (0 asks for a person)"),
        ("steps.0.answers", [{"value": "huge", "next": "bye"}], "steps[ask].answers: 'huge' is not an answer of this step"),
        ("steps.0.listens", ["sing"], "steps[ask].listens: there is no intent 'sing'"),
        ("steps.0.listens", ["No No"], "steps[ask].listens: 'No No' is not a name"),
        ("steps.0.clears", ["hat"], "steps[ask].clears: no step fills the slot 'hat'"),
        ("steps.1.name", "ask", "steps[ask]: this name is used twice"),
        ("intents.0.phrases", [], "intents[hours].phrases: at least one phrase is needed"),
        ("intents.0.say", [], "intents[hours]: the intent has no effect: give `say`, `next` or `ending`"),
        ("intents.0.next", "gone", "intents[hours].next: there is no step 'gone'"),
        ("intents.0.everywhere", "yes", "intents[hours].everywhere: must be true or false"),
        ("must_say", ["I am a machine."], "must_say: 'I am a machine.' is not a sentence of the start step"),
        ("never_say", ["all day"], "intents[hours].say[0]: says 'all day', which is in never_say"),
        ("limits", {"turns": 0}, "limits.turns: must be a number from 1 to 1000"),
        ("wording", {"help": []}, "wording.help: at least one sentence is needed"),
        ("wording", {"help": ["{heard}"]}, "wording.help: only {heard} may be filled in, in back_heard, back_quoted, corrected, closed_day, past_day, far_day, outside_hours, wrong_digits, kept"),
    ],
)  # fmt: skip
def test_fault_is_told_with_its_place(path: str, value: Any, problem: str) -> None:
    assert problem in problems(changed(path, value))


def test_all_faults_are_told_at_once() -> None:
    body = changed("steps.0.next", "gone")
    body["start"], body["extra"] = "nowhere", 1
    assert len(problems(body)) == 3


def test_circle_without_a_question_is_refused() -> None:
    body = changed("steps.1", {"name": "bye", "say": ["Round."], "next": "loop"})
    body["steps"].append({"name": "loop", "next": "bye"})
    assert "steps[bye].next: leads round in a circle without a question" in problems(body)


@pytest.mark.parametrize("rubbish", [None, 5, [], "x", {"steps": None}])
def test_rubbish_is_refused(rubbish: Any) -> None:
    assert problems(rubbish)
