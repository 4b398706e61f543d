"""The five numbers above the live list, and their last half hour. Pure: `now` is an argument, in seconds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from frontend.presenters.rows import attention_of

ANSWERS_WINDOW_S: Final = 300.0
MINUTE_S: Final = 60.0
SAMPLE_S: Final = 30.0
SAMPLES: Final = 60
"""Half an hour of samples."""

NAMES: Final = ("live", "attention", "p95_ms", "barge_ins", "mos")


class Figures:
    """Live calls, calls that need a person, p95 of answers, barge-ins a minute, mean MOS."""

    def __init__(self) -> None:
        self._answers: deque[tuple[float, float]] = deque(maxlen=5000)
        self._barge_ins: deque[float] = deque(maxlen=5000)
        self._mos: dict[str, float] = {}
        self._history: deque[list[float | None]] = deque(maxlen=SAMPLES)
        self._sampled_at = -math.inf

    def on_event(self, body: Mapping[str, Any], now: float) -> None:
        event = body.get("event") or {}
        kind = body["kind"]
        if kind == "TurnTimed" and event.get("first_packet_ms") is not None:
            self._answers.append((now, float(event["first_packet_ms"])))
        elif kind == "BargedIn":
            self._barge_ins.append(now)
        elif kind == "QualityMeasured" and event.get("leg") == "caller":
            self._mos[str(body["call"])] = float(event["mos"])
        elif kind == "CallEnded":
            self._mos.pop(str(body["call"]), None)

    def numbers(self, rows: Iterable[Mapping[str, Any]], now: float) -> dict[str, Any]:
        """The numbers as they are; None where nothing was measured."""
        live = [row for row in rows if row.get("state") != "ended"]
        while self._answers and self._answers[0][0] < now - ANSWERS_WINDOW_S:
            self._answers.popleft()
        while self._barge_ins and self._barge_ins[0] < now - MINUTE_S:
            self._barge_ins.popleft()
        return {
            "live": len(live),
            "attention": sum(1 for row in live if attention_of(row)[0]),
            "p95_ms": p95([ms for _, ms in self._answers] or _last_answers(live)),
            "barge_ins": len(self._barge_ins),
            "mos": round(sum(self._mos.values()) / len(self._mos), 2) if self._mos else None,
        }

    def sample(self, numbers: Mapping[str, Any], now: float) -> bool:
        """Keeps the numbers for the sparklines every 30 s; true if it did."""
        if now - self._sampled_at < SAMPLE_S:
            return False
        self._sampled_at = now
        self._history.append([numbers[name] for name in NAMES])
        return True

    def history(self) -> dict[str, list[float | None]]:
        return {name: [sample[i] for sample in self._history] for i, name in enumerate(NAMES)}


def _last_answers(rows: Iterable[Mapping[str, Any]]) -> list[float]:
    """What the rows know: all there is when the process has just begun to listen."""
    return [float(row["answer_ms"]) for row in rows if row.get("answer_ms") is not None]


def p95(values: list[float]) -> int | None:
    """Nearest-rank 95th percentile, in whole ms."""
    if not values:
        return None
    return round(sorted(values)[math.ceil(0.95 * len(values)) - 1])
