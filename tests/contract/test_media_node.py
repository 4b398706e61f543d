"""A media node on real sockets, with a tone for an agent: phone and browser calls, the desk, refusals, the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telephony.call.errors import RequestError
from telephony.call.events import FloorTaken, LegConnected, LegLost
from telephony.media.engine import Engine
from tests.fakes.browser_page import Page
from tests.fakes.node import RunningNode, running_node, snapshot
from tests.integration.call_logs import fill_spool, live_call, log_of
from tests.ports import free_range
from voiceapp.try_call.audio import speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import CallFailedError, PhoneLine

ORIGIN = "http://127.0.0.1"


async def until(condition: Callable[[], bool], seconds: float = 6.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in threads and sockets
            await asyncio.sleep(0.01)


def start(node: RunningNode) -> Callable[[str], Awaitable[Any]]:
    return lambda sdp: node.ask("widget.start", key="demo", origin=ORIGIN, sdp=sdp)


async def test_a_phone_hears_the_agent_at_once(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        caller = Caller([], 8000, quiet_s=0.2)
        await PhoneLine(node.uri, caller, user="ann").hold()

        assert caller.measured.first_audio_ms is not None
        assert caller.measured.first_audio_ms < 200
        await until(lambda: not len(node.node._registry))
        rows = (await node.ask("calls.rows"))["rows"]
        assert [(r["caller"], r["end_cause"]) for r in rows] == [("ann", "caller_hung_up")]
        assert node.node._plane.stats().rtp_slots == 0


async def test_a_node_that_stops_hangs_up_within_five_seconds(tmp_path: Path) -> None:
    ended = False
    async with running_node(tmp_path, {"seconds": 60}) as node:
        silence = speech(np.zeros(8000 * 60, np.int16), 8000)
        line = PhoneLine(node.uri, Caller([silence], 8000), user="ann")
        holding = asyncio.get_running_loop().create_task(line.hold())
        await until(lambda: bool(node.agents))
        await until(lambda: any(isinstance(r.event, LegConnected) for r in node.agents[0].records))
        node.node.stop()
        began = time.monotonic()
        await holding
        ended = True
        assert time.monotonic() - began < 5
    assert ended


@pytest.mark.parametrize(
    ("settings", "number", "status"),
    [({}, "nobody", "404"), ({"VOICEAPP_MAX_CALLS": "1"}, "demo", "503")],
)
async def test_a_call_that_cannot_be_taken_is_refused(
    tmp_path: Path, settings: dict[str, Any], number: str, status: str
) -> None:
    async with running_node(tmp_path, {"seconds": 60}, **settings) as node:
        if status == "503":
            await node.ask("node.drain", on=True)
        uri = node.uri.replace("demo", number)
        with pytest.raises(CallFailedError, match=status):
            await PhoneLine(uri, Caller([], 8000), user="ann").hold()


async def test_a_call_that_nobody_could_listen_to_is_refused_at_the_door(tmp_path: Path) -> None:
    async with running_node(tmp_path, {"seconds": 60}, listens_to=1) as node:
        silence = speech(np.zeros(8000 * 60, np.int16), 8000)
        first = PhoneLine(node.uri, Caller([silence], 8000), user="ann")
        holding = asyncio.get_running_loop().create_task(first.hold())
        await until(lambda: bool(node.agents))
        with pytest.raises(CallFailedError, match="503"):
            await PhoneLine(node.uri, Caller([], 8000), user="ben").hold()
        assert (await node.ask("node.health"))["health"]["max_calls"] == 1
        node.node.stop()
        await holding


async def test_a_stranger_gets_no_reply(tmp_path: Path) -> None:
    async with running_node(tmp_path, VOICEAPP_SIP_ALLOW="192.0.2.0/24") as node:
        loop = asyncio.get_running_loop()
        got: list[bytes] = []

        class Ears(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                got.append(data)

        transport, _ = await loop.create_datagram_endpoint(Ears, local_addr=("127.0.0.1", 0))
        port = free_range(2)
        request = (
            f"OPTIONS {node.uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1;rport\r\n"
            "From: <sip:a@b>;tag=1\r\nTo: <sip:demo@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        address = (node.configuration.sip.host, node.configuration.sip.port)
        transport.sendto(request.encode(), address)
        await asyncio.sleep(0.3)
        transport.close()

        assert got == []


async def test_a_browser_hears_the_agent_and_comes_back_after_a_drop(tmp_path: Path) -> None:
    async with running_node(tmp_path, {"seconds": 0.5}) as node, asyncio.TaskGroup() as group:
        page = Page(group, 300.0)
        answer = await page.connect(start(node))
        await page.speak_for(0.8)
        assert page.pitches
        assert np.median(page.pitches) == pytest.approx(440, abs=15)
        await page.peer.close()

        again = Page(group, 300.0)
        back = await again.connect(
            lambda sdp: node.ask("widget.resume", resume=answer["resume"], sdp=sdp)
        )
        await until(lambda: any(getattr(r.event, "resumed", False) for r in node.agents[0].records))
        assert back["call"] == answer["call"]
        assert len(node.agents) == 1
        assert any(isinstance(record.event, LegLost) for record in node.agents[0].records)
        with pytest.raises(RequestError) as used:
            await node.ask("widget.resume", resume=answer["resume"], sdp="v=0")
        assert used.value.code == "expired"
        await node.ask("widget.end", call=answer["call"])
        await again.peer.close()


async def test_a_supervisor_listens_takes_over_and_hands_back(tmp_path: Path) -> None:
    async with running_node(tmp_path, {"seconds": 30}) as node, asyncio.TaskGroup() as group:
        caller, desk = Page(group, 300.0), Page(group, 700.0)
        call = (await caller.connect(start(node)))["call"]
        await desk.connect(
            lambda sdp: node.ask("desk.listen", call=call, who="ann", sdp=sdp, id="1")
        )
        async with asyncio.TaskGroup() as talking:
            talking.create_task(caller.speak_for(1.0))
            talking.create_task(desk.speak_for(1.0))
        assert desk.pitches
        assert not any(abs(pitch - 700) < 30 for pitch in caller.pitches), "a listener was heard"

        await node.ask("desk.take", call=call, who="ann", id="2")
        caller.pitches.clear()
        async with asyncio.TaskGroup() as talking:
            talking.create_task(caller.speak_for(1.0))
            talking.create_task(desk.speak_for(1.0))
        assert np.median(caller.pitches[5:]) == pytest.approx(700, abs=15)
        assert not any(abs(pitch - 440) < 30 for pitch in caller.pitches[10:]), (
            "the agent was heard"
        )
        assert any(isinstance(record.event, FloorTaken) for record in node.agents[0].records)

        await node.ask("desk.return", call=call, who="ann", id="3")
        node.agents[0].speak()
        caller.pitches.clear()
        await caller.speak_for(0.6)
        assert np.median(caller.pitches) == pytest.approx(440, abs=15)
        await node.ask("desk.end", call=call, who="ann", id="4")
        await until(lambda: not len(node.node._registry))
        await caller.peer.close()
        await desk.peer.close()


@pytest.mark.parametrize(
    ("name", "args", "code"),
    [
        ("widget.start", {"key": "demo", "origin": "http://elsewhere", "sdp": "v=0"}, "origin"),
        ("widget.start", {"key": "none", "origin": ORIGIN, "sdp": "v=0"}, "origin"),
        ("widget.start", {"key": "demo", "origin": ORIGIN, "sdp": "v=0"}, "sdp"),
        ("widget.start", {"key": 5, "origin": ORIGIN, "sdp": "v=0"}, "message"),
        ("widget.resume", {"resume": "x", "sdp": "v=0"}, "expired"),
        ("widget.text", {"call": "none", "text": "hello"}, "call_gone"),
        ("desk.take", {"call": "none", "who": "ann", "id": "1"}, "call_gone"),
        ("config.load", {"snapshot": {"revision": 1}}, "snapshot"),
        ("config.load", {"snapshot": snapshot(broken=True)}, "snapshot"),
        ("calls.events", {"call": "none", "since": -1}, "message"),
    ],
)
async def test_a_bad_request_is_refused_by_code(
    tmp_path: Path, name: str, args: dict[str, Any], code: str
) -> None:
    async with running_node(tmp_path) as node:
        with pytest.raises(RequestError) as refused:
            await node.ask(name, **args)
        assert refused.value.code == code
        assert (await node.ask("node.health"))["health"]["revision"] == 1


async def test_a_new_snapshot_serves_the_next_call(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        changed = {**snapshot(hz=880), "revision": 2}
        changed["routes"][0]["number"] = "other"
        assert (await node.ask("config.load", snapshot=changed))["revision"] == 2
        caller = Caller([], 8000, quiet_s=0.2)
        await PhoneLine(node.uri.replace("demo", "other"), caller, user="ann").hold()
        assert node.agents[0].hz == 880


async def test_calls_that_a_killed_node_left_are_ended_by_the_next(tmp_path: Path) -> None:
    fill_spool(tmp_path, log_of("c1", live_call()))

    async with running_node(tmp_path) as running:
        events = (await running.ask("calls.events", call="c1"))["events"]

    assert events[-1]["kind"] == "CallEnded"
    assert events[-1]["event"]["cause"] == "node_died"


async def test_a_node_whose_media_thread_died_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(tmp_path) as running:
        monkeypatch.setattr(Engine, "step", lambda self, now: 1 / 0)

        async with asyncio.timeout(3.0):
            await running.ended.wait()
