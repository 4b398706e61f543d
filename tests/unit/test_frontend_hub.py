"""What the hub lives through: a message that does not fit, a database that is away for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
from django.db import OperationalError

from frontend import hub, tasks
from frontend.board import Change
from frontend.hub import Hub
from telephony.call.ports import BusMessage

ROW = {"id": "c1", "node": "node1", "state": "listening", "seq": 1, "started_us": 1}
EVENT = {"call": "c1", "seq": 1, "kind": "CallStarted", "event": {}, "row": ROW}


class Bus:
    """`EventBus` of a node without calls that says `messages`, and then nothing more."""

    def __init__(self, *messages: BusMessage) -> None:
        self._messages = messages
        self.said = asyncio.Event()
        self.faults: list[Exception] = []
        self.asked_for_rows = 0

    async def subscribe(self, since: str | None = None) -> AsyncGenerator[BusMessage, None]:
        if self.faults:
            raise self.faults.pop()
        for message in self._messages:
            yield message
        self.said.set()
        await asyncio.Event().wait()

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
    ) -> Mapping[str, Any]:
        self.asked_for_rows += 1
        return {"rows": [], "cursor": "1"}


class Desk:
    """A `Listener` that keeps whether it was live, and how often it missed something."""

    def __init__(self) -> None:
        self.lives: list[bool] = []
        self.gaps = 0

    def on_change(self, change: Change) -> None: ...
    def on_event(self, body: Mapping[str, Any]) -> None: ...
    def on_partial(self, body: Mapping[str, Any]) -> None: ...
    def on_tick(self, *, sampled: bool) -> None: ...

    def on_gap(self) -> None:
        self.gaps += 1

    def on_live(self, *, live: bool) -> None:
        self.lives.append(live)


@pytest.fixture
async def bus() -> Bus:
    return Bus(BusMessage("node", {"unfit": True}), BusMessage("event", EVENT))


@pytest.fixture
async def desk(bus: Bus) -> AsyncIterator[Hub]:
    desk = Hub(bus, ["node1"])
    yield desk
    await desk.stop()


async def test_a_message_that_does_not_fit_is_passed_over(bus: Bus, desk: Hub) -> None:
    await desk.start()
    async with asyncio.timeout(2):
        await bus.said.wait()
    assert list(desk.board.rows) == ["c1"]


async def test_rights_are_looked_up_again_after_the_database_was_away(
    desk: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Hub] = []
    again = asyncio.Event()

    async def look(calls: Hub) -> None:
        looked.append(calls)
        if len(looked) == 1:
            raise OperationalError("database is locked")
        again.set()

    monkeypatch.setattr(hub, "TICK_S", 0.01)
    monkeypatch.setattr(hub, "end_unentitled_listening", look)
    await desk.start()
    async with asyncio.timeout(2):
        await again.wait()


async def test_reading_goes_on_after_a_fault_and_the_desk_is_told_meanwhile(
    bus: Bus, desk: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.01)
    bus.faults = [TypeError("of another version"), KeyError("cursor")]
    page = Desk()
    desk.watch(page)
    await desk.start()
    async with asyncio.timeout(2):
        await bus.said.wait()
    assert page.lives == [False, True]
    assert (page.gaps, bus.asked_for_rows) == (2, 3)
    assert list(desk.board.rows) == ["c1"]
    assert [record.message for record in caplog.records].count("task_failed") == 2


async def test_a_subscription_in_which_nothing_is_said_stands_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(hub, "STANDS_S", 0.01)
    silent, again = Bus(), asyncio.Event()
    silent.faults = [TypeError("of another version")]
    desk, page = Hub(silent, ["node1"]), Desk()

    def on_live(*, live: bool) -> None:
        page.lives.append(live)
        if live:
            again.set()

    monkeypatch.setattr(page, "on_live", on_live)
    desk.watch(page)
    await desk.start()
    async with asyncio.timeout(2):
        await again.wait()
    await desk.stop()
    assert page.lives == [False, True]


async def test_the_tick_goes_on_after_a_fault_and_the_calls_are_heard_meanwhile(
    desk: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[bool] = []
    again = asyncio.Event()

    async def look(calls: Hub) -> None:
        ticks.append(calls.is_live)
        if len(ticks) == 1:
            raise ValueError("no fault of a database")
        again.set()

    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(hub, "TICK_S", 0.01)
    monkeypatch.setattr(hub, "end_unentitled_listening", look)
    await desk.start()
    async with asyncio.timeout(2):
        await again.wait()
    assert ticks == [True, True]


async def test_rows_that_do_not_fit_at_the_start_do_not_keep_the_desk_from_starting(
    bus: Bus, desk: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.01)
    answers: list[dict[str, Any]] = [{"rows": None}]
    right = bus.request

    async def wrong_once(*args: Any, **named: Any) -> Mapping[str, Any]:
        return answers.pop() if answers else await right(*args, **named)

    monkeypatch.setattr(bus, "request", wrong_once)
    await desk.start()
    assert not desk.is_live
    async with asyncio.timeout(2):
        await bus.said.wait()
    assert desk.is_live
