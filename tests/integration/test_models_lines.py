"""Lists as people type them: each reads back what it writes, and faults are shown where they are."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from agents.models import lines
from agents.services import place_of


def test_options_read_back_what_they_write() -> None:
    options: list[dict[str, object]] = [
        {"value": "checkup", "phrases": ["check up", "cleaning"], "digit": "1"},
        {"value": "pain", "phrases": ["tooth ache"]},
        {"value": "other", "digit": "3"},
        {"value": "none"},
    ]

    assert lines.options_of(lines.options_text(options)) == options


def test_answers_facts_and_wording_read_back_what_they_write() -> None:
    answers = [{"value": "yes", "next": "booked"}, {"value": "no", "next": "day"}]
    facts = {"business": "Harbour: Dental", "hours": "nine to five"}
    wording = {"silence": ["Are you there?", "Hello?"], "help": ["Ask me."]}

    assert lines.answers_of(lines.answers_text(answers)) == answers
    assert lines.facts_of(lines.facts_text(facts)) == facts
    assert lines.wording_of(lines.wording_text(wording)) == wording


def test_transfers_read_back_what_they_write() -> None:
    transfers: list[dict[str, object]] = [
        {"name": "sales", "to": "+4930123456"},
        {"name": "desk", "to": "200", "mode": "attended", "brief": ["I have {name}.", "Thanks."]},
        {"name": "out", "to": "sip:a@b:5070", "then": "end", "leaves": True},
    ]

    assert lines.transfers_of(lines.transfers_text(transfers)) == transfers
    with pytest.raises(ValidationError):
        lines.validate_transfers("sales")


def test_every_line_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValidationError) as refusal:
        lines.answers_of("yes -> booked\nno\n-> day")

    assert [text.split(",")[0] for text in refusal.value.messages] == ["Line 2", "Line 3"]


@pytest.mark.parametrize(
    ("problem", "part", "name", "field"),
    [
        ("steps[day].next: there is no step 'x'", "steps", "day", "next"),
        ("steps[day].say[0]: {x} is neither a fact nor a slot", "steps", "day", "say"),
        ("steps[day].expect.kind: 'x' must be one of 'nothing'", "steps", "day", "kind"),
        ("steps[day].expect.min: must be a number", "steps", "day", "minimum"),
        ("steps[day].expect.options[a].digit: must be one key", "steps", "day", "options"),
        ("intents[hours].phrases: at least one phrase is needed", "intents", "hours", "phrases"),
        ("intents[hours]: the intent has no effect", "intents", "hours", ""),
        ("start: there is no step 'x'", "", "", "start"),
        ("limits.turns: must be a number from 1 to 1000", "", "", "turns"),
        ("wording.silence: must be a list", "", "", "wording"),
    ],
)
def test_a_problem_is_shown_at_its_field(problem: str, part: str, name: str, field: str) -> None:
    place = place_of(problem)

    assert (place.part, place.name, place.field) == (part, name, field)
    assert place.text.endswith(".")
