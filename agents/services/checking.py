"""Whether a definition can be published: the flow holds together, and every phrase can be recognised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.conversation.flow import Flow, FlowError, parse_definition
from agents.speech.errors import GrammarError, UnknownWordError
from agents.speech.grammar import build, phrases


def problems_of(definition: dict[str, Any]) -> list[str]:
    """One text per fault, `place: what`; empty if the definition can be published."""
    try:
        flow = parse_definition(definition)
    except FlowError as error:
        return list(error.problems)
    return list(_unheard_phrases(flow))


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
