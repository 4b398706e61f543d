"""The rows of a draft's flow, and their translation to and from the definition (`agents.conversation.flow`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.validators import RegexValidator
from django.db import models

from agents.conversation.endings import TRANSFER
from agents.models import lines
from agents.models.versions import LONGEST_NAME, Agent

NAME: Final = RegexValidator(
    r"^[a-z][a-z0-9_]*$", "Small letters, digits and _, beginning with a letter, such as ask_day."
)


TRANSFER_HELP: Final = "A name of “may put callers through to”; it takes the place of “afterwards”."


class AnswerKind(models.TextChoices):
    """What a step takes as an answer."""

    NOTHING = "nothing", "nothing: says it and goes on"
    INTENTS = "intents", "any question or wish (intents)"
    YES_NO = "yes_no", "yes or no"
    ONE_OF = "one_of", "one of the options below"
    DIGITS = "digits", "a number, spoken or keyed"
    DATE = "date", "a day"
    TIME = "time", "a time of day"
    NAME = "name", "a name"
    FREE = "free", "any words"


class StepEnding(models.TextChoices):
    """What happens after a step's sentences."""

    GO_ON = "", "the call goes on"
    END = "end", "the agent hangs up"
    PERSON = "person", "a person is asked for"


class IntentEnding(models.TextChoices):
    """What happens after an intent's answer."""

    GO_ON = "", "the question is asked again"
    END = "end", "the agent hangs up"
    PERSON = "person", "a person is asked for"
    REPEAT = "repeat", "the last question is said again"
    HELP = "help", "it says what can be asked"


def _without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if value not in ("", [], {}, None, False)}


class Step(models.Model):
    """One question or announcement."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField("order", default=0)
    name = models.CharField(max_length=LONGEST_NAME, validators=[NAME])
    say = models.TextField(
        "says", blank=True, help_text="One sentence per line; {slot} and {fact} are filled in."
    )
    kind = models.CharField(
        "expects", max_length=16, choices=AnswerKind, default=AnswerKind.NOTHING
    )
    slot = models.CharField(
        "keeps it as", max_length=LONGEST_NAME, blank=True, help_text="A name such as day."
    )
    next = models.CharField(
        "then goes to", max_length=LONGEST_NAME, blank=True, help_text="The name of a step."
    )
    answers = models.TextField(
        "by answer",
        blank=True,
        validators=[lines.validate_answers],
        help_text="One per line, “yes -> booked”: instead of one next step for all answers.",
    )
    options = models.TextField(
        blank=True,
        help_text="One per line, “checkup: check up, cleaning [1]”: the value, how people say it, the key.",
    )
    minimum = models.PositiveIntegerField("fewest digits", null=True, blank=True)
    maximum = models.PositiveIntegerField("most digits", null=True, blank=True)
    weekdays = models.CharField(
        max_length=100, blank=True, help_text="Days that can be had: monday, tuesday. Empty: all."
    )
    within_days = models.PositiveIntegerField("days ahead", null=True, blank=True)
    earliest = models.CharField(max_length=5, blank=True, help_text="Such as 09:00.")
    latest = models.CharField(max_length=5, blank=True, help_text="Such as 16:30.")
    reprompts = models.TextField(
        "when not understood", blank=True, help_text="One per line, used in turn."
    )
    unfit = models.TextField(
        "when out of limits",
        blank=True,
        help_text="One per line: it was understood, but we are closed then.",
    )
    listens = models.CharField(
        "also hears", max_length=400, blank=True, help_text="Intents of this step: cancel, later."
    )
    clears = models.CharField(
        "forgets", max_length=400, blank=True, help_text="Slots emptied on entering: day, time."
    )
    ending = models.CharField(
        "afterwards", max_length=8, blank=True, choices=StepEnding, default=StepEnding.GO_ON
    )
    transfer = models.CharField(
        "then puts through to", max_length=LONGEST_NAME, blank=True, help_text=TRANSFER_HELP
    )

    class Meta:
        ordering = ("agent", "position", "id")
        constraints = (models.UniqueConstraint(fields=("agent", "name"), name="one_step_per_name"),)

    def __str__(self) -> str:
        return self.name

    def as_definition(self) -> dict[str, Any]:
        expect: dict[str, Any] = {
            "kind": self.kind,
            "options": lines.options_of(self.options),
            "min": self.minimum,
            "max": self.maximum,
            "weekdays": lines.words_of(self.weekdays),
            "within_days": self.within_days,
            "earliest": self.earliest,
            "latest": self.latest,
        }
        body = {
            "name": self.name,
            "say": lines.lines_of(self.say),
            "expect": {} if self.kind == AnswerKind.NOTHING else _without_empty(expect),
            "slot": self.slot,
            "next": self.next,
            "answers": lines.answers_of(self.answers),
            "listens": lines.words_of(self.listens),
            "clears": lines.words_of(self.clears),
            "reprompts": lines.lines_of(self.reprompts),
            "unfit": lines.lines_of(self.unfit),
            "ending": _ending_of(self),
        }
        return _without_empty(body)

    @classmethod
    def from_definition(cls, agent: Agent, position: int, body: Mapping[str, Any]) -> Step:
        expect = body.get("expect", {})
        return cls(
            agent=agent,
            position=position,
            name=body["name"],
            say="\n".join(body.get("say", ())),
            kind=expect.get("kind", AnswerKind.NOTHING),
            options=lines.options_text(expect.get("options", ())),
            minimum=expect.get("min"),
            maximum=expect.get("max"),
            weekdays=", ".join(expect.get("weekdays", ())),
            within_days=expect.get("within_days"),
            earliest=expect.get("earliest", ""),
            latest=expect.get("latest", ""),
            slot=body.get("slot", ""),
            next=body.get("next", ""),
            answers=lines.answers_text(body.get("answers", ())),
            listens=", ".join(body.get("listens", ())),
            clears=", ".join(body.get("clears", ())),
            reprompts="\n".join(body.get("reprompts", ())),
            unfit="\n".join(body.get("unfit", ())),
            **_ending_fields(body.get("ending", "")),
        )


class Intent(models.Model):
    """Something a caller may ask or want, and the answer to it."""

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="intents")
    position = models.PositiveIntegerField("order", default=0)
    name = models.CharField(max_length=LONGEST_NAME, validators=[NAME])
    phrases = models.TextField(help_text="One per line: how callers say it, such as opening hours.")
    say = models.TextField("answer", blank=True, help_text="One sentence per line.")
    everywhere = models.BooleanField(
        "heard everywhere", default=True, help_text="Else only in steps that list it."
    )
    next = models.CharField(
        "then goes to",
        max_length=LONGEST_NAME,
        blank=True,
        help_text="Empty: back to the question.",
    )
    ending = models.CharField(
        "afterwards", max_length=8, blank=True, choices=IntentEnding, default=IntentEnding.GO_ON
    )
    transfer = models.CharField(
        "then puts through to", max_length=LONGEST_NAME, blank=True, help_text=TRANSFER_HELP
    )

    class Meta:
        ordering = ("agent", "position", "id")
        verbose_name = "question or wish"
        verbose_name_plural = "questions and wishes (intents)"
        constraints = (
            models.UniqueConstraint(fields=("agent", "name"), name="one_intent_per_name"),
        )

    def __str__(self) -> str:
        return self.name

    def as_definition(self) -> dict[str, Any]:
        return _without_empty(
            {
                "name": self.name,
                "phrases": lines.lines_of(self.phrases),
                "say": lines.lines_of(self.say),
                "everywhere": self.everywhere,
                "next": self.next,
                "ending": _ending_of(self),
            }
        )

    @classmethod
    def from_definition(cls, agent: Agent, position: int, body: Mapping[str, Any]) -> Intent:
        return cls(
            agent=agent,
            position=position,
            name=body["name"],
            phrases="\n".join(body.get("phrases", ())),
            say="\n".join(body.get("say", ())),
            everywhere=body.get("everywhere", False),
            next=body.get("next", ""),
            **_ending_fields(body.get("ending", "")),
        )


def _ending_of(row: Step | Intent) -> str:
    return TRANSFER + row.transfer if row.transfer else row.ending


def _ending_fields(ending: str) -> dict[str, str]:
    name = ending.removeprefix(TRANSFER)
    return {"transfer": name} if ending.startswith(TRANSFER) else {"ending": ending}
