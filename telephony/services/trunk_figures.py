"""What calls say of their trunks, added up as the shipper brings it: in the transaction that stores the events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from telephony.call.events import CallEnded, LegRemoved, QualityMeasured, Recorded
from telephony.call.transfer_events import TrunkMeasured
from telephony.models import TrunkCall

DELIVERED: Final = frozenset({"busy", "no_answer", "declined", "cancelled"})
"""Causes by which the network did its part (ITU-T E.425, NER)."""
US: Final = 1_000_000
FIGURES: Final = ("seconds", "reports", "mos_sum", "mos_least", "loss_sum", "jitter_sum")


def write_trunk_figures(records: Sequence[Recorded]) -> None:
    """`records`: new events of one batch, in their order, each once, in one transaction with them.

    A call's events come from one node, so nobody else writes its rows.
    """
    TrunkCall.objects.bulk_create(
        [row for record in records if (row := _row(record)) is not None], ignore_conflicts=True
    )
    telling = [
        record
        for record in records
        if isinstance(record.event, QualityMeasured | LegRemoved | CallEnded)
    ]
    calls = {record.call for record in telling}
    rows = list(TrunkCall.objects.filter(call__in=calls, answered=True)) if calls else []
    by_call: dict[str, list[TrunkCall]] = {}
    for row in rows:
        by_call.setdefault(row.call, []).append(row)
    for record in telling:
        for row in by_call.get(record.call, ()):
            _add(row, record)
    if rows:
        TrunkCall.objects.bulk_update(rows, FIGURES)


def _row(record: Recorded) -> TrunkCall | None:
    event = record.event
    if not isinstance(event, TrunkMeasured) or not event.trunk:
        return None
    return TrunkCall(
        trunk=event.trunk[:32],
        call=record.call,
        seq=record.seq,
        leg=event.leg,
        direction=event.direction,
        at=datetime.fromtimestamp(record.at_us / US, UTC),
        answered=event.answered,
        delivered=event.answered or event.cause in DELIVERED,
        status=event.status,
        cause=event.cause[:32],
        codec=event.codec[:16],
        pdd_ms=event.pdd_ms,
    )


def _add(row: TrunkCall, record: Recorded) -> None:
    event = record.event
    match event:
        case QualityMeasured(leg=leg) if leg == row.leg:
            row.reports += 1
            row.mos_sum += event.mos
            row.mos_least = event.mos if row.mos_least is None else min(row.mos_least, event.mos)
            row.loss_sum += event.loss_pct
            row.jitter_sum += event.jitter_ms
        case LegRemoved(leg=leg) if leg == row.leg:
            _end(row, record)
        case CallEnded():
            _end(row, record)
        case _:
            pass


def _end(row: TrunkCall, record: Recorded) -> None:
    """The first end counts: a leg that left does not talk until the call is over."""
    if not row.seconds:
        row.seconds = max(0.0, record.at_us / US - row.at.timestamp())
