"""Calls as the database holds them: copies of the log, written by the shipper alone."""

from __future__ import annotations

import json
from typing import Any, Final

from django.db import models

from telephony.models.fields import EncryptedTextField

CALL_ID_LENGTH: Final = 64


class CallRecord(models.Model):
    """One call, projected from its events; never edited by hand."""

    call = models.CharField("call id", max_length=CALL_ID_LENGTH, primary_key=True)
    node = models.CharField(max_length=32)
    seq = models.PositiveIntegerField(default=0, help_text="Position of the log this row shows.")
    phase = models.CharField(max_length=16)
    direction = models.CharField(max_length=16)
    transport = models.CharField(max_length=16)
    caller = EncryptedTextField(blank=True)
    called = EncryptedTextField(blank=True)
    agent = models.SlugField(max_length=64, blank=True)
    version = models.PositiveIntegerField(null=True)
    step = models.CharField(max_length=64, blank=True)
    controller = models.CharField("taken over by", max_length=150, blank=True)
    started_at = models.DateTimeField(null=True, db_index=True)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, db_index=True)
    end_cause = models.CharField(max_length=64, blank=True)
    barge_ins = models.PositiveIntegerField(default=0)
    answer_ms = models.FloatField("median response (ms)", null=True)
    person_requested = models.BooleanField("asked for a person", default=False)

    class Meta:
        ordering = ("-started_at",)
        verbose_name = "call"
        # One right to see calls, at the desk and in the admin; nobody writes them but the shipper.
        default_permissions = ()
        permissions = (
            ("view_call", "Can see calls"),
            ("listen_call", "Can listen to a live call"),
            ("take_over_call", "Can take over a live call and hand it back"),
            ("transfer_call", "Can put a live call through to somebody else"),
            ("end_call", "Can end a live call"),
            ("view_transcript", "Can read what was said"),
            ("view_pii", "Can see numbers and names unmasked"),
        )

    def __str__(self) -> str:
        return self.call

    @property
    def is_live(self) -> bool:
        return self.ended_at is None

    @property
    def seconds(self) -> float | None:
        """From the start to the end; None while the call is up."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class CallEventRow(models.Model):
    """One event of a log. `body` is encrypted whole: which fields are personal changes with the code."""

    record = models.ForeignKey(CallRecord, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=32)
    at_us = models.BigIntegerField(help_text="Wall time, Unix microseconds.")
    actor = models.CharField(max_length=150)
    idempotency_key = models.CharField(max_length=200, blank=True)
    version = models.PositiveSmallIntegerField(default=1, help_text="Of the event's schema.")
    body = EncryptedTextField()

    class Meta:
        ordering = ("record", "seq")
        verbose_name = "call event"
        constraints = (
            models.UniqueConstraint(fields=("record", "seq"), name="one_event_per_position"),
        )

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"

    @property
    def event(self) -> dict[str, Any]:
        """The event's fields as plain JSON values."""
        value: dict[str, Any] = json.loads(self.body)
        return value


class CallSummary(models.Model):
    """What a call was about, written once after its end."""

    record = models.OneToOneField(CallRecord, on_delete=models.CASCADE, related_name="summary")
    text = EncryptedTextField()
    figures = models.JSONField(default=dict, help_text="Numbers only; nothing a caller said.")
    written_at = models.DateTimeField()

    class Meta:
        verbose_name = "summary"
        verbose_name_plural = "summaries"

    def __str__(self) -> str:
        return f"Summary of {self.record_id}"


class ShipperPosition(models.Model):
    """How far a node's spool has been copied: written in the transaction that copies."""

    node = models.CharField(max_length=32, primary_key=True)
    spool = models.CharField(
        max_length=32, blank=True, help_text="Which file: a new one counts from 1 again."
    )
    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.node} at {self.position}"


class RejectedEvent(models.Model):
    """A spool row that could not be taken: kept for a person, never dropped silently."""

    node = models.CharField(max_length=32)
    spool = models.CharField(max_length=32, blank=True)
    position = models.BigIntegerField()
    call = models.CharField(max_length=CALL_ID_LENGTH, blank=True)
    seq = models.PositiveIntegerField(null=True)
    reason = models.CharField(max_length=200)
    body = EncryptedTextField(blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at",)
        constraints = (
            models.UniqueConstraint(
                fields=("node", "spool", "position"), name="one_rejection_per_row"
            ),
        )

    def __str__(self) -> str:
        return f"{self.node} {self.position}: {self.reason}"


class Outbox(models.Model):
    """Work to do after a fact, written in the transaction of that fact: the only door to Celery."""

    topic = models.CharField(max_length=32)
    key = models.CharField(max_length=100)
    body = models.JSONField(default=dict, help_text="Ids only; nothing personal.")
    tries = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(db_index=True)
    done_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "outbox"
        constraints = (models.UniqueConstraint(fields=("topic", "key"), name="one_task_per_fact"),)

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"
