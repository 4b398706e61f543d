"""Draft -> version -> what callers hear, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Max

from agents.models import Agent, AgentVersion, Intent, Step, lines
from agents.selectors import draft_definition
from agents.services.checking import problems_of
from telephony.services import record_audit, utc_now


class NotPublishableError(Exception):
    """The draft has faults; `problems` holds one text per fault, `place: what`."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@transaction.atomic
def publish_agent(*, agent: Agent, who: str, note: str = "") -> AgentVersion:
    """The draft as a new version that callers get once `publish_snapshot` has run. Raises: NotPublishableError."""
    definition = draft_definition(Agent.objects.select_for_update().get(pk=agent.pk))
    problems = problems_of(definition)
    if problems:
        raise NotPublishableError(problems)
    highest = agent.versions.aggregate(highest=Max("number"))["highest"] or 0
    version = AgentVersion.objects.create(
        agent=agent,
        number=highest + 1,
        definition=definition,
        note=note,
        published_by=who,
        published_at=utc_now(),
    )
    _put_in_force(agent, version)
    record_audit(who=who, what="agent.published", subject=str(version))
    return version


@transaction.atomic
def roll_back(*, version: AgentVersion, who: str) -> None:
    """Callers get this version again; the draft stays as it is.

    Raises: NotPublishableError if a version of long ago no longer fits the program.
    """
    problems = problems_of(version.definition)
    if problems:
        raise NotPublishableError(problems)
    before = version.agent.published
    _put_in_force(version.agent, version)
    detail = {"before": before.number} if before else {}
    record_audit(who=who, what="agent.rolled_back", subject=str(version), detail=detail)


@transaction.atomic
def copy_to_draft(*, version: AgentVersion, who: str) -> None:
    """The draft becomes what this version is; edits that were not published are gone."""
    write_draft(agent=version.agent, definition=version.definition)
    record_audit(who=who, what="agent.draft_replaced", subject=str(version))


@transaction.atomic
def write_draft(*, agent: Agent, definition: Mapping[str, Any]) -> None:
    """Replaces the draft's fields and rows by those of a definition."""
    limits = definition.get("limits", {})
    agent.start = definition.get("start", "")
    agent.voice = definition.get("voice", "slt")
    agent.zone = definition.get("zone", "UTC")
    agent.facts = lines.facts_text(definition.get("facts", {}))
    agent.transfers = lines.transfers_text(definition.get("transfers", ()))
    agent.wording = lines.wording_text(definition.get("wording", {}))
    for name in ("must_say", "never_say", "names", "instructions"):
        setattr(agent, name, "\n".join(definition.get(name, ())))
    for name in ("turns", "minutes", "misunderstandings", "silence_s", "silences"):
        if name in limits:
            setattr(agent, name, limits[name])
    agent.save()
    agent.steps.all().delete()
    agent.intents.all().delete()
    for number, body in enumerate(definition.get("steps", ()), start=1):
        Step.from_definition(agent, 10 * number, body).save()
    for number, body in enumerate(definition.get("intents", ()), start=1):
        Intent.from_definition(agent, 10 * number, body).save()


def _put_in_force(agent: Agent, version: AgentVersion) -> None:
    agent.published = version
    Agent.objects.filter(pk=agent.pk).update(published=version)


@transaction.atomic
def load_agent(*, slug: str, name: str, definition: Mapping[str, Any], who: str) -> Agent:
    """The agent with this definition, published. Idempotent: one that people have made their own stays.

    Raises: NotPublishableError.
    """
    agent, made = Agent.objects.get_or_create(slug=slug, defaults={"name": name})
    if made:
        write_draft(agent=agent, definition=definition)
    if agent.published is None:
        publish_agent(agent=agent, who=who, note="First version.")
    return agent
