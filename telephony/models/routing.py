"""Where calls come in and who answers them."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from telephony.dialplan import normal_number

DIALLED: Final = RegexValidator(
    r"^(\*|\+?[A-Za-z0-9][A-Za-z0-9._\-]{0,61}\*?)$",
    "A number such as +4930123456, a prefix such as +4930*, or an extension such as demo: "
    "letters, digits, dots and dashes.",
)
HOST_LABEL: Final = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)$")
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def _host_problem(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        if not all(HOST_LABEL.match(label) for label in labels):
            return "its host is not a name or an address"
    return None


def origin_problem(origin: str) -> str | None:
    """What is wrong with an origin (RFC 6454), in words; None if it names one scheme, host and port."""
    if "*" in origin:
        return "a wildcard would let any site use the key; write each site on its own line"
    if origin.lower() == "null":
        return "“null” stands for files and sandboxes of anybody; it cannot be allowed"
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return "it is not an address"
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return "it must look like https://www.example.com"
    if parts.username or parts.path or parts.query or parts.fragment or origin.endswith(("?", "#")):
        return "it must end after the host (and port): no path, no slash, no password"
    if port is not None and port == DEFAULT_PORTS[parts.scheme]:
        return f"browsers leave out the usual port; write it without :{port}"
    if origin != origin.lower():
        return "browsers write it in lower case"
    return _host_problem(parts.hostname)


def validate_origins(origins: object) -> None:
    """Raises: ValidationError with one sentence per bad origin."""
    if not isinstance(origins, list) or not all(isinstance(origin, str) for origin in origins):
        raise ValidationError("A list of origins, one per line.")
    faults = [(origin, origin_problem(origin)) for origin in origins]
    problems = [f"{origin}: {problem}." for origin, problem in faults if problem]
    if problems:
        raise ValidationError(problems)


def new_public_key() -> str:
    """A key that can stand in a page's source: it names a widget and is no secret."""
    return f"w-{secrets.token_hex(8)}"


class Number(models.Model):
    """Something that can be dialled: a telephone number, an extension, a SIP user."""

    dialled = models.CharField(
        max_length=64,
        unique=True,
        validators=[DIALLED],
        help_text="As it arrives: +4930123456, or demo for sip:demo@this-machine. "
        "A * at the end stands for all numbers that begin so: +4930*.",
    )
    label = models.CharField(max_length=100, blank=True, help_text="What people here call it.")

    class Meta:
        ordering = ("dialled",)

    def __str__(self) -> str:
        return f"{self.dialled} ({self.label})" if self.label else self.dialled

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        self.dialled = normal_number(self.dialled)  # callers write it in many ways; we keep one
        super().clean_fields(exclude)


class RouteTarget(models.TextChoices):
    """Where a rule sends a call."""

    AGENT = "agent", "an agent answers"
    PERSON = "person", "a person's phone rings"
    QUEUE = "queue", "the phones of a queue ring"
    FORWARD = "forward", "it is forwarded to a number"
    REFUSE = "refuse", "it is refused"


class HeaderTestChoice(models.TextChoices):
    """How a header is compared."""

    IS = "is", "is"
    BEGINS = "begins", "begins with"
    CONTAINS = "contains", "contains"
    PRESENT = "present", "is present"


class Refusal(models.IntegerChoices):
    """Why nobody answers, as callers' networks understand it."""

    UNAVAILABLE = 480, "480 not available now"
    BUSY = 486, "486 busy"
    NOT_FOUND = 404, "404 no such number"
    FORBIDDEN = 403, "403 not allowed"
    OVERLOADED = 503, "503 try elsewhere or later"
    BUSY_EVERYWHERE = 600, "600 busy everywhere"
    DECLINED = 603, "603 declined"


WEEK: Final = "1234567"


def validate_days(days: str) -> None:
    """Raises: ValidationError."""
    if not days or not set(days) <= set(WEEK):
        raise ValidationError("Choose at least one day.")


class Route(models.Model):
    """One rule of a number: when it applies, and who answers then. The first that applies decides."""

    number = models.ForeignKey(Number, on_delete=models.CASCADE, related_name="routes")
    position = models.PositiveSmallIntegerField(
        "order",
        default=1,
        help_text="Rules are tried from the lowest; the first that applies decides.",
    )
    name = models.CharField(
        "rule", max_length=64, blank=True, help_text="What people here call it: office hours."
    )
    enabled = models.BooleanField(
        default=True,
        help_text="Off: as if the rule were not there. A number without rules is not in service.",
    )
    target = models.CharField("then", max_length=8, choices=RouteTarget, default=RouteTarget.AGENT)
    agent = models.SlugField(
        max_length=64,
        blank=True,
        help_text="Answers with the version that is published when the call comes in.",
    )
    extension = models.ForeignKey(
        "Extension", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    queue = models.ForeignKey(
        "Queue", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    forward_trunk = models.ForeignKey(
        "Trunk", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    forward_number = models.CharField(
        max_length=32, blank=True, help_text="Must be among the destinations the trunk allows."
    )
    ring_s = models.PositiveSmallIntegerField("ring for (s)", default=25)
    refuse_status = models.PositiveSmallIntegerField(
        "answer", choices=Refusal, default=Refusal.UNAVAILABLE
    )
    retry_after_s = models.PositiveIntegerField(
        "try again after (s)", null=True, blank=True, help_text="Told to the caller's network."
    )
    overflow_agent = models.SlugField(
        "if nobody takes it",
        max_length=64,
        blank=True,
        help_text="The agent that answers then; without one the call is refused.",
    )
    trunk = models.ForeignKey(
        "Trunk",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only calls that come by this trunk.",
    )
    header = models.CharField(
        max_length=64, blank=True, help_text="Only calls with this SIP header, such as X-Class."
    )
    header_test = models.CharField(
        max_length=8, choices=HeaderTestChoice, default=HeaderTestChoice.IS
    )
    header_value = models.CharField(max_length=128, blank=True)
    zone = models.CharField(
        "time zone", max_length=64, blank=True, help_text="Of the hours: Europe/Berlin."
    )
    days = models.CharField(max_length=7, default=WEEK, validators=[validate_days])
    opens = models.TimeField("from", null=True, blank=True)
    closes = models.TimeField(
        "to", null=True, blank=True, help_text="Earlier than “from”: on the next day."
    )
    closed = models.JSONField(
        "not on", default=list, blank=True, help_text="Dates such as 2026-12-25, one per line."
    )
    agent_calls_below = models.PositiveIntegerField(
        "agent has fewer calls than",
        null=True,
        blank=True,
        help_text="Calls of this agent on one media node; further calls go to the next rule, "
        "and so do all calls while no agent is free.",
    )
    node_calls_below = models.PositiveIntegerField(
        "media node has fewer calls than",
        null=True,
        blank=True,
        help_text="While no agent is free this never holds, and the next rule decides.",
    )

    class Meta:
        ordering = ("number__dialled", "position", "pk")
        verbose_name = "rule"

    def __str__(self) -> str:
        return f"{self.number.dialled} → {self.answered_by}"

    @property
    def answered_by(self) -> str:
        """Where the call goes, in a few words."""
        match self.target:
            case RouteTarget.AGENT:
                return self.agent or "nobody"
            case RouteTarget.PERSON:
                return f"phone {self.extension}"
            case RouteTarget.QUEUE:
                return f"queue {self.queue}"
            case RouteTarget.FORWARD:
                return f"forwarded by {self.forward_trunk}"
            case _:
                return f"refused ({self.refuse_status})"

    def clean(self) -> None:
        """Raises: ValidationError for a target without its object, or hours without their zone."""
        needed = {
            RouteTarget.AGENT: "agent",
            RouteTarget.PERSON: "extension",
            RouteTarget.QUEUE: "queue",
            RouteTarget.FORWARD: "forward_trunk",
        }.get(RouteTarget(self.target))
        if needed and not getattr(self, needed):
            raise ValidationError({needed: "Choose one."})
        if self.target == RouteTarget.FORWARD and not self.forward_number:
            raise ValidationError({"forward_number": "Which number?"})
        if self.has_hours and not self.zone:
            raise ValidationError({"zone": "In which time zone?"})
        if self.header and self.header_test != HeaderTestChoice.PRESENT and not self.header_value:
            raise ValidationError({"header_value": "Which value?"})

    @property
    def has_hours(self) -> bool:
        """True if the rule looks at the clock or the calendar."""
        return bool(self.opens or self.closes or self.closed or set(self.days) != set(WEEK))


class WidgetKey(models.Model):
    """Lets the pages of named sites call an agent from the browser."""

    key = models.SlugField(
        max_length=64,
        unique=True,
        default=new_public_key,
        help_text="Stands in the page's source; it is public. The origins are what protects it.",
    )
    label = models.CharField(max_length=100, blank=True, help_text="Which site this is for.")
    agent = models.SlugField(max_length=64)
    origins = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_origins],
        help_text="Sites that may use this key; without one, nobody can.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return f"{self.label} ({self.key})" if self.label else self.key

    def save(self, *args: Any, **kwargs: Any) -> None:
        validate_origins(self.origins)  # also where no form stands in between
        super().save(*args, **kwargs)
