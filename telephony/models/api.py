"""Who may place calls over HTTP, and which calls they placed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """A key to the API. Only its hash is kept: it is shown once, when it is made."""

    label = models.CharField(max_length=100, help_text="Which program uses it.")
    hint = models.CharField(max_length=8, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    may_dial = models.BooleanField("may place calls", default=False)
    may_read = models.BooleanField(
        "may read calls", default=True, help_text="State and outcome of calls it placed itself."
    )
    agents = models.JSONField(
        default=list,
        blank=True,
        help_text="Agents it may use, one per line; empty: none may be used.",
    )
    per_minute = models.PositiveIntegerField("requests a minute", default=60)
    max_calls = models.PositiveIntegerField("calls at once", default=5)
    max_calls_per_day = models.PositiveIntegerField("calls a day", default=100)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False
    )
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: until it is revoked."
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    used_at = models.DateTimeField("last used", null=True, editable=False)

    class Meta:
        ordering = ("label", "pk")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.label} ({self.hint}…)"


class PlacedCall(models.Model):
    """A call that a token placed: what it may ask about again, and what its caps count. No number in it."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="placed")
    key = models.CharField(
        max_length=100, help_text="Of the request, so that a repeated one dials once."
    )
    fingerprint = models.CharField(max_length=64, help_text="Of what was asked for.")
    call = models.CharField(max_length=64, blank=True, db_index=True)
    node = models.CharField(max_length=32, blank=True)
    refused = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-at",)
        constraints = (
            models.UniqueConstraint(fields=("token", "key"), name="one_call_per_request"),
        )

    def __str__(self) -> str:
        return self.call or f"refused: {self.refused}"
