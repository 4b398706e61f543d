"""Who did what that a caller or an owner may ask about: insert-only."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone


class AuditIsFinalError(Exception):
    """An audit row was to be changed or removed."""


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    """Rows can be added and read."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AuditIsFinalError("Audit rows are never changed.")

    def delete(self) -> NoReturn:
        raise AuditIsFinalError("Audit rows are never removed.")


class AuditEvent(models.Model):
    """One deed of one person: listened, took over, ended, revealed, published, rolled back."""

    who = models.CharField(max_length=150)
    what = models.CharField(max_length=64, db_index=True)
    object = models.CharField(max_length=100, db_index=True)
    detail = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = "audit entry"
        verbose_name_plural = "audit"

    def __str__(self) -> str:
        return f"{self.who} {self.what} {self.object}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AuditIsFinalError("Audit rows are never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AuditIsFinalError("Audit rows are never removed.")
