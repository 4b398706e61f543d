"""The governor's rules of the moment, from the flow and what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date

from agents.conversation.endings import transfer_endings
from agents.conversation.flow import Flow, Step, sentences_of
from agents.conversation.rendering import Renderer
from agents.conversation.spoken import spoken_limits
from agents.conversation.wording import FILLED, Wording
from agents.governance.policy import Policy


class Rules:
    """The rules of one flow: what does not change in a call is worked out once, for all its calls."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._slots = frozenset(flow.slot_steps)
        self._limits = tuple(spoken_limits(step.expect) for step in flow.slot_steps.values())
        named = [f"{{{name}}}" for name in flow.slot_steps]
        sentences = [sentence for _, sentence in sentences_of(flow)]
        self._varying = [each for each in sentences if any(name in each for name in named)]
        renderer = Renderer(flow, {}, date.min)
        self.unchanging = frozenset(
            renderer.text(each) for each in sentences if each not in self._varying
        )
        """Sentences of the flow that sound the same in every call."""
        self._fixed = self.unchanging.union(
            *(
                getattr(flow.wording, each.name)
                for each in fields(Wording)
                if each.name not in FILLED
            )
        )

    def policy(
        self, step: str, slots: Mapping[str, str], today: date, heard: Iterable[str] = ()
    ) -> Policy:
        """What an answer may do in this step. `slots`: as they will be; `heard`: the caller's own words."""
        flow = self._flow
        renderer = Renderer(flow, slots, today)
        steps = reachable(flow, flow.steps.get(step), slots)
        spoken = (renderer.slot(name) for name in slots)
        return Policy(
            steps=steps,
            slots=self._slots,
            endings=endings_of(flow, flow.steps.get(step), steps),
            never_say=flow.never_say,
            must_say=flow.must_say,
            own=self._fixed.union(renderer.text(each) for each in self._varying),
            known=(*flow.facts.values(), *slots.values(), *spoken, *self._limits, *heard),
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


def endings_of(flow: Flow, step: Step | None, reached: frozenset[str]) -> frozenset[str]:
    """A person may be asked for at any time; the call may end, or be put through, where the flow can from here."""
    targets = {flow.steps[name].ending for name in reached}
    intents = {intent.ending for intent in flow.heard_in(step)} if step is not None else set()
    named = {"end", *transfer_endings(flow.transfers)}
    return frozenset({"person", *(named & (targets | intents))})
