"""Messages to workers leave in one piece per turn of the loop; taps find their worker, and no other's does."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest

from agents.brain import Cancel, Heartbeat, Hello, Introduce, Say, ToWorker
from agents.brain_wire import Decoder, encode
from voiceapp.adapters import brain_stream
from voiceapp.adapters.brain_socket import BrainSocket, WorkerAddress, _Routes
from voiceapp.adapters.brain_stream import Take, WorkerStream

FIRST = Introduce(7)
NONE = b"\0\0\0\x06\0\0\0\2{}"
"""A message by its lengths, but of no kind."""


class Peer:
    """The worker's end of one connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pieces: list[bytes] = []
        self.writer: asyncio.StreamWriter | None = None
        self.over = asyncio.Event()

    async def __aenter__(self) -> Peer:
        self.server = await asyncio.start_unix_server(self._talk, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
            await self.over.wait()
        self.server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(encode(Hello("worker0", 10)))
        while piece := await reader.read(1 << 16):
            self.pieces.append(piece)
        self.over.set()


def stream_of(take: Take) -> WorkerStream:
    return WorkerStream(take, FIRST, lambda: None)


async def until(condition) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_what_is_said_in_one_turn_of_the_loop_leaves_in_one_piece(tmp_path: Path) -> None:
    told: list[object] = []
    async with Peer(tmp_path / "w") as peer:
        stream = stream_of(told.append)
        await stream.connect(peer.path)
        await until(lambda: told == [Hello("worker0", 10)] and peer.pieces)
        peer.pieces.clear()
        said: list[ToWorker] = [Cancel("c1", 3), Say("c1", 4, "1.4.1", "Good morning.")]
        for message in said:
            stream.write(message)
        await until(lambda: peer.pieces)
        (piece,) = peer.pieces
        assert list(Decoder().feed(piece)) == said
        stream.abort()
        assert await stream.wait_gone()


async def test_a_message_that_is_none_is_counted_and_lengths_that_cannot_be_end_the_stream(
    tmp_path: Path,
) -> None:
    told: list[object] = []
    rejected: list[bool] = []
    async with Peer(tmp_path / "w") as peer:
        stream = WorkerStream(told.append, FIRST, lambda: rejected.append(True))
        await stream.connect(peer.path)
        await until(lambda: peer.writer is not None)
        assert peer.writer is not None
        peer.writer.write(NONE + encode(Heartbeat(1)))
        await until(lambda: Heartbeat(1) in told)
        assert len(rejected) == 1
        peer.writer.write(b"\xff" * 20)
        assert await stream.wait_gone()


async def test_what_was_rejected_is_still_known_after_the_connection_is_lost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w"
    brain = BrainSocket([WorkerAddress(path, tmp_path / "audio")])
    running = asyncio.create_task(brain.run())
    for times in (1, 2):
        async with Peer(path) as peer:
            await until(lambda peer=peer: peer.writer is not None)
            assert peer.writer is not None
            peer.writer.write(NONE)
            await until(lambda times=times: brain.counters["rejected"] == times)
        path.unlink(missing_ok=True)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_worker_that_is_silent_for_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain_stream, "STALLED_S", 0.05)
    async with Peer(tmp_path / "w") as peer:
        stream = stream_of(lambda message: None)
        await stream.connect(peer.path)
        assert not await stream.wait_gone()
        stream.abort()


async def test_a_flood_of_messages_leaves_others_their_turn_and_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain_stream, "TURN_S", 0.0)
    told: list[object] = []
    turns: set[int] = set()
    turn = 0

    def take(message: object) -> None:
        told.append(message)
        turns.add(turn)

    async with Peer(tmp_path / "w") as peer:
        stream = stream_of(take)
        await stream.connect(peer.path)
        await until(lambda: told)
        assert peer.writer is not None
        peer.writer.write(b"".join(encode(Heartbeat(number)) for number in range(50)))
        while len(told) < 51:
            turn += 1
            await asyncio.sleep(0)
        stream.abort()
    assert told[1:] == [Heartbeat(number) for number in range(50)]
    assert len(turns) > 20


async def test_the_worker_is_told_who_we_are_before_its_first_word_is_answered() -> None:
    class Transport(asyncio.Transport):
        said = b""

        def is_closing(self) -> bool:
            return False

        def write(self, data: bytes | bytearray | memoryview) -> None:
            self.said += data

        def get_write_buffer_size(self) -> int:
            return 0

        def resume_reading(self) -> None: ...

    transport = Transport()
    stream = stream_of(lambda message: stream.write(Cancel("c1", 3)))
    stream.connection_made(transport)
    hello = encode(Hello("worker0", 10))
    stream.get_buffer(-1)[: len(hello)] = hello
    stream.buffer_updated(len(hello))
    await asyncio.sleep(0)
    assert list(Decoder().feed(transport.said)) == [FIRST, Cancel("c1", 3)]


async def test_a_worker_that_says_more_than_is_handed_on_has_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brain_stream, "TURN_S", 0.0)
    told: list[object] = []
    count = 40_000
    async with Peer(tmp_path / "w") as peer:
        stream = stream_of(told.append)
        await stream.connect(peer.path)
        await until(lambda: told)
        assert peer.writer is not None
        peer.writer.write(b"".join(encode(Heartbeat(number)) for number in range(count)))
        for _ in range(200):
            await asyncio.sleep(0)
        assert peer.writer.transport.get_write_buffer_size() > 0
        monkeypatch.setattr(brain_stream, "TURN_S", 0.002)
        await until(lambda: len(told) > count)
        stream.abort()
    assert told[1:] == [Heartbeat(number) for number in range(count)]


async def test_a_message_that_cannot_be_taken_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(brain_stream, "TURN_S", 0.0)
    told: list[object] = []

    def take(message: object) -> None:
        if message == Heartbeat(3):
            raise RuntimeError("a fault of ours")
        told.append(message)

    async with Peer(tmp_path / "w") as peer:
        stream = stream_of(take)
        await stream.connect(peer.path)
        await until(lambda: told)
        assert peer.writer is not None
        peer.writer.write(b"".join(encode(Heartbeat(number)) for number in range(9)))
        async with asyncio.timeout(2):
            assert await stream.wait_gone()
    assert told[1:] == [Heartbeat(number) for number in range(3)]
    assert "worker_message_failed" in caplog.text


def test_each_tap_finds_its_worker_and_one_of_an_earlier_generation_none() -> None:
    routes = _Routes()
    earlier, first, far = (1 << 20) | 5, (2 << 20) | 5, (1 << 20) | 900
    routes.set(earlier, 0)
    routes.set(first, 1)
    routes.set(far, 0)
    taps = np.array([far, first, earlier, (3 << 20) | 7, (1 << 20) | 100_000])
    assert [routes.pick(taps, worker).tolist() for worker in (0, 1)] == [[0], [1]]
    routes.clear(earlier)
    routes.clear(far)
    assert [routes.pick(taps, worker).tolist() for worker in (0, 1)] == [[], [1]]
