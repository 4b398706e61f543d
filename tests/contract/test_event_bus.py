"""The bus between a node and its clients, over real sockets: order, resumption, refusals, hostile peers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import FloorHeldError, NodeUnreachableError, RequestError
from telephony.call.ids import UserName
from telephony.call.ports import BusMessage
from tests.fakes.manual_clock import ManualClock
from voiceapp.adapters import bus_local
from voiceapp.adapters.bus_client import BusClient, request_sync, socket_path
from voiceapp.adapters.bus_frames import FRAME_BYTES, FrameError, FrameReader, encode
from voiceapp.adapters.bus_local import LocalNodeBus

Body = Mapping[str, Any]


class Node:
    """A node's bus on the manual clock."""

    def __init__(self, run: Path, name: str = "node1") -> None:
        self.run, self.name = run, name
        self.clock = ManualClock()
        self.bus = LocalNodeBus(name, socket_path(run, name), self.clock)
        self.bus.serve("echo", self.echo)
        self.bus.serve("fail", self.fail)
        self.bus.serve("refuse", self.refuse)
        self.bus.serve("hang", self.hang)
        self.bus.serve("big", self.big)
        self.finished: list[Body] = []
        self.done = asyncio.Event()

    async def echo(self, args: Body) -> Body:
        return {"args": args}

    async def fail(self, args: Body) -> Body:
        raise ValueError("a secret")

    async def refuse(self, args: Body) -> Body:
        raise FloorHeldError(UserName("ann"))

    async def hang(self, args: Body) -> Body:
        await asyncio.sleep(args["seconds"])
        self.finished.append(args)
        self.done.set()
        return {}

    async def big(self, args: Body) -> Body:
        return {"text": "x" * (FRAME_BYTES + 1)}

    def publish(self, first: int, last: int, topic: str = "event") -> None:
        for number in range(first, last + 1):
            self.bus.publish(topic, {"n": number})


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(tmp_path / "run")
    await node.bus.start()
    yield node
    await node.bus.close()


@pytest.fixture
def client(tmp_path: Path) -> BusClient:
    return BusClient(tmp_path / "run", ["node1"])


async def take(stream: AsyncIterator[BusMessage], count: int) -> list[BusMessage]:
    async with asyncio.timeout(5):
        return [await anext(stream) for _ in range(count)]


def numbers(messages: list[BusMessage]) -> list[object]:
    return [message.body.get("n", message.topic) for message in messages]


async def reach(node: Node, stream: AsyncIterator[BusMessage]) -> str:
    """The cursor of a subscription that is surely there."""
    first = asyncio.get_running_loop().create_task(take(stream, 1))
    while not first.done():
        node.bus.publish("node", {"n": "hello"})
        await asyncio.sleep(0.01)
    return first.result()[0].cursor


async def skip_hellos(stream: AsyncIterator[BusMessage], count: int) -> list[BusMessage]:
    found: list[BusMessage] = []
    while len(found) < count:
        found += [one for one in await take(stream, 1) if one.body.get("n") != "hello"]
    return found


# ---------------------------------------------------------------------------------------------- subscriptions


async def test_messages_arrive_in_order_with_rising_cursors(node: Node, client: BusClient):
    async with aclosing(client.subscribe()) as stream:
        await reach(node, stream)
        node.publish(1, 500)
        messages = await skip_hellos(stream, 500)
    assert numbers(messages) == list(range(1, 501))
    positions = [int(message.cursor.rpartition(":")[2]) for message in messages]
    assert all(before < after for before, after in pairwise(positions))


async def test_a_subscriber_resumes_after_its_cursor(node: Node, client: BusClient):
    node.publish(1, 3)
    cursor = node.bus.cursor
    node.publish(4, 6)
    async with aclosing(client.subscribe(cursor)) as stream:
        assert numbers(await take(stream, 3)) == [4, 5, 6]


async def test_a_new_subscriber_hears_only_what_comes(node: Node, client: BusClient):
    node.publish(1, 3)
    async with aclosing(client.subscribe()) as stream:
        await reach(node, stream)
        node.publish(4, 4)
        assert numbers(await skip_hellos(stream, 1)) == [4]


@pytest.mark.parametrize("cursor", ["node1=0badcafe:5", "node1=nonsense", "node1=:"])
async def test_a_cursor_of_another_life_is_a_gap(node: Node, client: BusClient, cursor: str):
    node.publish(1, 3)
    async with aclosing(client.subscribe(cursor)) as stream:
        (gap,) = await take(stream, 1)
        node.publish(4, 4)
        assert (gap.topic, gap.body) == ("gap", {"node": "node1"})
        assert numbers(await take(stream, 1)) == [4]


async def test_events_too_old_are_a_gap_and_what_may_be_lost_is_not(node: Node, client: BusClient):
    cursor = node.bus.cursor
    node.publish(1, 2, "level")
    node.clock.advance(bus_local.LOSSY_S + 1)
    node.publish(3, 3)
    async with aclosing(client.subscribe(cursor)) as stream:
        assert numbers(await take(stream, 1)) == [3]
    node.clock.advance(bus_local.RING_S + 1)
    node.publish(4, 4)
    async with aclosing(client.subscribe(cursor)) as stream:
        (gap,) = await take(stream, 1)
        assert gap.topic == "gap"
    async with aclosing(client.subscribe(gap.cursor)) as stream:
        node.publish(5, 5)
        assert numbers(await take(stream, 1)) == [5]


async def test_a_slow_subscriber_costs_the_node_nothing_and_sees_a_gap(
    node: Node, client: BusClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bus_local, "RING_EVENTS", 100)
    async with aclosing(client.subscribe()) as slow, aclosing(client.subscribe()) as fast:
        await reach(node, slow)
        await reach(node, fast)
        text = "x" * 10_000
        seen: list[BusMessage] = []
        for number in range(3000):
            node.bus.publish("event", {"n": number, "text": text})
            if number % 50 == 49:
                seen += await skip_hellos(fast, 50)
        assert numbers(seen) == list(range(3000))
        topics = set()
        while "gap" not in topics:
            topics.add((await take(slow, 1))[0].topic)


async def test_a_subscriber_survives_a_restart_of_the_node(node: Node, client: BusClient):
    async with aclosing(client.subscribe()) as stream:
        await reach(node, stream)
        await node.bus.close()
        again = Node(node.run)
        await again.bus.start()
        (gap,) = await skip_hellos(stream, 1)
        again.publish(1, 1)
        (message,) = await take(stream, 1)
        await again.bus.close()
    assert (gap.topic, message.body) == ("gap", {"n": 1})


async def test_a_node_that_comes_late_begins_with_a_gap(tmp_path: Path):
    client = BusClient(tmp_path / "run", ["node1", "node2"])
    first, second = Node(tmp_path / "run"), Node(tmp_path / "run", "node2")
    await first.bus.start()
    async with aclosing(client.subscribe()) as stream:
        await reach(first, stream)
        await second.bus.start()
        (gap,) = await skip_hellos(stream, 1)
        assert (gap.topic, gap.body) == ("gap", {"node": "node2"})
        first.publish(1, 1)
        second.publish(2, 2)
        both = await skip_hellos(stream, 2)
    assert {message.body["n"] for message in both} == {1, 2}
    assert "node1=" in both[-1].cursor
    assert "node2=" in both[-1].cursor
    await first.bus.close()
    await second.bus.close()


async def test_what_is_no_json_is_not_published(node: Node, client: BusClient, caplog: Any):
    cursor = node.bus.cursor
    node.bus.publish("event", {"n": object()})
    node.bus.publish("event", {"n": "x" * FRAME_BYTES})
    node.publish(1, 1)
    async with aclosing(client.subscribe(cursor)) as stream:
        assert numbers(await take(stream, 1)) == [1]


# -------------------------------------------------------------------------------------------------- requests


async def test_a_request_is_answered(node: Node, client: BusClient):
    assert await client.request("node1", "echo", {"a": [1, None]}) == {"args": {"a": [1, None]}}


async def test_a_command_without_a_loop_is_answered(node: Node):
    answer = await asyncio.to_thread(request_sync, node.run, "node1", "echo", {"a": 1})
    assert answer == {"args": {"a": 1}}


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("refuse", "floor_held", "ann has the call."),
        ("fail", "internal", "This did not work; the log says why."),
        ("big", "internal", "This did not work; the log says why."),
        ("nothing", "unknown_request", "This node does not know that request."),
    ],
)
async def test_a_refusal_is_typed(
    node: Node, client: BusClient, name: str, code: str, text: str, caplog: Any
):
    with pytest.raises(RequestError) as refusal:
        await client.request("node1", name, {})
    assert (refusal.value.code, refusal.value.text) == (code, text)
    with pytest.raises(RequestError) as same:
        await asyncio.to_thread(request_sync, node.run, "node1", name, {})
    assert same.value.code == code


async def test_a_request_has_a_deadline(node: Node, client: BusClient):
    with pytest.raises(TimeoutError):
        await client.request("node1", "hang", {"seconds": 60}, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(request_sync, node.run, "node1", "hang", {"seconds": 60}, 0.05)
    assert node.finished == []


async def test_a_node_that_is_not_there_is_unreachable(tmp_path: Path, client: BusClient):
    for node in ("node1", "node9"):
        with pytest.raises(NodeUnreachableError):
            await client.request(node, "echo", {})
    with pytest.raises(NodeUnreachableError):
        await asyncio.to_thread(request_sync, tmp_path, "node1", "echo", {})


async def test_a_request_goes_on_when_who_asked_has_gone(node: Node):
    _, writer = await asyncio.open_unix_connection(socket_path(node.run, "node1"))
    writer.write(encode(request("hang", {"seconds": 0.05})))
    await writer.drain()
    writer.close()
    async with asyncio.timeout(2):
        await node.done.wait()


async def test_closing_cancels_what_runs_and_may_be_repeated(node: Node, client: BusClient):
    closing = asyncio.get_running_loop().create_task(close_soon(node))
    with pytest.raises(RequestError) as lost:
        await client.request("node1", "hang", {"seconds": 60})
    await closing
    assert lost.value.code == "connection_lost"
    await node.bus.close()
    assert node.finished == []


async def close_soon(node: Node) -> None:
    await asyncio.sleep(0.05)
    await node.bus.close()


# --------------------------------------------------------------------------------------------- hostile peers


def request(name: str, args: Body) -> dict[str, Any]:
    return {"op": "request", "id": 1, "name": name, "args": args, "timeout_s": 5}


GARBAGE: tuple[bytes, ...] = (
    os.urandom(64) + b"\xff" * 64,
    b"\xff\xff\xff\xff",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    (5).to_bytes(4, "big") + b"[1,2]",
    (2).to_bytes(4, "big") + b"{}",
    (200_000).to_bytes(4, "big") + b"[" * 200_000,
    encode({"op": "request", "id": "1", "name": "echo", "args": {}, "timeout_s": 5}),
    encode({"op": "request", "id": 1, "name": "echo", "args": [], "timeout_s": 5}),
    encode({"op": "subscribe", "since": 5}),
)


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_ends_its_own_connection_only(
    node: Node, client: BusClient, garbage: bytes, caplog: Any
):
    reader, writer = await asyncio.open_unix_connection(socket_path(node.run, "node1"))
    writer.write(garbage)
    writer.write_eof()
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()
    assert node.bus.refused_frames == 1
    assert await client.request("node1", "echo", {}) == {"args": {}}


async def test_too_many_requests_on_one_connection_are_refused(node: Node):
    reader, writer = await asyncio.open_unix_connection(socket_path(node.run, "node1"))
    for _ in range(bus_local.PEER_REQUESTS):
        writer.write(encode(request("hang", {"seconds": 60})))
    writer.write(encode(request("echo", {})))
    frames = FrameReader()
    async with asyncio.timeout(2):
        (reply,) = list(frames.feed(await reader.read(1000)))
    assert reply["code"] == "busy"
    writer.close()


async def test_a_server_that_is_not_a_node_is_refused(tmp_path: Path, caplog: Any):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(encode({"op": "reply"}))
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(babble, socket_path(tmp_path, "node1"))
    client = BusClient(tmp_path, ["node1"])
    with pytest.raises(RequestError) as refusal:
        await client.request("node1", "echo", {})
    assert refusal.value.code == "connection_lost"
    async with aclosing(client.subscribe()) as stream:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(stream)
    server.close()
    await asyncio.sleep(0.05)


async def test_the_socket_is_for_its_owner_only_and_replaces_a_stale_one(tmp_path: Path):
    path = socket_path(tmp_path / "run", "node1")
    stale(path)
    node = Node(tmp_path / "run")
    await node.bus.start()
    assert modes(path) == (0o700, 0o600)
    await node.bus.close()
    assert not exists(path)


def stale(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


def modes(path: Path) -> tuple[int, int]:
    return path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777


def exists(path: Path) -> bool:
    return path.exists()


def test_frames_are_read_at_any_cut():
    messages: list[Body] = [{"a": 1}, {}, {"b": "ü" * 10}]
    data = b"".join(encode(message) for message in messages)
    for size in (1, 3, 7, len(data)):
        frames = FrameReader()
        found: list[Body] = []
        for start in range(0, len(data), size):
            found += list(frames.feed(data[start : start + size]))
        assert found == messages


def test_a_frame_that_is_too_long_is_refused_before_it_is_sent():
    with pytest.raises(FrameError):
        encode({"text": "x" * FRAME_BYTES})
