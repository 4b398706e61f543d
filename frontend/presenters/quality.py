"""Trunks as the quality page shows them. A tone is never alone: each stands beside its figure and its word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from frontend.access import PII, Viewer
from frontend.presenters import masking
from frontend.presenters.charts import HEIGHT, WIDTH, Bar, Line, ceiling, line, stacked_bars
from telephony.selectors import Figures, TrunkQuality, TrunkState

FEW: Final = 5
"""Attempts below which a share says nothing, and gets no tone."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its unit and its definition. `tone`: good, fair, poor, or none."""

    name: str
    value: str
    unit: str
    definition: str
    tone: str = "none"


@dataclass(frozen=True, slots=True)
class Chart:
    """One small chart over the hours. `top`: what the upper edge stands for."""

    name: str
    summary: str
    top: str
    bars: Sequence[Bar] = ()
    line: Line | None = None
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class TrunkCard:
    """One trunk on the page."""

    name: str
    label: str
    state: str
    tone: str
    calls: str
    attempts: int
    figures: list[Figure]
    charts: list[Chart]
    causes: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    days: list[Mapping[str, Any]] = field(default_factory=list)


def present_trunk(
    quality: TrunkQuality,
    state: TrunkState | None,
    viewer: Viewer,
    called: Mapping[str, str],
    days: Sequence[Mapping[str, Any]],
) -> TrunkCard:
    """`called`: numbers of failed calls, shown as far as this person may see them."""
    word, tone = _state(quality, state)
    now = state.calls if state else 0
    limit = f" of {quality.limit}" if quality.limit is not None else ""
    most = max((count for _, count in quality.causes), default=1)
    return TrunkCard(
        name=quality.name,
        label=quality.label or quality.name,
        state=word,
        tone=tone,
        calls=f"{now}{limit}",
        attempts=quality.whole.attempts,
        figures=_figures(quality.whole),
        charts=_charts(quality.hours) if quality.whole.attempts else [],
        causes=[
            {"name": name, "count": count, "width": round(100 * count / most)}
            for name, count in quality.causes
        ],
        failures=[
            {
                "at": failure.at,
                "call": failure.call,
                "called": _number(called.get(failure.call, ""), viewer),
                "way": "out" if failure.direction == "outbound" else "in",
                "cause": f"{failure.status} {failure.cause.replace('_', ' ')}",
            }
            for failure in quality.failures
        ],
        days=[_day(day) for day in days],
    )


def _number(called: str, viewer: Viewer) -> str:
    if not called:
        return ""
    name = masking.party(called, "sip")
    return name if viewer.may(PII) else masking.mask(name)


def _state(quality: TrunkQuality, state: TrunkState | None) -> tuple[str, str]:
    if not quality.enabled:
        return "off", "none"
    if state is None:
        return "not watched", "none"
    if state.troubled:
        return f"{state.word}, not from {', '.join(state.troubled)}", "fair"
    word = f"{state.word}: {state.why}" if state.why else state.word
    return word, "good" if state.is_good else "poor" if state.is_bad else "none"


def _figures(whole: Figures) -> list[Figure]:
    enough = whole.attempts >= FEW
    return [
        Figure("Attempts", str(whole.attempts), "", "Calls tried, both ways."),
        Figure(
            "ASR",
            _shown(whole.asr),
            "%",
            "Answer-seizure ratio: answered of all attempts.",
            _tone(whole.asr, 50, 30) if enough else "none",
        ),
        Figure(
            "NER",
            _shown(whole.ner),
            "%",
            "Network effectiveness: answered, busy, not answered or declined, of all attempts.",
            _tone(whole.ner, 95, 85) if enough else "none",
        ),
        Figure(
            "PDD",
            _shown(whole.pdd_p50, 1000, 1),
            f"s, p95 {_shown(whole.pdd_p95, 1000, 1)}",
            "Post-dial delay: INVITE to the first 18x of calls placed here; median and 95th percentile.",
            _tone(_minus(whole.pdd_p95), -4000, -8000),
        ),
        Figure(
            "MOS",
            _shown(whole.mos, digits=2),
            f"worst {_shown(whole.mos_p5, digits=2)}",
            "Mean opinion score by the E-model (G.107), mean of all reports; beside it the 5th percentile of calls.",
            _tone(whole.mos, 4.0, 3.6),
        ),
        Figure(
            "Loss",
            _shown(whole.loss_pct, digits=1),
            "%",
            "Packets lost on the way to us.",
            _tone(_minus(whole.loss_pct), -1.0, -3.0),
        ),
        Figure(
            "Jitter",
            _shown(whole.jitter_ms),
            "ms",
            "Interarrival jitter (RFC 3550).",
            _tone(_minus(whole.jitter_ms), -20, -40),
        ),
        Figure("Minutes", f"{whole.minutes:.0f}", "", "Answered time."),
    ]


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _tone(value: float | None, good: float, fair: float) -> str:
    if value is None:
        return "none"
    return "good" if value >= good else "fair" if value >= fair else "poor"


def _shown(value: float | None, per: float = 1, digits: int = 0) -> str:
    return "—" if value is None else f"{value / per:.{digits}f}"


def _charts(hours: Sequence[Figures]) -> list[Chart]:
    columns = [
        (
            ("answered", float(hour.answered)),
            ("delivered", float(hour.delivered - hour.answered)),
            ("failed", float(hour.attempts - hour.delivered)),
        )
        for hour in hours
    ]
    busiest = max(hour.attempts for hour in hours)
    pdds = [_seconds(hour.pdd_p95) for hour in hours]
    losses = [hour.loss_pct for hour in hours]
    mos = [hour.mos for hour in hours]
    pdd_top, loss_top = ceiling(pdds, 2.0), ceiling(losses, 1.0)
    return [
        Chart(
            "Calls an hour",
            f"Attempts in each hour, at most {busiest}: answered, reached but not answered, failed.",
            str(busiest),
            bars=stacked_bars(columns),
        ),
        Chart("MOS", f"Between 1 and 4.5; {_span(mos, 2)}.", "4.5", line=line(mos, 1.0, 4.5)),
        Chart("PDD p95, s", f"{_span(pdds, 1)}.", f"{pdd_top:g}", line=line(pdds, 0.0, pdd_top)),
        Chart("Loss, %", f"{_span(losses, 1)}.", f"{loss_top:g}", line=line(losses, 0.0, loss_top)),
    ]


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def _span(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "Nothing was measured"
    return f"Lowest {min(known):.{digits}f}, highest {max(known):.{digits}f}"


def _day(day: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "day": day["day"],
        "attempts": day["attempts"],
        "minutes": f"{day['minutes']:.0f}",
        "asr": _shown(day["asr"]),
        "ner": _shown(day["ner"]),
        "pdd": _shown(day["pdd_ms"], 1000, 1),
        "mos": _shown(day["mos"], digits=2),
        "loss": _shown(day["loss_pct"], digits=1),
        "jitter": _shown(day["jitter_ms"]),
    }
