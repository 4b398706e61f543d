"""Writes what the shipper brings: events, the rows of calls folded from them, and work for the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from django.db import DataError, IntegrityError, transaction

from telephony.call.errors import BrokenLogError
from telephony.call.events import CallEnded, Recorded
from telephony.call.evolution import evolve
from telephony.call.ids import CallId
from telephony.call.serial import VERSION, event_to_json
from telephony.call.state import CallState, Phase
from telephony.models import (
    CallEventRow,
    CallRecord,
    CallSummary,
    Outbox,
    RejectedEvent,
    ShipperPosition,
)
from telephony.selectors import known_state_of_call
from telephony.services.clock import from_us
from telephony.services.trunk_figures import write_trunk_figures

CALL_ENDED: Final = "call_ended"
"""Topic of the outbox: the key is the call."""


class SpoolRow(Protocol):
    """One row of a node's spool. `fault`: why it cannot be read, then `record` is None."""

    @property
    def position(self) -> int: ...
    @property
    def call(self) -> CallId: ...
    @property
    def seq(self) -> int: ...
    @property
    def record(self) -> Recorded | None: ...
    @property
    def fault(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SpoolName:
    """A node and the file it writes now: positions are counted per file."""

    node: str
    spool: str


@dataclass(slots=True)
class Projection:
    """The calls a shipper is copying, folded up to their last event; what ended is forgotten."""

    states: dict[CallId, CallState] = field(default_factory=dict)

    def state(self, call: CallId) -> CallState:
        if call not in self.states:
            self.states[call] = known_state_of_call(call) or CallState(id=call)
        return self.states[call]

    def forget(self, calls: Iterable[CallId]) -> None:
        for call in calls:
            self.states.pop(call, None)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: new events, rows that were there already, rows that were put aside."""

    added: int
    repeated: int
    rejected: int


def store_batch(
    *, source: SpoolName, rows: Sequence[SpoolRow], projection: Projection, now: datetime
) -> Stored:
    """Copies rows of a spool in one transaction with the position after them.

    A row that is there already is skipped; one that cannot be read, does not follow or cannot be written is kept as
    `RejectedEvent`. `rows`: at least one. After an exception the projection knows nothing and reads the database again.
    """
    try:
        return _store_batch(source, rows, projection, now)
    except (ValueError, DataError, IntegrityError) as error:
        # One row that no column can hold must not keep the rows behind it, of all calls, out of the database.
        projection.states.clear()
        if len(rows) > 1:
            parts = [
                store_batch(source=source, rows=[row], projection=projection, now=now)
                for row in rows
            ]
            return Stored(*(sum(counts) for counts in zip(*map(astuple, parts), strict=True)))
        return _set_aside(source, rows[0], type(error).__name__, now)
    except BaseException:
        projection.states.clear()
        raise


@transaction.atomic
def _store_batch(
    source: SpoolName, rows: Sequence[SpoolRow], projection: Projection, now: datetime
) -> Stored:
    fresh: list[Recorded] = []
    rejected: list[RejectedEvent] = []
    for row in rows:
        fault = row.fault
        if row.record is not None:
            try:
                state = projection.state(row.record.call)
                if row.record.seq <= state.seq:
                    continue
                projection.states[row.record.call] = evolve(state, row.record)
                fresh.append(row.record)
            except BrokenLogError as error:
                fault = str(error)
        if fault:
            rejected.append(_rejection(source, row, fault, now))
    _write(source.node, fresh, projection, now)
    RejectedEvent.objects.bulk_create(rejected, ignore_conflicts=True)
    _move_to(source, rows[-1].position)
    return Stored(len(fresh), len(rows) - len(fresh) - len(rejected), len(rejected))


@transaction.atomic
def _set_aside(source: SpoolName, row: SpoolRow, fault: str, now: datetime) -> Stored:
    RejectedEvent.objects.bulk_create([_rejection(source, row, fault, now)], ignore_conflicts=True)
    _move_to(source, row.position)
    return Stored(0, 0, 1)


def _move_to(source: SpoolName, position: int) -> None:
    ShipperPosition.objects.update_or_create(
        node=source.node, defaults={"spool": source.spool, "position": position}
    )


def _write(node: str, records: Sequence[Recorded], projection: Projection, now: datetime) -> None:
    touched = list(dict.fromkeys(record.call for record in records))
    rows = [(call, {"node": node} | _columns(projection.states[call])) for call in touched]
    if rows:  # one statement for all calls: the summary's columns are not among those it writes
        CallRecord.objects.bulk_create(
            [CallRecord(call=call, **columns) for call, columns in rows],
            update_conflicts=True,
            unique_fields=["call"],
            update_fields=list(rows[0][1]),
        )
    CallEventRow.objects.bulk_create([_event_row(record) for record in records])
    write_trunk_figures(records)
    ended = {record.call for record in records if isinstance(record.event, CallEnded)}
    Outbox.objects.bulk_create(
        [Outbox(topic=CALL_ENDED, key=call, body={"call": call}, next_at=now) for call in ended],
        ignore_conflicts=True,
    )
    projection.forget(call for call in touched if projection.states[call].phase is Phase.ENDED)


def _event_row(record: Recorded) -> CallEventRow:
    return CallEventRow(
        record_id=record.call,
        seq=record.seq,
        kind=record.kind,
        at_us=record.at_us,
        actor=record.actor,
        idempotency_key=record.idempotency_key or "",
        version=VERSION,
        body=json.dumps(event_to_json(record.event), ensure_ascii=False),
    )


def _rejection(source: SpoolName, row: SpoolRow, fault: str, now: datetime) -> RejectedEvent:
    record = row.record
    return RejectedEvent(
        node=source.node,
        spool=source.spool,
        position=row.position,
        call=row.call,
        seq=row.seq,
        reason=fault[:200],
        body=json.dumps(event_to_json(record.event)) if record else "",  # ASCII: may be no Unicode
        at=now,
    )


def _columns(state: CallState) -> dict[str, Any]:
    talk = state.conversation
    return {
        "seq": state.seq,
        "phase": state.phase.value,
        "direction": state.direction,
        "transport": state.transport,
        "caller": state.caller,
        "called": state.called,
        "agent": state.agent.agent if state.agent else "",
        "version": state.agent.version if state.agent else None,
        "step": talk.step or "",
        "controller": state.controller or "",
        "started_at": from_us(state.started_us or None),
        "answered_at": from_us(state.answered_us),
        "ended_at": from_us(state.ended_us),
        "end_cause": (state.end_cause or "")[:64],
        "barge_ins": talk.barge_ins,
        "person_requested": talk.person_requested is not None,
    }


@transaction.atomic
def save_summary(*, call: str, text: str, figures: Mapping[str, Any], now: datetime) -> CallSummary:
    """The call's summary; written again by a repeated task, it replaces itself."""
    summary, _ = CallSummary.objects.update_or_create(
        record_id=call, defaults={"text": text, "figures": dict(figures), "written_at": now}
    )
    CallRecord.objects.filter(pk=call).update(answer_ms=figures.get("median_response_ms"))
    return summary
