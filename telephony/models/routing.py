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
    r"^\+?[A-Za-z0-9][A-Za-z0-9._\-]{0,62}$",
    "A number such as +4930123456 or an extension such as demo: letters, digits, dots and dashes.",
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
        help_text="Exactly as it arrives: +4930123456, or demo for sip:demo@this-machine.",
    )
    label = models.CharField(max_length=100, blank=True, help_text="What people here call it.")

    class Meta:
        ordering = ("dialled",)

    def __str__(self) -> str:
        return f"{self.dialled} ({self.label})" if self.label else self.dialled

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        self.dialled = normal_number(self.dialled)  # callers write it in many ways; we keep one
        super().clean_fields(exclude)


class Route(models.Model):
    """The agent that answers a number: always with its published version."""

    number = models.OneToOneField(Number, on_delete=models.CASCADE, related_name="route")
    agent = models.SlugField(
        max_length=64,
        help_text="Answers with the version that is published when the call comes in.",
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: callers of this number are told that it is not in service."
    )

    class Meta:
        ordering = ("number__dialled",)

    def __str__(self) -> str:
        return f"{self.number.dialled} → {self.agent}"


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
