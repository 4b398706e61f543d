"""The caller's socket: whose page may call, what the caller is told, coming back, and rubbish."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator

from frontend import hub
from frontend.consumers.widget import WidgetSocket
from telephony.call.events import (
    BargedIn,
    CallEnded,
    FloorTaken,
    LegAdded,
    RuleRefused,
    UtteranceEnded,
)
from telephony.call.ids import LegId, UserName, UtteranceId
from telephony.services.routing import allow_widget
from tests.fakes.fake_node import FakeBus, FakeNode
from voiceapp.routing import websockets

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)

SITE = "https://www.example.com"
START = {"type": "start", "v": 1, "key": "demo", "sdp": "v=0\r\n"}


@pytest.fixture
async def bus() -> AsyncIterator[FakeBus]:
    fake = FakeBus()
    found = hub.configure(fake)
    await database_sync_to_async(allow_widget)(
        key="demo", label="", agent="receptionist", origins=[SITE]
    )
    yield fake
    await found.stop()


@pytest.fixture
async def node(bus: FakeBus) -> FakeNode:
    return FakeNode(bus)


class Page:
    """A caller's page."""

    def __init__(self, origin: str | None = SITE) -> None:
        headers = [] if origin is None else [(b"origin", origin.encode())]
        self.socket = WebsocketCommunicator(websockets, "/ws/widget/", headers)

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.socket.send_to(text_data=text)

    async def until(self, kind: str) -> dict[str, Any]:
        while (message := json.loads(await self.socket.receive_from()))["type"] != kind:
            pass
        found: dict[str, Any] = message
        return found

    async def ask(self, message: Any, kind: str) -> dict[str, Any]:
        """Connects with this first message."""
        await self.socket.connect()
        await self.say(message)
        return await self.until(kind)

    async def closing_code(self) -> int:
        while (message := await self.socket.receive_output(2))["type"] != "websocket.close":
            pass
        return int(message["code"])


# --------------------------------------------------------------------------------------------------- who may call


@pytest.mark.parametrize("origin", ["https://evil.example", "http://www.example.com", "https://www.example.com:444"])  # fmt: skip
async def test_a_page_of_another_site_is_refused_with_words(
    node: FakeNode, bus: FakeBus, origin: str
) -> None:
    page = Page(origin)
    error = await page.ask(START, "error")
    assert error["code"] == "origin"
    assert error["text"]
    assert await page.closing_code() == 4403
    assert bus.asked("widget.start") == []


@pytest.mark.parametrize("origin", [None, "null"])
async def test_a_page_without_an_origin_is_refused_before_it_speaks(
    node: FakeNode, origin: str | None
) -> None:
    page = Page(origin)
    await page.socket.connect()
    assert (await page.until("error"))["code"] == "origin"
    assert await page.closing_code() == 4403


async def test_an_unknown_key_has_the_same_answer_as_a_wrong_origin(node: FakeNode) -> None:
    unknown, foreign = Page(), Page("https://evil.example")
    first = await unknown.ask({**START, "key": "nobody"}, "error")
    second = await foreign.ask(START, "error")
    assert first == second


# ------------------------------------------------------------------------------------------------------- the call


async def test_a_call_begins_and_its_captions_follow(node: FakeNode, bus: FakeBus) -> None:
    page = Page()
    started = await page.ask({**START, "variables": {"plan": "gold"}}, "started")
    call = started["call"]
    assert started["sdp"]
    assert started["resumed"] is False
    assert bus.asked("widget.start") == [
        {"key": "demo", "origin": SITE, "sdp": "v=0\r\n", "variables": {"plan": "gold"}}
    ]
    node.says(call, "0.0.1", "Hello there", at_s=0.2)
    assert (await page.until("transcript"))["text"] == "Hello there"
    node.partial(call, "when do")
    assert (await page.until("transcript"))["final"] is False
    node.hears(call, "when do you open", at_s=2.0, turn=1)
    assert (await page.until("transcript"))["text"] == "when do you open"
    await page.socket.disconnect()


async def test_the_caller_learns_of_interruption_person_and_end(node: FakeNode) -> None:
    page = Page()
    call = (await page.ask(START, "started"))["call"]
    node.says(call, "1.0.1", "We are open from nine", at_s=1.0)
    one = UtteranceId("1.0.1")
    node.record(call, BargedIn(utterance=one, at_s=2.0, duck_ms=60.0, stop_ms=120.0))
    node.record(call, UtteranceEnded(utterance=one, heard="We are", complete=False, end_s=2.1))
    assert (await page.until("interrupted"))["heard"] == "We are"
    leg, asha = LegId("desk-1"), UserName("asha")
    node.record(call, LegAdded(leg=leg, role="supervisor", transport="webrtc", who=asha))
    node.record(call, FloorTaken(leg=leg, who=asha))
    assert (await page.until("handoff"))["to"] == "person"
    await page.say({"type": "end"})
    assert (await page.until("ended"))["reason"] == "caller_hung_up"
    assert await page.closing_code() == 1000


async def test_what_is_typed_reaches_the_call(node: FakeNode, bus: FakeBus) -> None:
    page = Page()
    call = (await page.ask(START, "started"))["call"]
    await page.say({"type": "text", "text": "  friday at three "})
    assert (await page.until("transcript"))["text"] == "friday at three"
    assert bus.asked("widget.text") == [{"call": call, "text": "friday at three"}]
    await page.socket.disconnect()


async def test_what_is_not_for_the_caller_never_leaves(node: FakeNode) -> None:
    page = Page()
    call = (await page.ask(START, "started"))["call"]
    node.record(call, RuleRefused(rule="canary", what="sentence", detail="canary"))
    node.hears(call, "last", at_s=1.0)
    while True:
        message = json.loads(await page.socket.receive_from())
        assert "canary" not in json.dumps(message)
        if message.get("text") == "last":
            break
    await page.socket.disconnect()


async def test_one_caller_never_sees_the_words_of_another(node: FakeNode) -> None:
    page = Page()
    await page.ask(START, "started")
    other = Page()
    theirs = (await other.ask(START, "started"))["call"]
    node.hears(theirs, "theirs alone", at_s=1.0)
    assert (await other.until("transcript"))["text"] == "theirs alone"
    while not await page.socket.receive_nothing(0.05):
        assert "theirs alone" not in await page.socket.receive_from()
    await page.socket.disconnect()
    await other.socket.disconnect()


# ------------------------------------------------------------------------------------------------------ coming back


async def test_a_reloaded_page_comes_back_into_its_call_with_all_captions(node: FakeNode) -> None:
    page = Page()
    started = await page.ask(START, "started")
    node.says(started["call"], "0.0.1", "Hello there", at_s=0.2)
    await page.until("transcript")
    await page.socket.disconnect()
    node.hears(started["call"], "while away", at_s=2.0)
    again = Page()
    resume = {"type": "resume", "v": 1, "token": started["resume"], "sdp": "v=0", "since": 0}
    back = await again.ask(resume, "started")
    assert (back["call"], back["resumed"]) == (started["call"], True)
    assert (await again.until("transcript"))["text"] == "Hello there"
    assert (await again.until("transcript"))["text"] == "while away"
    await again.socket.disconnect()


async def test_a_dropped_socket_attaches_again_and_gets_only_what_it_missed(node: FakeNode) -> None:
    page = Page()
    started = await page.ask(START, "started")
    node.hears(started["call"], "before", at_s=1.0)
    seen = (await page.until("transcript"))["seq"]
    await page.socket.disconnect()
    node.hears(started["call"], "meanwhile", at_s=2.0)
    again = Page()
    await again.ask(
        {"type": "attach", "v": 1, "ticket": started["ticket"], "since": seen}, "attached"
    )
    assert (await again.until("transcript"))["text"] == "meanwhile"
    await again.say({"type": "end"})
    await again.until("ended")


@pytest.mark.parametrize("kind", ["resume", "attach"])
async def test_an_altered_token_opens_nothing(node: FakeNode, kind: str) -> None:
    started = await Page().ask(START, "started")
    page = Page()
    sealed = {"resume": {"token": started["resume"][:-2] + "xx", "sdp": "v=0"}, "attach": {"ticket": started["ticket"][:-2] + "xx"}}  # fmt: skip
    error = await page.ask({"type": kind, "v": 1, **sealed[kind]}, "error")
    assert error["code"] == "expired"
    assert await page.closing_code() == 4410


async def test_a_token_is_of_no_use_on_another_site(node: FakeNode, bus: FakeBus) -> None:
    started = await Page().ask(START, "started")
    page = Page("https://evil.example")
    error = await page.ask(
        {"type": "resume", "v": 1, "token": started["resume"], "sdp": "v=0"}, "error"
    )
    assert error["code"] in {"origin", "expired"}
    assert bus.asked("widget.resume") == []


async def test_a_call_that_is_over_cannot_be_resumed(node: FakeNode) -> None:
    started = await Page().ask(START, "started")
    node.record(started["call"], CallEnded(cause="caller_left", by="caller"))
    page = Page()
    error = await page.ask(
        {"type": "resume", "v": 1, "token": started["resume"], "sdp": "v=0"}, "error"
    )
    assert error["code"] == "expired"
    assert await page.closing_code() == 4410


# ------------------------------------------------------------------------------------------------- refusals, rubbish


@pytest.mark.parametrize(
    ("refusal", "code", "close"),
    [
        ("busy", "busy", 4429),
        ("no_capacity", "busy", 4429),
        ("origin", "origin", 4403),
        ("unsupported_media", "sdp", 4400),
    ],
)
async def test_a_refusal_of_the_node_has_a_code_words_and_a_close(
    node: FakeNode, refusal: str, code: str, close: int
) -> None:
    node.refuse["widget.start"] = (refusal, "Not now.")
    page = Page()
    error = await page.ask(START, "error")
    assert (error["code"], error["text"]) == (code, "Not now.")
    assert await page.closing_code() == close


async def test_a_node_that_is_away_asks_the_caller_to_try_again(
    node: FakeNode, bus: FakeBus
) -> None:
    bus.is_up = False
    page = Page()
    error = await page.ask(START, "error")
    assert (error["code"], error["retryable"]) == ("server", True)
    assert await page.closing_code() == 4503


@pytest.mark.parametrize(
    "rubbish",
    ["{", '{"type": "text", "text": "hi"}', '{"type": "end"}', json.dumps({**START, "sdp": "v" * 33_000})],
)  # fmt: skip
async def test_rubbish_before_a_call_closes(node: FakeNode, rubbish: str) -> None:
    page = Page()
    assert (await page.ask(rubbish, "error"))["code"] == "message"
    assert await page.closing_code() == 4400


async def test_rubbish_on_a_call_that_is_up_does_not_end_it(node: FakeNode) -> None:
    page = Page()
    call = (await page.ask(START, "started"))["call"]
    for _ in range(9):
        await page.say("{")
        await page.until("error")
    node.hears(call, "still here", at_s=1.0)
    assert (await page.until("transcript"))["text"] == "still here"
    await page.socket.disconnect()


async def test_a_second_start_on_one_socket_is_refused(node: FakeNode, bus: FakeBus) -> None:
    page = Page()
    await page.ask(START, "started")
    await page.say(START)
    assert (await page.until("error"))["code"] == "message"
    assert len(bus.asked("widget.start")) == 1
    await page.socket.disconnect()


async def test_a_message_over_64_kib_closes(node: FakeNode) -> None:
    page = Page()
    error = await page.ask("x" * 70_000, "error")
    assert error["code"] == "too-large"
    assert await page.closing_code() == 1009


async def test_a_page_that_never_begins_is_closed(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WidgetSocket, "hello_s", 0.05)
    page = Page()
    await page.socket.connect()
    assert (await page.until("error"))["code"] == "timeout"
    assert await page.closing_code() == 4408
