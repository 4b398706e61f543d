"""Fills facts and slots into the sentences of a flow, as a voice should say them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from agents.conversation.flow import Flow
from agents.conversation.spoken import spoken


class Renderer:
    """Sentences of one flow with these values."""

    def __init__(self, flow: Flow, slots: Mapping[str, str], today: date) -> None:
        self._flow = flow
        self._slots = slots
        self._today = today
        self._values: dict[str, str] | None = None

    def text(self, sentence: str, **more: str) -> str:
        if self._values is None:
            self._values = {name: self.slot(name) for name in self._flow.slot_steps}
            self._values |= self._flow.facts
        return " ".join(sentence.format_map({**self._values, **more}).split())

    def slot(self, name: str) -> str:
        """The slot's value for the ear; empty if it is not known."""
        value = self._slots.get(name, "")
        step = self._flow.slot_steps.get(name)
        if step is None or not value:
            return value
        if step.expect.kind == "one_of":
            phrases = {option.value: option.phrases for option in step.expect.options}
            return (phrases.get(value) or (value,))[0]
        return spoken(step.expect.kind, value, self._today)
