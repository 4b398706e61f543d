"""Limits of each trunk, and log lines that do not flood."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from telephony.gateway.tally import Tally
from telephony.gateway.trunk_room import TrunkRooms
from telephony.trunks import Trunk
from tests.fakes.manual_clock import ManualClock

SMALL = Trunk(name="small", max_calls=2, max_cps=None)
OTHER = Trunk(name="other", max_calls=2, max_cps=None)
SLOW = Trunk(name="slow", max_calls=None, max_cps=2.0)


def test_a_full_trunk_is_refused_and_others_do_not_notice() -> None:
    rooms = TrunkRooms()
    assert rooms.take(SMALL, 0.0) is None
    assert rooms.take(SMALL, 0.0) is None
    refusal = rooms.take(SMALL, 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (503, "trunk_full")
    assert refusal.retry_after_s > 0
    assert rooms.take(OTHER, 0.0) is None
    rooms.release("small")
    assert rooms.take(SMALL, 0.0) is None
    assert rooms.counters("small") == {"trunk_full": 1}


def test_calls_of_a_trunk_come_no_faster_than_it_may() -> None:
    rooms = TrunkRooms()
    taken = [rooms.take(SLOW, at / 10) is None for at in range(30)]
    assert 5 <= sum(taken) <= 7
    refusal = rooms.refusal(SLOW, 2.95)
    assert refusal is not None
    assert refusal.reason == "trunk_too_fast"


def test_a_limit_of_zero_means_none_at_all() -> None:
    rooms = TrunkRooms()
    assert rooms.take(replace(SMALL, max_calls=0), 0.0) is not None
    assert rooms.take(replace(SLOW, max_cps=0.0), 100.0) is not None


def test_another_limit_counts_at_once_for_calls_that_are_up() -> None:
    rooms = TrunkRooms()
    rooms.take(SMALL, 0.0)
    rooms.take(SMALL, 0.0)
    assert rooms.refusal(replace(SMALL, max_calls=1), 0.0) is not None
    assert rooms.refusal(replace(SMALL, max_calls=3), 0.0) is None


def test_what_was_never_taken_is_not_given_back() -> None:
    rooms = TrunkRooms()
    rooms.release("small")
    assert rooms.calls("small") == 0


def test_many_refusals_are_one_line_a_second(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    tally = Tally(clock, "calls_refused")
    for _ in range(300):
        tally.add("carrier", "trunk_full")
        tally.add("other", "full")
        clock.advance(0.01)
    clock.advance(2.0)
    lines = [r for r in caplog.records if getattr(r, "trunk", "") == "carrier"]
    assert len(lines) <= 4
    assert sum(record.__dict__["counts"]["trunk_full"] for record in lines) == 300
    assert clock.pending == 0
