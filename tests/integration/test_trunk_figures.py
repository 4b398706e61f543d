"""Figures of trunks: what the shipper adds up from the events of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telephony.call.events import (
    CallEnded,
    CallEvent,
    CallStarted,
    LegAdded,
    LegConnected,
    QualityMeasured,
    Recorded,
)
from telephony.call.ids import CALLER, CallId
from telephony.call.transfer_events import TrunkMeasured
from telephony.models import Trunk, TrunkCall
from telephony.selectors import TrunkQuality, trunk_days, trunk_quality
from telephony.services import Projection, SpoolName, store_batch

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folder")]
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    position: int
    record: Recorded
    fault: str = ""

    @property
    def call(self) -> CallId:
        return self.record.call

    @property
    def seq(self) -> int:
        return self.record.seq


def spooled(call: str, at: datetime, events: Sequence[tuple[float, CallEvent]]) -> list[Row]:
    return [
        Row(
            seq,
            Recorded(
                call=CallId(call),
                seq=seq,
                at_us=round((at.timestamp() + after) * 1e6),
                event=event,
                actor="system",
            ),
        )
        for seq, (after, event) in enumerate(events, 1)
    ]


def call(**measured: Any) -> list[tuple[float, CallEvent]]:
    values: dict[str, Any] = {
        "leg": CALLER, "trunk": "east", "direction": "outbound", "status": 200, "answered": True,
        "cause": "normal", "codec": "PCMU", "pdd_ms": 900.0,
    }  # fmt: skip
    return [
        (0.0, CallStarted(direction="outbound", transport="sip", called="+4930", caller="", agent=None)),
        (0.0, LegAdded(leg=CALLER, role="caller", transport="sip")),
        (4.0, TrunkMeasured(**(values | measured))),
    ]  # fmt: skip


ANSWERED: list[tuple[float, CallEvent]] = [
    *call(),
    (4.0, LegConnected(leg=CALLER, codec="PCMU")),
    (9.0, QualityMeasured(leg=CALLER, loss_pct=1.0, jitter_ms=4.0, rtt_ms=None, mos=4.2)),
    (14.0, QualityMeasured(leg=CALLER, loss_pct=3.0, jitter_ms=8.0, rtt_ms=None, mos=3.8)),
    (64.0, CallEnded(cause="caller_hung_up", by="caller")),
]
BUSY = [
    *call(status=486, answered=False, cause="busy"),
    (4.0, CallEnded(cause="busy", by="system")),
]
DOWN = [
    *call(status=503, answered=False, cause="unavailable", pdd_ms=None),
    (4.0, CallEnded(cause="unavailable", by="system")),
]


def store(*rows: Row, batch: int = 100) -> None:
    projection = Projection()
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        store_batch(source=SpoolName("node1", "s"), rows=part, projection=projection, now=NOW)


def east() -> TrunkQuality:
    (found,) = (each for each in trunk_quality(NOW) if each.name == "east")
    return found


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_call_leaves_its_figures_however_it_is_shipped(batch: int) -> None:
    store(*spooled("c1", NOW - timedelta(minutes=10), ANSWERED), batch=batch)

    row = TrunkCall.objects.get()
    assert (row.trunk, row.status, row.codec, row.pdd_ms) == ("east", 200, "PCMU", 900.0)
    assert row.seconds == 60.0
    assert (row.reports, row.mos_least) == (2, 3.8)
    whole = east().whole
    assert whole.mos == pytest.approx(4.0)
    assert whole.loss_pct == pytest.approx(2.0)
    assert whole.jitter_ms == pytest.approx(6.0)


def test_events_that_are_shipped_twice_count_once() -> None:
    rows = spooled("c1", NOW - timedelta(minutes=10), ANSWERED)
    store(*rows)
    store(*rows)
    assert TrunkCall.objects.get().reports == 2


def test_answered_delivered_and_failed_are_told_apart() -> None:
    Trunk.objects.create(name="east", label="East", max_calls=7)
    for number, events in enumerate((ANSWERED, BUSY, BUSY, DOWN)):
        store(*spooled(f"c{number}", NOW - timedelta(hours=number, minutes=5), events))

    found = east()

    assert (found.whole.attempts, found.limit) == (4, 7)
    assert found.whole.asr == 25.0
    assert found.whole.ner == 75.0
    assert found.whole.pdd_p50 == 900.0
    assert found.causes == [("486 busy", 2), ("503 unavailable", 1)]
    assert [failure.call for failure in found.failures] == ["c1", "c2", "c3"]
    assert [hour.attempts for hour in found.hours[-4:]] == [1, 1, 1, 1]


def test_an_extension_leaves_no_figures_of_a_trunk() -> None:
    store(*spooled("c1", NOW, call(trunk="")))
    assert not TrunkCall.objects.exists()


def test_what_is_older_than_the_hours_asked_for_is_left_out() -> None:
    Trunk.objects.create(name="east")
    store(*spooled("c1", NOW - timedelta(hours=25), BUSY))
    assert east().whole.attempts == 0
    assert east().whole.asr is None


def test_a_trunk_that_was_removed_is_still_told_of() -> None:
    store(*spooled("c1", NOW - timedelta(hours=2), BUSY))
    assert not east().enabled


def test_each_day_has_its_figures() -> None:
    store(*spooled("c1", NOW - timedelta(hours=1), ANSWERED))
    store(*spooled("c2", NOW - timedelta(days=1), BUSY))

    today, yesterday = trunk_days("east", NOW)

    assert (today["attempts"], today["minutes"], today["mos"]) == (1, 1.0, pytest.approx(4.0))
    assert (yesterday["asr"], yesterday["ner"], yesterday["mos"]) == (0.0, 100.0, None)
