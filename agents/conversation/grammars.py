"""The recogniser's grammar of each step, from the answers and intents that the step takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from agents.conversation.flow import WEEKDAYS, Flow, Intent, Step
from agents.speech import grammar
from agents.speech.grammar import Part
from agents.speech.ports import Grammar

_CARRIER: Final = (
    "i would like to | i'd like to | i want to | i need to | can i | could i | may i | can you | could you | please"
    " | i would like | i'd like | i want | i need | do you have | tell me | could you tell me | can you tell me"
    " | what is | what's | what are | do you know | give me | can i have | could i have | let me"
)
_OBJECT: Final = (
    "make | have | get | know | hear | to | the | a | an | your | about | speak to | talk to"
)
_OF_INTENT: Final = "{carrier}[{object}] [{object}] ({phrases})"


def grammar_of(flow: Flow, step_name: str) -> Grammar:
    """What may be said in the step; for no step (a supervisor speaks): anything the flow knows.

    Raises:
        GrammarError: naming the step, if it cannot be recognised.
    """
    step = flow.steps.get(step_name)
    if step is None:
        step = next((s for s in flow.steps.values() if s.expect.kind == "intents"), None)
    if step is None:
        step = flow.steps[flow.start]
    parts = [*_answers(flow, step), *_others(flow, step), *_intents(flow, step)]
    return grammar.build(parts or [grammar.yes_no(step.name)])


def all_grammars(flow: Flow) -> Mapping[str, Grammar]:
    """The grammar of every step that expects an answer. Raises: GrammarError."""
    asking = [step.name for step in flow.steps.values() if step.expect.kind != "nothing"]
    return {name: grammar_of(flow, name) for name in asking}


def _answers(flow: Flow, step: Step) -> Iterator[Part]:
    expect = step.expect
    match expect.kind:
        case "yes_no":
            yield grammar.yes_no(step.name)
        case "one_of":
            phrases = [p for o in expect.options for p in (o.phrases or (o.value,))]
            yield _led("change | [it is] | i mean", grammar.phrases(phrases, step.name))
        case "digits":
            yield grammar.digits(max(1, expect.minimum), expect.maximum, step.name)
        case "name":
            yield from _names(flow, step)
            if expect.maximum:
                yield grammar.digits(max(1, expect.minimum), expect.maximum, step.name)
        case _:
            pass


def _others(flow: Flow, step: Step) -> Iterator[Part]:
    """Days, times and names: asked for, said with something else, or corrected."""
    kinds = {each.expect.kind for each in flow.slot_steps().values()}
    wanted = {step.expect.kind} | (kinds if step.expect.kind in ("intents", "yes_no") else set())
    wanted |= kinds & {"time", "name"} if step.expect.kind == "date" else set()
    wanted |= kinds & {"date", "name"} if step.expect.kind == "time" else set()
    day = f"({_dates().alternatives})" if "date" in wanted else ""
    time = f"({grammar.time().alternatives})" if "time" in wanted else ""
    names = f"({' | '.join(map(grammar.plain, flow.names))})" if flow.names else ""
    name = f"[for {names}]" if names and "name" in wanted else ""
    moments = [part for part in (f"{day} [{time}]" if day and time else day, time) if part]
    if moments:
        lead = "no | no make it | actually | make it | i mean | yes | how about"
        booked = " | ".join(f"[{lead}] {moment} {name}" for moment in moments)
        yield Part(booked, step.name)
        if step.expect.kind == "intents":
            for intent in _leading(flow, step):
                said = _of_intent(intent).alternatives
                yield Part(f"({said}) [for | on] {moments[0]} {name}", step.name)


def _dates() -> Part:
    spoken = " | ".join(f"{word} {day}" for word in ("next", "this") for day in WEEKDAYS)
    near = grammar.date()
    return Part(f"{near.alternatives} | [on] ({spoken}) | in (a | one | two) (week | weeks)")


def _names(flow: Flow, step: Step) -> Iterator[Part]:
    if flow.names:
        yield grammar.name(flow.names, step=step.name)


def _leading(flow: Flow, step: Step) -> Iterator[Intent]:
    for intent in flow.heard_in(step):
        if intent.next and flow.steps[intent.next].slot:
            yield intent


def _intents(flow: Flow, step: Step) -> Iterator[Part]:
    for intent in flow.heard_in(step):
        yield _of_intent(intent)


def _of_intent(intent: Intent) -> Part:
    phrases = grammar.phrases(intent.phrases, f"intent {intent.name}")
    said = _OF_INTENT.format(carrier=f"[{_CARRIER}] ", object=_OBJECT, phrases=phrases.alternatives)
    return Part(f"{said} [an appointment | a visit]", phrases.step)


def _led(lead: str, part: Part) -> Part:
    return Part(f"[{lead}] ({part.alternatives})", part.step)
