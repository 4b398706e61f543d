from __future__ import annotations

import pytest

from frontend.api_limits import RateLimit
from frontend.presenters.charts import HEIGHT, WIDTH, ceiling, line, stacked_bars


def test_the_highest_column_fills_the_height_and_parts_stand_on_one_another() -> None:
    low, high = [("answered", 1.0), ("failed", 0.0)], [("answered", 3.0), ("failed", 1.0)]

    bars = stacked_bars([low, high])

    assert [bar.kind for bar in bars] == ["answered", "answered", "failed"]
    assert [bar.height for bar in bars] == [HEIGHT / 4, HEIGHT * 3 / 4, HEIGHT / 4]
    assert [bar.y for bar in bars] == [HEIGHT * 3 / 4, HEIGHT / 4, 0.0]
    assert bars[1].x > WIDTH / 2


@pytest.mark.parametrize("columns", [[], [[("answered", 0.0)]]])
def test_nothing_gives_no_bars(columns: list[list[tuple[str, float]]]) -> None:
    assert stacked_bars(columns) == []


def test_a_hole_in_the_hours_stays_a_hole() -> None:
    drawn = line([4.0, 4.2, None, 3.9, None, None], 1.0, 4.5)
    assert len(drawn.paths) == 1
    assert drawn.paths[0].startswith("M20.0 ")
    assert [x for x, _ in drawn.dots] == [140.0]


def test_a_value_beyond_the_chart_is_cut_off_at_its_edge() -> None:
    assert line([99.0, -99.0], 0.0, 10.0).paths == [f"M60.0 3.0 L180.0 {HEIGHT - 3:.1f}"]


@pytest.mark.parametrize(("values", "top"), [([], 2.0), ([None, 1.0], 2.0), ([5.0], 8.0)])
def test_the_top_of_a_chart_is_a_round_number(values: list[float | None], top: float) -> None:
    assert ceiling(values, 2.0) == top


def test_a_key_that_asks_too_often_waits_for_the_oldest_to_leave() -> None:
    limit = RateLimit()
    assert [limit.wait_s("a", 2, now) for now in (0.0, 10.0)] == [0.0, 0.0]
    assert limit.wait_s("a", 2, 20.0) == 40.0
    assert limit.wait_s("b", 2, 20.0) == 0.0
    assert limit.wait_s("a", 2, 60.0) == 0.0
    assert limit.wait_s("a", 0, 200.0) == 60.0
