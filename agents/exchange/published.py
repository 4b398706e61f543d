"""A published agent as its calls use it: its flow and what follows from it, read once and shared by all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from agents.conversation.flow import Flow, parse_definition
from agents.conversation.rendering import Renderer
from agents.conversation.rules import Rules

KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class PublishedAgent:
    """`emergency_lines`: sentences whose audio has to be there before they are needed."""

    definition: Mapping[str, Any]
    flow: Flow
    rules: Rules
    emergency_lines: tuple[str, ...]

    @classmethod
    def read(cls, definition: Mapping[str, Any]) -> PublishedAgent:
        """Raises: FlowError."""
        flow = parse_definition(definition)
        renderer = Renderer(flow, {}, date.min)
        greeting = [renderer.text(each) for each in flow.steps[flow.start].say]
        lines = (*flow.wording.fallback, *flow.wording.filler, *greeting)
        return cls(definition, flow, Rules(flow), lines)


class PublishedAgents:
    """The agents of a node, by their definitions, which a snapshot shares among all calls."""

    def __init__(self) -> None:
        self._agents: OrderedDict[int, PublishedAgent] = OrderedDict()

    def of(self, definition: Mapping[str, Any]) -> PublishedAgent:
        """The agent of this very object; it is kept with its agent, so that its identity stays its own.

        Raises: FlowError.
        """
        key = id(definition)
        known = self._agents.get(key)
        if known is not None:
            self._agents.move_to_end(key)
            return known
        agent = PublishedAgent.read(definition)
        self._agents[key] = agent
        if len(self._agents) > KEPT:
            self._agents.popitem(last=False)
        return agent
