"""What calls say of their trunks, added up as the shipper brings it: in the transaction that stores the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.db.models import F, Value
from django.db.models.functions import Least

from telephony.call.events import CallEnded, LegRemoved, QualityMeasured, Recorded
from telephony.call.ids import CallId, LegId
from telephony.call.transfer_events import TrunkMeasured
from telephony.models import TrunkCall
from telephony.services.clock import from_us

DELIVERED: Final = frozenset({"busy", "no_answer", "declined", "cancelled"})
"""Causes by which the network did its part (ITU-T E.425, NER)."""
BEST_MOS: Final = 5.0


@dataclass(slots=True)
class _Reports:
    count: int = 0
    mos: float = 0.0
    least: float = BEST_MOS
    loss: float = 0.0
    jitter: float = 0.0

    def add(self, event: QualityMeasured) -> None:
        self.count += 1
        self.mos += event.mos
        self.least = min(self.least, event.mos)
        self.loss += event.loss_pct
        self.jitter += event.jitter_ms


def write_trunk_figures(records: Sequence[Recorded]) -> None:
    """`records`: new events, in their order. Call it once for each, in one transaction with them."""
    TrunkCall.objects.bulk_create(
        [row for record in records if (row := _row(record)) is not None], ignore_conflicts=True
    )
    for (call, leg), reports in _quality(records).items():
        rows = TrunkCall.objects.filter(call=call, leg=leg, answered=True)
        rows.filter(mos_least=None).update(mos_least=BEST_MOS)
        rows.update(
            reports=F("reports") + reports.count,
            mos_sum=F("mos_sum") + reports.mos,
            mos_least=Least(F("mos_least"), Value(reports.least)),
            loss_sum=F("loss_sum") + reports.loss,
            jitter_sum=F("jitter_sum") + reports.jitter,
        )
    for record in records:
        _note_end(record)


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
        at=datetime.fromtimestamp(record.at_us / 1_000_000, UTC),
        answered=event.answered,
        delivered=event.answered or event.cause in DELIVERED,
        status=event.status,
        cause=event.cause[:32],
        codec=event.codec[:16],
        pdd_ms=event.pdd_ms,
    )


def _quality(records: Iterable[Recorded]) -> dict[tuple[CallId, LegId], _Reports]:
    found: dict[tuple[CallId, LegId], _Reports] = {}
    for record in records:
        if isinstance(record.event, QualityMeasured):
            found.setdefault((record.call, record.event.leg), _Reports()).add(record.event)
    return found


def _note_end(record: Recorded) -> None:
    if not isinstance(record.event, LegRemoved | CallEnded):
        return
    rows = TrunkCall.objects.filter(call=record.call, answered=True, seconds=0.0)
    if isinstance(record.event, LegRemoved):
        rows = rows.filter(leg=record.event.leg)
    ended = from_us(record.at_us)
    for row in rows:
        row.seconds = _seconds(row.at, ended)
        row.save(update_fields=["seconds"])


def _seconds(answered: datetime, ended: datetime | None) -> float:
    return max(0.0, (ended - answered).total_seconds()) if ended else 0.0
