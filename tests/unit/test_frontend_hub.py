"""What the hub lives through: a message that does not fit, a database that is away for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import pytest
from django.db import OperationalError

from frontend import hub
from frontend.hub import Hub
from telephony.call.ports import BusMessage

ROW = {"id": "c1", "node": "node1", "state": "listening", "seq": 1, "started_us": 1}
EVENT = {"call": "c1", "seq": 1, "kind": "CallStarted", "event": {}, "row": ROW}


class Bus:
    """`EventBus` of a node without calls that says `messages`, and then nothing more."""

    def __init__(self, *messages: BusMessage) -> None:
        self._messages = messages
        self.said = asyncio.Event()

    async def subscribe(self, since: str | None = None) -> AsyncGenerator[BusMessage, None]:
        for message in self._messages:
            yield message
        self.said.set()
        await asyncio.Event().wait()

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
    ) -> Mapping[str, Any]:
        return {"rows": [], "cursor": "1"}


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
