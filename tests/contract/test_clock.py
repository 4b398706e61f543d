"""What every `Scheduler` does, the loop's and the manual one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from telephony.call.ports import Scheduler
from telephony.call.timers import LoopScheduler, TimerSet
from tests.fakes.manual_clock import ManualClock

Wait = Callable[[float], Awaitable[None]]


@pytest.fixture(params=["loop", "manual"])
async def clock(request: pytest.FixtureRequest) -> tuple[Scheduler, Wait]:
    if request.param == "loop":
        return LoopScheduler(asyncio.get_running_loop()), asyncio.sleep
    manual = ManualClock()

    async def wait(seconds: float) -> None:
        manual.advance(seconds)

    return manual, wait


async def test_time_goes_forward(clock: tuple[Scheduler, Wait]):
    scheduler, wait = clock
    began_s, began_us = scheduler.monotonic(), scheduler.wall_us()
    await wait(0.02)
    assert 0.015 < scheduler.monotonic() - began_s < 5
    assert 15_000 < scheduler.wall_us() - began_us < 5_000_000
    assert began_us > 1_600_000_000_000_000


async def test_timers_fire_in_the_order_of_their_time(clock: tuple[Scheduler, Wait]):
    scheduler, wait = clock
    fired: list[str] = []
    scheduler.call_later(0.02, lambda: fired.append("second"))
    scheduler.call_later(0.01, lambda: fired.append("first"))
    scheduler.call_later(0.01, lambda: fired.append("never")).cancel()
    await wait(0.1)
    assert fired == ["first", "second"]


async def test_a_timer_set_keeps_one_timer_per_name(clock: tuple[Scheduler, Wait]):
    scheduler, wait = clock
    fired: list[str] = []
    timers = TimerSet(scheduler)
    timers.set("a", 0.01, lambda: fired.append("replaced"))
    timers.set("a", 0.02, lambda: fired.append("a"))
    timers.set("b", 0.01, lambda: fired.append("cancelled"))
    timers.cancel("b")
    timers.cancel("unknown")
    await wait(0.1)
    assert fired == ["a"]


async def test_a_closed_timer_set_is_silent(clock: tuple[Scheduler, Wait]):
    scheduler, wait = clock
    fired: list[str] = []
    timers = TimerSet(scheduler)
    timers.set("a", 0.01, lambda: fired.append("a"))
    timers.close()
    timers.set("b", 0.01, lambda: fired.append("b"))
    await wait(0.05)
    assert fired == []
