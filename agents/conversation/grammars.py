"""The recogniser's grammar of each step, from the answers and intents that the step takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agents.conversation.flow import WEEKDAYS, Flow, Intent, Step
from agents.speech import grammar
from agents.speech.grammar import Part
from agents.speech.ports import Grammar

_CARRIER: Final = (
    "i would like [to] | i'd like [to] | i want [to] | i need [to] | can i | could i | can you | could you"
    " | please | do you have | tell me | can you tell me | what is | what's | what are | give me"
)
_OBJECT: Final = (
    "make | have | get | know | hear | the | a | an | your | about | speak to | talk to | make a"
    " | make an | have a | have an | get a | get an | book | book a | book an"
)
_CORRECTION: Final = (
    "no | no make it | actually | make it | i mean | yes | how about | what about | can we make it"
    " | can you make it | let's say | let us say"
)
_NAMED: Final = "my name is | this is | the name is"


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
    parts = [*_answers(flow, step), *_moments(flow, step), *_intents(flow, step)]
    return grammar.build(parts or [grammar.yes_no(step.name)])


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


def _moments(flow: Flow, step: Step) -> Iterator[Part]:
    """Days, times and names: asked for, said in the same breath as a wish, or corrected.

    Each alternative is expanded by the recogniser wherever it is named, so days and times are named
    once: a grammar that says them three times takes seconds to compile.
    """
    kinds = {each.expect.kind for each in flow.slot_steps.values()}
    asked = step.expect.kind
    open_question = asked in ("intents", "yes_no")
    day = "date" in kinds and (open_question or asked in ("date", "time", "name"))
    time = "time" in kinds and (open_question or asked in ("date", "time", "name"))
    if not (day or time):
        return
    days = f"({_dates().alternatives})" if day else ""
    times = f"({grammar.time().alternatives})" if time else ""
    moment = f"{days} [{times}]" if day and time and asked != "time" else days or times
    if day and time and asked in ("name", "yes_no"):  # a correction may be of the time alone
        moment = f"{days} [{times}] | {times}"
    if asked == "time":
        moment = f"{times} | {days}" if day else times
    lead = _CORRECTION
    leading = [phrase for intent in _leading(flow, step) for phrase in intent.phrases]
    if asked == "intents" and leading:
        wish = grammar.phrases(leading, step.name).alternatives
        lead = f"[{_CARRIER}] [{_OBJECT}] ({wish}) [an appointment | a visit] [for | on]"
    names = " | ".join(map(grammar.plain, flow.names))
    named = bool(names) and "name" in kinds
    whom = f"[for ({names})]" if named and asked != "name" else ""
    # Where a name is asked for, a bare number is a telephone number; a moment has to be led in.
    lead = f"({lead})" if asked == "name" else f"[{lead}]"
    yield Part(f"{lead} ({moment}) {whom} [then]", step.name)
    if named and asked in ("date", "time"):
        yield Part(f"({_NAMED}) ({names})", step.name, greeted=False)


def _dates() -> Part:
    named = " | ".join(WEEKDAYS)
    return Part(
        f"[on | this | next] ({named}) | today | tomorrow | yesterday | the day after tomorrow"
        " | in (a | one | two) (week | weeks)"
    )


def _names(flow: Flow, step: Step) -> Iterator[Part]:
    if flow.names:
        yield grammar.name(flow.names, step=step.name)


def _leading(flow: Flow, step: Step) -> Iterator[Intent]:
    for intent in flow.heard_in(step):
        if intent.next and flow.steps[intent.next].slot:
            yield intent


def _intents(flow: Flow, step: Step) -> Iterator[Part]:
    """All wishes behind one lead-in; each phrase alone as well."""
    wishes = [phrase for intent in flow.heard_in(step) for phrase in intent.phrases]
    if wishes:
        said = grammar.phrases(wishes, step.name).alternatives
        yield Part(f"[{_CARRIER}] [{_OBJECT}] ({said}) [an appointment | a visit]", step.name)


def _led(lead: str, part: Part) -> Part:
    return Part(f"[{lead}] ({part.alternatives})", part.step)
