"""Whether a definition can be published: the flow holds together, and every phrase can be recognised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.conversation.flow import Flow, FlowError, parse_definition
from agents.conversation.grammars import grammar_of
from agents.speech.errors import GrammarError, UnknownWordError
from agents.speech.grammar import build, phrases

PLACE: Final = re.compile(r"(?P<part>steps|intents)\[(?P<name>[^\]]*)\](?P<keys>\..*)?")
FIELDS: Final[Mapping[str, str]] = {"min": "minimum", "max": "maximum"}
"""Keys of the definition whose field in the form has another name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is: `part` steps or intents with the `name` of the row, or neither; the `field` of its form."""

    part: str
    name: str
    field: str
    text: str


def place_of(problem: str) -> Place:
    """Where to show a problem (`steps[day].next: there is no step 'x'`) in a form."""
    where, _, text = problem.partition(": ")
    found = PLACE.fullmatch(where)
    sentence = f"{text[:1].upper()}{text[1:]}."
    if found is None:
        field = where.removeprefix("limits.").partition(".")[0]
        return Place("", "", field, sentence)
    keys = (found["keys"] or "").strip(".").split(".")
    key = keys[1] if keys[0] == "expect" and len(keys) > 1 else keys[0]
    field = re.sub(r"\[.*", "", key)
    return Place(found["part"], found["name"], FIELDS.get(field, field), sentence)


def problems_of(definition: dict[str, Any]) -> list[str]:
    """One text per fault, `place: what`; empty if the definition can be published."""
    try:
        flow = parse_definition(definition)
    except FlowError as error:
        return list(error.problems)
    return list(_unheard_phrases(flow)) or list(_unheard_steps(flow))


def _unheard_steps(flow: Flow) -> Iterator[str]:
    """Steps whose answers, all together, the recogniser cannot take (names missing, far too many words)."""
    for step in flow.steps.values():
        if step.expect.kind == "nothing":
            continue
        try:
            grammar_of(flow, step.name)
        except GrammarError as error:
            yield f"steps[{step.name}].expect.kind: {error}"


def _unheard_phrases(flow: Flow) -> Iterator[str]:
    spoken = [
        (f"intents[{intent.name}].phrases", phrase)
        for intent in flow.intents.values()
        for phrase in intent.phrases
    ]
    spoken += [
        (f"steps[{step.name}].expect.options", phrase)
        for step in flow.steps.values()
        for option in step.expect.options
        for phrase in option.phrases
    ]
    spoken += [("names", name) for name in flow.names]
    for place, phrase in spoken:
        try:
            build([phrases([phrase])])
        except UnknownWordError as error:
            yield f"{place}: the recogniser has no pronunciation for {error.word!r}"
        except GrammarError as error:
            yield f"{place}: {error}"
