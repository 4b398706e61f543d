"""What each attempt at a trunk came to: the source of its figures. No number and no name is in here."""

from __future__ import annotations

from django.db import models

from telephony.models.calls import CALL_ID_LENGTH


class TrunkCall(models.Model):
    """One leg of one call at a trunk, written by the shipper from `TrunkMeasured` and what followed."""

    trunk = models.CharField(max_length=32)
    call = models.CharField(max_length=CALL_ID_LENGTH)
    seq = models.PositiveIntegerField(help_text="Of the event that said so.")
    leg = models.CharField(max_length=32)
    direction = models.CharField(max_length=8)
    at = models.DateTimeField(help_text="When the attempt was decided.")
    answered = models.BooleanField()
    delivered = models.BooleanField(
        help_text="The other side was reached: answered, busy, no answer or declined (NER)."
    )
    status = models.PositiveSmallIntegerField(help_text="Final SIP status.")
    cause = models.CharField(max_length=32)
    codec = models.CharField(max_length=16, blank=True)
    pdd_ms = models.FloatField(null=True)
    seconds = models.FloatField(default=0.0, help_text="Answered; 0 while the call is up.")
    reports = models.PositiveIntegerField(
        default=0, help_text="Quality reports that were added up."
    )
    mos_sum = models.FloatField(default=0.0)
    mos_least = models.FloatField(null=True)
    loss_sum = models.FloatField(default=0.0)
    jitter_sum = models.FloatField(default=0.0)

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name = "trunk call"
        default_permissions = ()
        permissions = (("view_trunk_quality", "Can see the quality of trunks"),)
        indexes = (models.Index(fields=("trunk", "at"), name="trunk_calls_by_time"),)
        constraints = (models.UniqueConstraint(fields=("call", "seq"), name="one_row_per_attempt"),)

    def __str__(self) -> str:
        return f"{self.trunk} {self.status}"
