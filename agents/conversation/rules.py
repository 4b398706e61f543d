"""The governor's rules of the moment, from the flow and what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date

from agents.conversation.flow import Flow, Step, sentences_of
from agents.conversation.rendering import Renderer
from agents.conversation.spoken import spoken_limits
from agents.conversation.wording import FILLED, Wording
from agents.governance.policy import Policy


def policy_of(
    flow: Flow, step: str, slots: Mapping[str, str], today: date, heard: Iterable[str] = ()
) -> Policy:
    """What an answer may do in this step. `slots`: as they will be; `heard`: the caller's own words."""
    renderer = Renderer(flow, slots, today)
    spoken = [renderer.slot(name) for name in slots]
    spoken += [spoken_limits(asking.expect) for asking in flow.slot_steps().values()]
    return Policy(
        steps=reachable(flow, flow.steps.get(step), slots),
        slots=frozenset(flow.slot_steps()),
        endings=endings_of(flow, flow.steps.get(step), slots),
        never_say=flow.never_say,
        must_say=flow.must_say,
        own=frozenset(own_sentences(flow, renderer)),
        known=(*flow.facts.values(), *slots.values(), *spoken, *heard),
        secrets=(flow.instructions,) if flow.instructions else (),
    )


def reachable(flow: Flow, step: Step | None, slots: Mapping[str, str]) -> frozenset[str]:
    """Steps an answer may enter: the next ones, and those behind steps that have nothing left to ask."""
    if step is None:
        return _onwards(flow, {flow.start}, slots)
    return _onwards(flow, set(flow.may_follow(step)), slots) | {step.name}


def _onwards(flow: Flow, names: set[str], slots: Mapping[str, str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in flow.steps:
            continue
        found.add(name)
        step = flow.steps[name]
        known = slots.get(step.slot, "") if step.slot else ""
        if step.expect.kind == "nothing" or known:
            waiting.append(step.answers.get(known) or step.next)
    return frozenset(found)


def endings_of(flow: Flow, step: Step | None, slots: Mapping[str, str]) -> frozenset[str]:
    """A person may be asked for at any time; the call may end where the flow can end it from here."""
    targets = {flow.steps[name].ending for name in reachable(flow, step, slots)}
    intents = {intent.ending for intent in flow.heard_in(step)} if step is not None else set()
    return frozenset({"person", *({"end"} & (targets | intents))})


def own_sentences(flow: Flow, renderer: Renderer) -> Iterable[str]:
    """Everything the flow and its wording can say by themselves at this moment."""
    for _, sentence in sentences_of(flow):
        yield renderer.text(sentence)
    for each in fields(Wording):
        if each.name not in FILLED:
            yield from getattr(flow.wording, each.name)
