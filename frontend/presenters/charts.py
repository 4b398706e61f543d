"""Small charts as the numbers of an SVG: bars and lines over the hours. Pure; the template draws, CSS colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 240
HEIGHT: Final = 48
GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `kind` is its class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


def stacked_bars(columns: Sequence[Sequence[tuple[str, float]]]) -> list[Bar]:
    """A column per hour, its parts from the bottom; the highest column fills the height."""
    most = max((sum(value for _, value in column) for column in columns), default=0)
    if not most:
        return []
    step = WIDTH / len(columns)
    bars: list[Bar] = []
    for place, column in enumerate(columns):
        bottom = float(HEIGHT)
        for kind, value in column:
            height = value / most * HEIGHT
            bottom -= height
            if height > 0:
                x, width = place * step + GAP / 2, step - GAP
                bars.append(Bar(kind, *(round(n, 1) for n in (x, bottom, width, height))))
    return bars


@dataclass(frozen=True, slots=True)
class Line:
    """`paths`: one `d` per run of hours without a hole. `dots`: hours that stand alone."""

    paths: list[str]
    dots: list[tuple[float, float]]


def line(values: Sequence[float | None], low: float, high: float) -> Line:
    """Values between `low` (bottom) and `high`, cut off there; a hole stays a hole."""
    step = WIDTH / max(1, len(values))
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
            continue
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        point = (round((place + 0.5) * step, 1), round(HEIGHT - 3 - share * (HEIGHT - 6), 1))
        runs[-1].append(point)
    paths = ["M" + " L".join(f"{x} {y}" for x, y in run) for run in runs if len(run) > 1]
    return Line(paths, [run[0] for run in runs if len(run) == 1])


def ceiling(values: Sequence[float | None], least: float) -> float:
    """A round number at or above all values, for the top of a chart."""
    most = max((value for value in values if value is not None), default=0.0)
    top = least
    while top < most:
        top *= 2
    return top
