"""The brain in agent workers on this machine: messages over Unix streams, frames of calls by Unix datagrams.

Every worker has one connection. Its end of file, or no heartbeat, is its death: all its calls are told at once and go
to another worker, or to the same one when it is back. The plane's thread sends frames without ever waiting: a worker
that does not keep up loses audio, not the plane its tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents import frame_loops
from agents.brain import (
    Attached,
    CloseCall,
    FromWorker,
    Heartbeat,
    Hello,
    Introduce,
    ListenTo,
    Lost,
    OpenCall,
    Told,
    ToWorker,
    Unlisten,
)
from agents.brain_wire import Frames
from telephony.call.ids import CallId
from telephony.media.handles import INDEX_MASK, index_of
from telephony.media.ports import FrameBatch
from voiceapp.adapters.brain_stream import WorkerStream

log = logging.getLogger(__name__)

RECONNECT_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
SEND_BUFFER_BYTES: Final = 1 << 20
_NOBODY: Final = -1
BACKLOG: Final = 200
"""Datagrams that wait for a worker: one second at four sub-ticks in 20 ms."""


@dataclass(frozen=True, slots=True)
class WorkerAddress:
    """Where one worker listens."""

    stream: Path
    audio: Path


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    address: WorkerAddress
    audio: socket.socket
    audio_address: str
    stream: WorkerStream | None = None
    name: str = ""
    calls: int = 0
    lines: set[_Line] = field(default_factory=set)
    backlog: deque[bytes] = field(default_factory=lambda: deque(maxlen=BACKLOG))

    @property
    def ready(self) -> bool:
        return self.stream is not None and bool(self.name)


class _Routes:
    """Which worker hears a tap, for whole batches; changed one by one while the plane's thread reads.

    A row for each slot, (tap, number of the worker). Taps are `SlotHandle`s, so that a slot's earlier tap is nobody's.
    """

    def __init__(self) -> None:
        self._table: NDArray[np.int64] = np.zeros((64, 2), np.int64)

    def set(self, tap: int, worker: int) -> None:
        row = index_of(tap)
        if row >= len(self._table):
            grown = np.zeros((2 * row, 2), np.int64)
            grown[: len(self._table)] = self._table
            self._table = grown
        self._table[row] = tap, worker

    def clear(self, tap: int) -> None:
        """Idempotent."""
        row = index_of(tap)
        if row < len(self._table) and self._table[row, 0] == tap:
            self._table[row, 1] = _NOBODY

    def pick(self, taps: NDArray[np.int64], worker: int) -> NDArray[np.int64]:
        """The places of this worker's taps."""
        picked = np.empty(len(taps), np.int64)
        count = frame_loops.pick(taps, self._table, INDEX_MASK, worker, picked)
        return picked[:count]


class _Line:
    """`BrainLine` of one call."""

    def __init__(self, owner: BrainSocket, call: CallId, tell: Callable[[Told], None]) -> None:
        self._owner = owner
        self.call = call
        self._tell = tell
        self.worker: _Worker | None = None
        self.taps: dict[str, int] = {}
        self.closed = False

    def told(self, message: Told) -> None:
        """Hands the message to the call; a fault of one call must not reach the connection that all share."""
        try:
            self._tell(message)
        except Exception:
            extra = {"call_id": self.call, "message_kind": type(message).__name__}
            log.exception("brain_message_failed", extra=extra)

    def send(self, message: ToWorker) -> None:
        if isinstance(message, ListenTo):
            self._untap(message.leg)
            self.taps[message.leg] = message.tap
            self._owner.route(self)
        elif isinstance(message, Unlisten):
            self._untap(message.leg)
        if self.worker is not None:
            self._owner.write(self.worker, message)

    def _untap(self, leg: str) -> None:
        tap = self.taps.pop(leg, None)
        if tap is not None:
            self._owner.untap(tap)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._owner.forget(self)


class BrainSocket:
    """`Brain` and the plane's `AudioTap`. `run` keeps the connections; cancel it to end them."""

    def __init__(self, workers: list[WorkerAddress], source: int | None = None) -> None:
        self._source = os.getpid() if source is None else source
        self._workers = [
            _Worker(number, each, _audio_socket(), str(each.audio))
            for number, each in enumerate(workers)
        ]
        self._lines: dict[str, _Line] = {}
        self._waiting: list[_Line] = []
        self._routes = _Routes()
        self.frames_lost = 0
        """Datagrams that no worker took."""
        self._rejected = 0

    async def run(self) -> None:
        """Connects to all workers and reads what they say, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for worker in self._workers:
                    group.create_task(self._keep(worker), name="brain")
        finally:
            for worker in self._workers:
                worker.audio.close()

    @property
    def calls(self) -> int | None:
        """How many calls the workers can listen to, as far as they are known; one that died will be back.

        None before the first worker.
        """
        return sum(worker.calls for worker in self._workers) or None

    @property
    def ready(self) -> int:
        """Workers that can take a call."""
        return sum(worker.ready for worker in self._workers)

    @property
    def counters(self) -> Mapping[str, int]:
        """Datagrams that no worker took, and messages of workers that were none."""
        return {"frames_lost": self.frames_lost, "rejected": self._rejected}

    # ---------------------------------------------------------------------------------------------------------- Brain

    def open(self, call: CallId, tell: Callable[[Told], None]) -> _Line:
        line = _Line(self, call, tell)
        self._lines[call] = line
        self._waiting.append(line)
        asyncio.get_running_loop().call_soon(self._assign)
        return line

    def forget(self, line: _Line) -> None:
        """The call is over."""
        if line.worker is not None:
            self.write(line.worker, CloseCall(line.call))
            line.worker.lines.discard(line)
        if line in self._waiting:
            self._waiting.remove(line)
        if self._lines.get(line.call) is line:
            del self._lines[line.call]
        for tap in line.taps.values():
            self.untap(tap)

    def write(self, worker: _Worker, message: ToWorker) -> None:
        if worker.stream is not None:
            worker.stream.write(message)

    def _assign(self) -> None:
        """Calls without a worker get the one with the fewest."""
        ready = [worker for worker in self._workers if worker.ready]
        while ready and self._waiting:
            line = self._waiting.pop(0)
            worker = min(ready, key=lambda each: len(each.lines))
            worker.lines.add(line)
            line.worker = worker
            self.route(line)
            line.told(Attached(worker.name))

    # ----------------------------------------------------------------------------------------------------------- audio

    def route(self, line: _Line) -> None:
        """Frames of the line's taps go to its worker from now on."""
        number = _NOBODY if line.worker is None else line.worker.number
        for tap in line.taps.values():
            self._routes.set(tap, number)

    def untap(self, tap: int) -> None:
        """Frames with this number are nobody's."""
        self._routes.clear(tap)

    def frames(self, batch: FrameBatch) -> None:
        """See `AudioTap`: the plane's thread, never blocks, never raises."""
        frames = Frames(
            self._source, batch.rate_hz, batch.handles, batch.frames, batch.speech, batch.pcm
        )
        for worker in self._workers:
            picked = self._routes.pick(batch.handles, worker.number)
            if not len(picked):
                continue
            for datagram in frame_loops.encode_frames(frames, picked):
                self.frames_lost += len(worker.backlog) == BACKLOG
                worker.backlog.append(datagram)
            self._send_audio(worker)

    def _send_audio(self, worker: _Worker) -> None:
        """Linux lets only some ten datagrams wait; what is beyond waits here, and the oldest is lost first."""
        while worker.backlog:
            try:
                worker.audio.sendto(worker.backlog[0], worker.audio_address)
            except BlockingIOError:
                return
            except OSError:  # nobody listens any more
                self.frames_lost += len(worker.backlog)
                worker.backlog.clear()
                return
            worker.backlog.popleft()

    # --------------------------------------------------------------------------------------------------- connections

    async def _keep(self, worker: _Worker) -> None:
        attempt = 0
        never = asyncio.Event()
        while True:
            try:
                take = partial(self._told, worker)
                # Known before it is connected: the worker's first word may come with the connection.
                stream = worker.stream = WorkerStream(
                    take, Introduce(self._source), self._count_rejected
                )
                await stream.connect(worker.address.stream)
                attempt = 0
                if not await stream.wait_gone():
                    log.warning("worker_stalled", extra={"worker": worker.name})
            except OSError:
                pass  # not there (yet); tried again below
            finally:
                self._lose(worker)
            wait = RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)]
            attempt += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await never.wait()

    def _told(self, worker: _Worker, message: FromWorker | ToWorker) -> None:
        match message:
            case Hello(worker=name, calls=calls):
                worker.name, worker.calls = name, calls
                log.info("worker_attached", extra={"worker": name})
                self._assign()
            case Heartbeat() | Introduce() | OpenCall():
                pass
            case _:
                line = self._lines.get(message.call)
                if line is not None and line.worker is worker:
                    line.told(message)  # type: ignore[arg-type]  # - the pipeline ignores what is not for it

    def _count_rejected(self) -> None:
        self._rejected += 1

    def _lose(self, worker: _Worker) -> None:
        """At once: every call of the worker is told, and waits for another."""
        if worker.stream is not None:
            worker.stream.abort()
        worker.stream = None
        lines, worker.lines = worker.lines, set()
        if worker.name:
            log.warning("worker_lost", extra={"worker": worker.name, "calls": len(lines)})
        worker.name = ""
        for line in lines:
            line.worker = None
            self.route(line)
            self._waiting.append(line)
        for line in lines:
            line.told(Lost("worker_lost"))
        self._assign()


def _audio_socket() -> socket.socket:
    audio = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    audio.setblocking(False)
    audio.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return audio
