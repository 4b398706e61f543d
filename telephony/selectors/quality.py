"""How trunks did: figures over the last hours, from what each attempt came to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import Avg, Count, F, FloatField, Q, Sum
from django.db.models.functions import Cast, TruncDate

from telephony.models import Trunk, TrunkCall

MOST_ROWS: Final = 50_000
RECENT_FAILURES: Final = 12
HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Figures:
    """Sums over attempts; the properties are None where nothing was measured.

    ASR: answered of all attempts. NER: those the network delivered (answered, busy, no answer, declined). PDD: from
    INVITE to the first 18x, of calls we placed. MOS, loss, jitter: means over the quality reports.
    """

    attempts: int = 0
    answered: int = 0
    delivered: int = 0
    seconds: float = 0.0
    reports: int = 0
    mos_sum: float = 0.0
    loss_sum: float = 0.0
    jitter_sum: float = 0.0
    pdds: list[float] = field(default_factory=list)
    worst_mos: list[float] = field(default_factory=list)

    def add(self, row: TrunkCall) -> None:
        self.attempts += 1
        self.answered += row.answered
        self.delivered += row.delivered
        self.seconds += row.seconds
        self.reports += row.reports
        self.mos_sum += row.mos_sum
        self.loss_sum += row.loss_sum
        self.jitter_sum += row.jitter_sum
        if row.pdd_ms is not None:
            self.pdds.append(row.pdd_ms)
        if row.mos_least is not None:
            self.worst_mos.append(row.mos_least)

    @property
    def asr(self) -> float | None:
        return 100 * self.answered / self.attempts if self.attempts else None

    @property
    def ner(self) -> float | None:
        return 100 * self.delivered / self.attempts if self.attempts else None

    @property
    def pdd_p50(self) -> float | None:
        return rank(self.pdds, 0.5)

    @property
    def pdd_p95(self) -> float | None:
        return rank(self.pdds, 0.95)

    @property
    def mos(self) -> float | None:
        return self.mos_sum / self.reports if self.reports else None

    @property
    def mos_p5(self) -> float | None:
        return rank(self.worst_mos, 0.05)

    @property
    def loss_pct(self) -> float | None:
        return self.loss_sum / self.reports if self.reports else None

    @property
    def jitter_ms(self) -> float | None:
        return self.jitter_sum / self.reports if self.reports else None

    @property
    def minutes(self) -> float:
        return self.seconds / 60


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that came to nothing."""

    at: datetime
    call: str
    direction: str
    status: int
    cause: str


@dataclass(slots=True)
class TrunkQuality:
    """One trunk over the hours asked for. `hours`: oldest first, one each, empty ones too."""

    name: str
    label: str
    enabled: bool
    limit: int | None
    whole: Figures
    hours: list[Figures]
    causes: list[tuple[str, int]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def rank(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def trunk_quality(now: datetime, hours: int = 24) -> list[TrunkQuality]:
    """Every trunk that is set up or was used, over the last hours."""
    since = now - hours * HOUR
    rows = TrunkCall.objects.filter(at__gt=since, at__lte=now).order_by("-at")[:MOST_ROWS]
    by_trunk: dict[str, list[TrunkCall]] = {}
    for row in rows:
        by_trunk.setdefault(row.trunk, []).append(row)
    found = [
        _quality(trunk, by_trunk.pop(trunk.name, []), now, hours) for trunk in Trunk.objects.all()
    ]
    gone = (
        _quality(Trunk(name=name, enabled=False, max_calls=None), left, now, hours)
        for name, left in sorted(by_trunk.items())
    )
    return [*found, *gone]


def _quality(trunk: Trunk, rows: Iterable[TrunkCall], now: datetime, hours: int) -> TrunkQuality:
    quality = TrunkQuality(
        trunk.name,
        trunk.label,
        trunk.enabled,
        trunk.max_calls,
        Figures(),
        [Figures() for _ in range(hours)],
    )
    causes: Counter[str] = Counter()
    for row in rows:  # newest first
        quality.whole.add(row)
        ago = min(hours - 1, int((now - row.at) / HOUR))
        quality.hours[hours - 1 - ago].add(row)
        if not row.answered:
            causes[f"{row.status} {row.cause.replace('_', ' ')}"] += 1
            if len(quality.failures) < RECENT_FAILURES:
                failure = Failure(row.at, row.call, row.direction, row.status, row.cause)
                quality.failures.append(failure)
    quality.causes = causes.most_common(8)
    return quality


def trunk_days(trunk: str, now: datetime, days: int = 14) -> list[Mapping[str, Any]]:
    """Figures of each day (UTC) on which the trunk was used, newest first."""
    reports = Cast(Sum("reports"), FloatField())
    rows = (
        TrunkCall.objects.filter(trunk=trunk, at__gt=now - timedelta(days=days))
        .annotate(day=TruncDate("at", tzinfo=UTC))
        .values("day")
        .order_by("-day")
        .annotate(
            attempts=Count("id"),
            answered=Count("id", filter=Q(answered=True)),
            delivered=Count("id", filter=Q(delivered=True)),
            seconds=Sum("seconds"),
            pdd_ms=Avg("pdd_ms"),
            reports_all=reports,
            mos_all=Sum("mos_sum"),
            loss_all=Sum("loss_sum"),
            jitter_all=Sum("jitter_sum"),
        )
        .annotate(
            asr=100.0 * F("answered") / F("attempts"),
            ner=100.0 * F("delivered") / F("attempts"),
        )
    )
    return [_day(row) for row in rows]


def _day(row: Mapping[str, Any]) -> Mapping[str, Any]:
    reports = row["reports_all"]

    def mean(name: str) -> float | None:
        return row[name] / reports if reports else None

    return {
        **row,
        "minutes": row["seconds"] / 60,
        "mos": mean("mos_all"),
        "loss_pct": mean("loss_all"),
        "jitter_ms": mean("jitter_all"),
    }
