"""Reads of the agents' tables."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.models import Agent, AgentVersion, lines
from telephony.selectors import AnsweringAgent


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a comparison. `kind`: added, removed, same or place."""

    kind: str
    text: str


def published_versions() -> Mapping[str, AnsweringAgent]:
    """All agents by slug, with the version that callers get (see `telephony.selectors`)."""
    agents = Agent.objects.select_related("published")
    return {
        agent.slug: AnsweringAgent(
            agent.slug, agent.name, agent.published.number if agent.published else None
        )
        for agent in agents
    }


def snapshot_agents() -> dict[str, Any]:
    """Definitions of the published versions, by `slug@number`."""
    published = AgentVersion.objects.filter(pk__in=Agent.objects.values("published"))
    return {
        f"{version.agent.slug}@{version.number}": version.definition
        for version in published.select_related("agent")
    }


def version_of(agent: Agent, number: int) -> AgentVersion | None:
    """None if there is no such version."""
    return agent.versions.filter(number=number).first()


def draft_definition(agent: Agent) -> dict[str, Any]:
    """The draft as a definition (schema: `agents.conversation.flow`), not yet checked."""
    return definition_of(agent, agent.steps.all(), agent.intents.all())


def definition_of(agent: Agent, steps: Any, intents: Any) -> dict[str, Any]:
    """A definition out of rows, saved or not. `steps`, `intents`: iterables in their order."""
    body: dict[str, Any] = {
        "voice": agent.voice,
        "zone": agent.zone,
        "start": agent.start,
        "facts": lines.facts_of(agent.facts),
        "must_say": lines.lines_of(agent.must_say),
        "never_say": lines.lines_of(agent.never_say),
        "names": lines.lines_of(agent.names.replace(",", "\n")),
        "wording": lines.wording_of(agent.wording),
        "transfers": lines.transfers_of(agent.transfers),
        "instructions": lines.lines_of(agent.instructions),
        "limits": {
            "turns": agent.turns,
            "minutes": _short(agent.minutes),
            "misunderstandings": agent.misunderstandings,
            "silence_s": _short(agent.silence_s),
            "silences": agent.silences,
        },
        "steps": [step.as_definition() for step in steps],
        "intents": [intent.as_definition() for intent in intents],
    }
    return {key: value for key, value in body.items() if value not in ("", [], {})}


def _short(number: float) -> float | int:
    """A whole number as people write it, so that 8 and 8.0 are no difference."""
    return int(number) if number == int(number) else number


def text_of(definition: Mapping[str, Any]) -> str:
    """A definition with one value per line, for reading and comparing."""
    return json.dumps(definition, indent=2, ensure_ascii=False, sort_keys=True)


def diff_lines(before: str, after: str, context: int = 3) -> Sequence[DiffLine]:
    """What changed, for people; empty if nothing did."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    changes = list(
        difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=context)
    )
    return [
        DiffLine(kinds.get(line[:1], "same"), line if line.startswith("@") else line[1:])
        for line in changes[2:]
    ]
