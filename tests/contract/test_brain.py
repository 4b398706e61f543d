"""The brain over real sockets, with scripted engines: what a call is told, whatever happens to the worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.brain import (
    Attached,
    Audio,
    Cancel,
    Expect,
    FinalHeard,
    FinishTurn,
    ListenTo,
    Lost,
    OpenCall,
    PartialHeard,
    Prepare,
    Prepared,
    Proposal,
    Say,
    Think,
    Told,
)
from agents.conversation.context import Situation
from agents.providers.scripted import ScriptedStt, ToneVoice
from agents.speech.engines import Engines
from agents.worker import WorkerSettings, serve
from telephony.call.ids import CallId
from telephony.media.ports import FrameBatch
from tests.fakes.conversation import RECEPTIONIST
from voiceapp.adapters.brain_socket import BrainSocket, WorkerAddress

CALL = CallId("c1")
TAP = 7 << 33


class Bench:
    """One worker that can be stopped and started again, and a media node's end of it."""

    def __init__(self, folder: Path) -> None:
        self.address = WorkerAddress(folder / "worker1.sock", folder / "worker1.audio")
        self.brain = BrainSocket([self.address])
        self.told: list[Told] = []
        self._more = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = [asyncio.create_task(self.brain.run())]
        self._stop = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def start_worker(self) -> None:
        self._stop, ready = asyncio.Event(), asyncio.Event()
        engines = Engines(ScriptedStt(("where are you",)), ToneVoice(), None, ())
        settings = WorkerSettings("worker1", self.address.stream, self.address.audio)
        self._worker = asyncio.create_task(serve(settings, engines, self._stop, ready))
        await ready.wait()

    async def stop_worker(self) -> None:
        self._stop.set()
        if self._worker is not None:
            await self._worker

    def tell(self, message: Told) -> None:
        self.told.append(message)
        self._more.set()

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(5):
            while True:
                for message in self.told:
                    if wanted(message):
                        return message
                self._more.clear()
                await self._more.wait()

    async def close(self) -> None:
        await self.stop_worker()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.start_worker()
    yield bench
    await bench.close()


def speech(frames: int) -> FrameBatch:
    return FrameBatch(
        8000,
        np.full(frames, TAP, np.int64),
        np.arange(frames, dtype=np.int64),
        np.zeros(frames, np.bool_),
        np.ones(frames, np.bool_),
        np.full(frames, -20.0, np.float32),
        np.full((frames, 160), 500, np.int16),
    )


def situation(cause: Any, text: str = "", step: str = "help") -> dict[str, Any]:
    return Situation(cause, "2026-11-17", step, text=text).to_json()


async def test_call_is_told_of_its_worker_and_gets_an_answer_of_the_flow(bench: Bench) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(Think(CALL, 1, situation("speech", "where are you")))
    last = await bench.until(lambda m: isinstance(m, Proposal) and m.last)
    first = bench.told[1]
    assert isinstance(first, Proposal)
    assert bench.brain.calls == 1_000
    assert "Quay Street" in first.text
    assert last.generation == 1


async def test_allowed_sentence_becomes_audio_and_a_cancelled_one_does_not(bench: Bench) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(Cancel(CALL, 1))
    line.send(Say(CALL, 1, "1.1.1", "This is not wanted any more."))
    line.send(Say(CALL, 2, "1.2.1", "This is wanted."))
    last = await bench.until(lambda m: isinstance(m, Audio) and m.last)
    assert last.utterance == "1.2.1"
    assert {m.utterance for m in bench.told if isinstance(m, Audio)} == {"1.2.1"}
    assert sum(len(m.pcm) for m in bench.told if isinstance(m, Audio)) > 3200


async def test_frames_of_a_tap_become_words_of_its_leg(bench: Bench) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(ListenTo(CALL, "caller", TAP, 8000))
    line.send(Expect(CALL, "caller", 1, "help"))
    line.send(Prepare(CALL, "One moment."))
    await bench.until(lambda m: isinstance(m, Prepared))
    bench.brain.frames(speech(20))
    await bench.until(lambda m: isinstance(m, PartialHeard))
    line.send(FinishTurn(CALL, "caller", 1))
    final = await bench.until(lambda m: isinstance(m, FinalHeard))
    assert (final.leg, final.turn, final.text) == ("caller", 1, "where are you")


async def test_death_of_the_worker_is_told_at_once_and_its_successor_too(bench: Bench) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    await bench.stop_worker()
    await bench.until(lambda m: isinstance(m, Lost))
    line.send(Think(CALL, 1, situation("greet")))  # to nobody: must not disturb
    bench.told.clear()
    await bench.start_worker()
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(Think(CALL, 2, situation("greet")))
    proposal = await bench.until(lambda m: isinstance(m, Proposal))
    assert proposal.generation == 2


async def test_worker_survives_garbage_from_one_peer(bench: Bench) -> None:
    for rubbish in (os.urandom(4000), b"\0\0\0\x08\0\0\0\4{}{}", b"\xff" * 20):
        _, writer = await asyncio.open_unix_connection(str(bench.address.stream))
        writer.write(rubbish)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "broken@1", 8000, {"steps": 5}))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(Think(CALL, 1, {"cause": "nonsense"}))
    line.send(Think(CALL, 2, situation("greet")))
    assert (await bench.until(lambda m: isinstance(m, Proposal))).generation == 2


async def test_frames_for_a_worker_that_does_not_keep_up_are_lost_and_never_block(
    bench: Bench,
) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(ListenTo(CALL, "caller", TAP, 8000))
    line.send(Expect(CALL, "caller", 1, "help"))
    line.send(Prepare(CALL, "One moment."))
    await bench.until(lambda m: isinstance(m, Prepared))
    for _ in range(600):  # the worker runs in this loop, so it reads nothing meanwhile
        bench.brain.frames(speech(2))
    assert bench.brain.frames_lost > 300
    await bench.until(lambda m: isinstance(m, PartialHeard))


async def test_closed_line_is_told_nothing_more(bench: Bench) -> None:
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    line.close()
    line.close()
    await bench.stop_worker()
    assert [type(message) for message in bench.told] == [Attached]


async def test_a_call_that_fails_at_a_message_takes_no_other_with_it(bench: Bench) -> None:
    def fail(message: Told) -> None:
        raise RuntimeError("a fault of one call")

    bench.brain.open(CallId("c0"), fail)
    line = bench.brain.open(CALL, bench.tell)
    await bench.until(lambda m: isinstance(m, Attached))
    await bench.stop_worker()
    await bench.until(lambda m: isinstance(m, Lost))
    bench.told.clear()
    await bench.start_worker()
    await bench.until(lambda m: isinstance(m, Attached))
    line.send(OpenCall(CALL, "receptionist@3", 8000, RECEPTIONIST))
    line.send(Think(CALL, 1, situation("speech", "where are you")))
    await bench.until(lambda m: isinstance(m, Proposal) and m.last)
