"""Commands of the desk: permission, audit, and what the node answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async

from frontend import hub
from telephony.selectors import audit_of
from tests.fakes.desk_page import ALL, page_again, page_of
from tests.fakes.fake_node import FakeBus, FakeNode

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
async def bus() -> AsyncIterator[FakeBus]:
    fake = FakeBus()
    found = hub.configure(fake)
    yield fake
    await found.stop()


@pytest.fixture
async def node(bus: FakeBus) -> FakeNode:
    node = FakeNode(bus)
    node.begin("c1")
    return node


COMMANDS = {
    "listen": ("listen_call", {"sdp": "v=0"}),
    "take": ("take_over_call", {}),
    "return": ("take_over_call", {}),
    "transfer_check": ("transfer_call", {"to": "200"}),
    "transfer": ("transfer_call", {"to": "200", "mode": "blind"}),
    "transfer_complete": ("transfer_call", {}),
    "transfer_cancel": ("transfer_call", {}),
    "end": ("end_call", {}),
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_each_command_needs_its_own_permission(
    node: FakeNode, bus: FakeBus, name: str
) -> None:
    permission, args = COMMANDS[name]
    page = await page_of(*(each for each in ALL if each != permission))
    await page.open()
    result = await page.command(name, **args)
    assert (result["ok"], result["code"]) == (False, "permission")
    assert bus.asked(f"desk.{name}") == []
    deeds = await database_sync_to_async(audit_of)("c1")
    assert [deed.what for deed in deeds] == [f"{name}_refused"]
    await page.socket.disconnect()


async def test_listening_is_on_record_before_the_node_is_asked(
    node: FakeNode, bus: FakeBus
) -> None:
    seen: list[str] = []
    listen = bus.handlers["desk.listen"]

    async def spy(args: Any) -> Any:
        seen.extend(deed.what for deed in await database_sync_to_async(audit_of)("c1"))
        return await listen(args)

    bus.serve("desk.listen", spy)
    page = await page_of("view_call", "listen_call")
    await page.open()
    result = await page.command("listen", sdp="v=0")
    assert result["ok"]
    assert result["sdp"]
    assert seen == ["listen"]
    await page.socket.disconnect()


async def test_a_call_is_taken_over_and_handed_back_with_a_brief(
    node: FakeNode, bus: FakeBus
) -> None:
    page = await page_of(*ALL)
    await page.open()
    assert (await page.command("listen", id="k1", sdp="v=0"))["ok"]
    assert (await page.command("take", id="k2"))["ok"]
    assert (await page.command("return", id="k3", brief="offer eleven o'clock"))["ok"]
    asked = bus.asked("desk.return")[0]
    assert asked["brief"] == "offer eleven o'clock"
    assert asked["who"] == "ravi"
    await page.socket.disconnect()


async def test_a_page_cannot_speak_in_the_name_of_another(node: FakeNode, bus: FakeBus) -> None:
    page = await page_of(*ALL)
    await page.open()
    result = await page.command("take", who="asha")
    assert result["code"] == "arguments"
    assert bus.asked("desk.take") == []
    await page.socket.disconnect()


async def test_a_command_repeated_after_a_reconnect_has_its_first_result(
    node: FakeNode, bus: FakeBus
) -> None:
    page = await page_of(*ALL)
    await page.open()
    first = await page.command("end", id="same")
    await page.socket.disconnect()
    again = await page_again()
    await again.open()
    assert await again.command("end", id="same") == first
    assert len(bus.asked("desk.end")) == 1
    await again.socket.disconnect()


async def test_a_question_is_asked_anew_each_time_and_its_answer_takes_no_deeds_place(
    node: FakeNode, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MAX_RESULTS", 1)
    page = await page_of(*ALL)
    await page.open()
    first = await page.command("end", id="same")
    node.begin("c2")
    for _ in range(2):
        assert (await page.command("transfer_check", call="c2", id="k1", to="200"))["ok"]
    assert len(bus.asked("desk.transfer_check")) == 2
    assert await page.command("end", id="same") == first
    assert len(bus.asked("desk.end")) == 1
    await page.socket.disconnect()


async def test_a_refusal_of_the_call_is_passed_on_in_words(node: FakeNode) -> None:
    node.refuse["desk.take"] = ("floor_held", "asha has the call.")
    page = await page_of(*ALL)
    await page.open()
    result = await page.command("take")
    assert (result["ok"], result["code"], result["text"]) == (
        False,
        "floor_held",
        "asha has the call.",
    )
    await page.socket.disconnect()


async def test_a_node_that_is_away_is_said_to_be_away(node: FakeNode, bus: FakeBus) -> None:
    page = await page_of(*ALL)
    await page.open()
    bus.is_up = False
    assert (await page.command("end"))["code"] == "unreachable"
    await page.socket.disconnect()


async def test_a_command_on_no_call_and_an_unknown_command_are_refused(node: FakeNode) -> None:
    page = await page_of(*ALL)
    await page.open()
    assert (await page.command("end", call="c9", id="k1"))["code"] == "gone"
    assert (await page.command("dance", id="k2"))["code"] == "unknown"
    await page.socket.disconnect()


async def test_a_call_is_put_through_and_the_page_sees_how_it_goes(
    node: FakeNode, bus: FakeBus
) -> None:
    page = await page_of(*ALL)
    await page.open()
    assert (await page.command("transfer_check", id="k0", to="200"))["ok"]
    result = await page.command("transfer", to="200", mode="blind", brief="a quick one")
    assert (result["ok"], result["transfer"]) == (True, "t1")
    asked = bus.asked("desk.transfer")[0]
    assert (asked["to"], asked["mode"], asked["who"]) == ("200", "blind", "ravi")
    assert (await page.command("transfer_cancel", id="k2"))["ok"]
    deeds = await database_sync_to_async(audit_of)("c1")
    assert [deed.what for deed in deeds] == ["transfer_cancel", "transfer"]
    wrong = await page.command("transfer", id="k3", to="200")
    assert (wrong["ok"], wrong["code"]) == (False, "arguments")
    await page.socket.disconnect()
