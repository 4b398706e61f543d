"""What a node measures of itself, and that its one rule goes by it."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from telephony.admission import HOT_S, Admission
from tests.fakes.manual_clock import ManualClock
from voiceapp.node_load import MEASURE_S, NodeLoad


class Plane:
    """A media plane whose lateness a test sets."""

    def __init__(self) -> None:
        self.late = 0.5
        self.overruns = 0
        self.free_rtp_slots = 50

    def late_ms(self, sub_ticks: int) -> float:
        return self.late


class Scene:
    def __init__(self, calls: int = 20, places: int | None = 100) -> None:
        self.clock, self.plane = ManualClock(), Plane()
        self.calls = calls
        self.load = NodeLoad(
            Admission(),
            cast("Any", self.plane),
            self.clock,
            max_calls=50,
            agent_places=lambda: places,
            calls=lambda: self.calls,
            agent_calls=lambda: self.calls,
        )
        self.load.start()

    def reason(self, *, agent: bool = True) -> str:
        refusal = self.load.refusal(self.calls, agent)
        return "" if refusal is None else refusal.reason


def test_lateness_that_lasts_refuses_calls_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    scene = Scene()
    scene.plane.late = 30.0
    scene.clock.advance(HOT_S + 4 * MEASURE_S)
    assert scene.reason() == "overloaded"
    assert scene.load.unavailable(scene.calls) is not None
    assert [record.message for record in caplog.records].count("node_overloaded") == 1
    scene.plane.late = 0.5
    scene.clock.advance(10)
    assert scene.reason() == ""
    assert caplog.records[-1].message == "node_recovered"


def test_a_loop_that_called_back_late_is_measured() -> None:
    scene = Scene()
    scene.clock.advance(MEASURE_S)
    assert scene.load.measured.lag_ms == pytest.approx(0.0, abs=1e-6)


def test_agents_that_are_all_busy_refuse_calls_that_need_one() -> None:
    scene = Scene(calls=5, places=5)
    assert scene.reason() == "no_agent"
    assert scene.reason(agent=False) == ""
    assert scene.load.max_calls == 5


def test_a_plane_without_a_free_place_refuses_every_call() -> None:
    scene = Scene()
    scene.plane.free_rtp_slots = 0
    assert scene.reason(agent=False) == "no_media"


def test_a_node_that_stops_measures_no_more() -> None:
    scene = Scene()
    scene.load.close()
    assert scene.clock.pending == 0
