"""Reads of calls, their logs and their audit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Model

from telephony.call.errors import BrokenLogError, CallGoneError
from telephony.call.events import Recorded
from telephony.call.evolution import replay
from telephony.call.ids import CallId
from telephony.call.serial import event_from_json, row
from telephony.call.state import CallState
from telephony.models import (
    AuditEvent,
    CallEventRow,
    CallRecord,
    CallSummary,
    Outbox,
    ShipperPosition,
)

VISIBLE_END: Final = 2
"""Characters of a number that stay readable when it is masked."""

UNREADABLE: Final = "cannot be decrypted"


def recorded(rows: Iterable[CallEventRow]) -> list[Recorded]:
    """Rows as records. Raises: UnknownEventError."""
    return [
        Recorded(
            call=CallId(row.record_id),
            seq=row.seq,
            at_us=row.at_us,
            event=event_from_json(row.kind, row.event, row.version),
            actor=row.actor,
            idempotency_key=row.idempotency_key or None,
        )
        for row in rows
    ]


def log_of_call(call: str, since: int = 0) -> list[Recorded]:
    """The call's events after `since`, in order. Raises: CallGoneError for an unknown call."""
    if not CallRecord.objects.filter(pk=call).exists():
        raise CallGoneError(f"no call {call}")
    return recorded(CallEventRow.objects.filter(record_id=call, seq__gt=since).order_by("seq"))


def state_of_call(call: str) -> CallState:
    """The fold of the call's log. Raises: CallGoneError."""
    return replay(log_of_call(call))


def known_state_of_call(call: str) -> CallState | None:
    """The fold of what has arrived so far; None if nothing has."""
    rows = list(CallEventRow.objects.filter(record_id=call).order_by("seq"))
    return replay(recorded(rows)) if rows else None


def row_of_call(call: str) -> dict[str, Any]:
    """What a list shows of the call (docs/wire.md). Raises: CallGoneError."""
    state = state_of_call(call)
    return row(state, CallRecord.objects.values_list("node", flat=True).get(pk=call))


def has_tables() -> bool:
    """False in a database that was never migrated."""
    return CallRecord._meta.db_table in connection.introspection.table_names()


def recent_calls(*, live: bool = False, limit: int = 50) -> list[CallRecord]:
    """Newest first."""
    calls = CallRecord.objects.order_by("-started_at")
    return list((calls.filter(ended_at=None) if live else calls)[:limit])


def summary_of_call(call: str) -> CallSummary | None:
    """None until it is written."""
    return CallSummary.objects.filter(record_id=call).first()


def audit_of(subject: str) -> list[AuditEvent]:
    """Who did what to this call, agent or setting; newest first."""
    return list(AuditEvent.objects.filter(object=subject))


def shipped_position(node: str, spool: str) -> int:
    """How far this spool of the node is in the database; 0 for a new one."""
    found = ShipperPosition.objects.filter(node=node, spool=spool).first()
    return found.position if found else 0


def due_outbox(now: datetime, limit: int = 20) -> list[Outbox]:
    """Tasks to hand out, oldest first."""
    return list(Outbox.objects.filter(done_at=None, next_at__lte=now).order_by("id")[:limit])


def called_numbers(calls: Iterable[str]) -> dict[str, str]:
    """Whom these calls were for, as far as it can be decrypted; not masked."""
    found = CallRecord.objects.filter(pk__in=set(calls)).only("call", "called")
    return {record.pk: readable(record, "called") for record in found}


def readable(record: Model, column: str) -> str:
    """A text of the row; `UNREADABLE` if it was altered or its key is not here."""
    try:
        return str(getattr(record, column))
    except BrokenLogError:
        return UNREADABLE


def masked(number: str) -> str:
    """The number for people without `view_pii`: its kind and end, not who it is."""
    if number in ("", UNREADABLE):
        return number
    return f"···{number[-VISIBLE_END:]}" if len(number) > 2 * VISIBLE_END else "···"
