"""Agents and their published versions."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from django.db import models

from agents.models import lines

LONGEST_NAME: Final = 40


class VersionIsFinalError(Exception):
    """A published version was to be changed or removed."""


class Agent(models.Model):
    """Somebody who answers calls. The fields (with steps and intents) are the draft; callers hear what is published."""

    slug = models.SlugField(
        "short name",
        max_length=64,
        unique=True,
        help_text="Names the agent in routes and logs; it stays.",
    )
    name = models.CharField(max_length=100)
    published = models.ForeignKey(
        "AgentVersion",
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )
    start = models.CharField(
        "first step",
        max_length=LONGEST_NAME,
        default="welcome",
        help_text="The step a call begins with; what it says is the greeting.",
    )
    voice = models.CharField(
        max_length=40, default="slt", help_text="A voice of the speech engine."
    )
    zone = models.CharField(
        "time zone",
        max_length=64,
        default="UTC",
        help_text="Where “today” is, such as Europe/London.",
    )
    facts = models.TextField(
        blank=True,
        validators=[lines.validate_facts],
        help_text="One per line, “business: Harbour Dental”. {business} then stands for it in every sentence.",
    )
    must_say = models.TextField(
        blank=True,
        help_text="One per line: sentences of the first step that are never cut short, such as the notice that "
        "callers speak with an automated assistant.",
    )
    never_say = models.TextField(
        blank=True, help_text="One per line: words or phrases that no sentence may contain."
    )
    names = models.TextField(
        blank=True, help_text="First names the recogniser should know; commas or new lines between."
    )
    wording = models.TextField(
        blank=True,
        validators=[lines.validate_wording],
        help_text="One per line, “silence: Are you still there?”: replaces the house's own sentences. "
        "Repeat a key for variants.",
    )
    instructions = models.TextField(
        blank=True, help_text="For a language model only, one per line; the flow itself needs none."
    )
    transfers = models.TextField(
        "may put callers through to",
        blank=True,
        validators=[lines.validate_transfers],
        help_text="One per line, “sales: +4930123456”; nobody else is ever called. Words behind the number: attended (the agent "
        "speaks with them first), ends (the call ends when they hang up), leaves (the agent does not listen). Sentences for "
        "them after a |. What may be dialled at all is for the outbound rules.",
    )
    turns = models.PositiveIntegerField("most turns", default=120)
    minutes = models.FloatField("most minutes", default=30)
    misunderstandings = models.PositiveIntegerField(
        default=3, help_text="In a row, before a person is offered."
    )
    silence_s = models.FloatField(
        "silence (seconds)", default=8, help_text="Before the agent asks whether anybody is there."
    )
    silences = models.PositiveIntegerField(default=3, help_text="In a row, before it says goodbye.")

    class Meta:
        ordering = ("name",)
        permissions = (("publish_agent", "Can publish and roll back"),)

    def __str__(self) -> str:
        return self.name


class AgentVersionQuerySet(models.QuerySet["AgentVersion"]):
    """Rows can be added and read."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise VersionIsFinalError("A published version is never changed.")

    def delete(self) -> NoReturn:
        raise VersionIsFinalError("A published version is never removed: calls refer to it.")


class AgentVersion(models.Model):
    """An agent as it was published: immutable, counted up from 1."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    published_by = models.CharField(max_length=150)
    published_at = models.DateTimeField()

    objects = AgentVersionQuerySet.as_manager()

    class Meta:
        ordering = ("agent", "-number")
        verbose_name = "version"
        default_permissions = ("view",)
        constraints = (
            models.UniqueConstraint(fields=("agent", "number"), name="one_version_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.agent.slug}@{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise VersionIsFinalError("A published version is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise VersionIsFinalError("A published version is never removed: calls refer to it.")


class SnapshotRevision(models.Model):
    """Counts the snapshots that were published; one row."""

    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"revision {self.number}"
