"""Records who did what."""

from __future__ import annotations

from collections.abc import Mapping

from telephony.models import AuditEvent


def record_audit(
    *, who: str, what: str, subject: str, detail: Mapping[str, str | int] | None = None
) -> None:
    """One deed of one person. `subject`: id of the call, agent or setting; `detail`: nothing personal."""
    AuditEvent.objects.create(who=who, what=what, object=subject, detail=dict(detail or {}))
