"""What agents may dial, what nobody may, when, and sources that are shut out."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from django.core.exceptions import ValidationError
from django.db import models

from telephony.models.routing import WEEK, validate_days
from telephony.models.trunks import Trunk
from telephony.trunks import is_destination

ONLY: Final = 1


def validate_prefixes(values: object) -> None:
    """Raises: ValidationError naming the first that cannot be used."""
    for value in values if isinstance(values, list) else []:
        if not isinstance(value, str) or not is_destination(value):
            raise ValidationError(f"{value}: write + and figures, such as +49.")


class Caps(models.Model):
    """Limits over placed calls. Empty: none."""

    max_calls = models.PositiveIntegerField("calls at once", null=True, blank=True)
    max_cps = models.FloatField("calls a second", null=True, blank=True)
    max_calls_per_day = models.PositiveIntegerField("calls a day", null=True, blank=True)
    max_minutes_per_day = models.PositiveIntegerField("minutes a day", null=True, blank=True)

    class Meta:
        abstract = True


class DialRight(Caps):
    """That an agent may place calls, and how many. An agent without this row dials nobody."""

    agent = models.SlugField(max_length=64, unique=True)
    enabled = models.BooleanField(default=True)
    any_trunk = models.BooleanField(
        "by any trunk",
        default=True,
        help_text="Off: only by those chosen below; none chosen: by none.",
    )
    trunks: models.ManyToManyField[Trunk, Any] = models.ManyToManyField(
        Trunk, blank=True, related_name="+"
    )
    destinations = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_prefixes],
        help_text="Only these of what the trunks allow, one prefix per line; empty: all of it.",
    )

    class Meta:
        ordering = ("agent",)
        verbose_name = "dial right"

    def __str__(self) -> str:
        return self.agent


class OutboundPolicy(Caps):
    """What holds for all placed calls together: one row, which is always there."""

    blocked = models.JSONField(
        "never dialled",
        default=list,
        blank=True,
        validators=[validate_prefixes],
        help_text="Prefixes that nobody may dial whatever a trunk allows, one per line.",
    )

    class Meta:
        verbose_name = "outbound policy"
        verbose_name_plural = "outbound policy"

    def __str__(self) -> str:
        return "Outbound policy"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pk = ONLY
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValidationError("The outbound policy cannot be removed.")


class CallingWindow(models.Model):
    """When numbers of some prefixes may be called, by the clock of the people called."""

    policy = models.ForeignKey(OutboundPolicy, on_delete=models.CASCADE, related_name="windows")
    prefixes = models.JSONField(
        validators=[validate_prefixes], help_text="One per line: +49. The longest that fits counts."
    )
    zone = models.CharField("time zone", max_length=64, help_text="Of the people called.")
    days = models.CharField(max_length=7, default=WEEK, validators=[validate_days])
    opens = models.TimeField("from", default="08:00")
    closes = models.TimeField("to", default="21:00")

    class Meta:
        ordering = ("pk",)
        verbose_name = "calling window"

    def __str__(self) -> str:
        return ", ".join(self.prefixes)


class Ban(models.Model):
    """A source whose packets are dropped unread, on every media node."""

    network = models.CharField(
        max_length=50,
        unique=True,
        help_text="An address or a network: 203.0.113.7 or 203.0.113.0/24.",
    )
    reason = models.CharField(max_length=100, blank=True)
    until = models.DateTimeField(null=True, blank=True, help_text="Empty: until it is removed.")

    class Meta:
        ordering = ("network",)

    def __str__(self) -> str:
        return self.network
