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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
from agents.brain_wire import BrainMessageError, Decoder, Frames, encode, encode_frames
from telephony.call.ids import CallId
from telephony.media.ports import FrameBatch

log = logging.getLogger(__name__)

STALLED_S: Final = 2.5
"""Five heartbeats: a worker that is silent for longer answers no caller in time."""
RECONNECT_S: Final = (0.02, 0.05, 0.1, 0.2, 0.5)
READ_BYTES: Final = 1 << 16
MOST_UNSENT_BYTES: Final = 4 << 20
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
    address: WorkerAddress
    audio: socket.socket
    writer: asyncio.StreamWriter | None = None
    name: str = ""
    calls: int = 0
    lines: set[_Line] = field(default_factory=set)
    backlog: deque[bytes] = field(default_factory=lambda: deque(maxlen=BACKLOG))

    @property
    def ready(self) -> bool:
        return self.writer is not None and bool(self.name)


class _Routes:
    """Tap -> worker, for whole batches: 125 taps in 8 us, where a look-up for each took 36."""

    def __init__(self, workers: Mapping[int, _Worker]) -> None:
        self._taps = np.array(sorted(workers), np.int64)
        self._workers = list(dict.fromkeys(workers.values()))
        number = {worker: at for at, worker in enumerate(self._workers)}
        self._numbers = np.array([number[workers[tap]] for tap in sorted(workers)], np.int64)

    def sort_out(self, taps: NDArray[np.int64]) -> Iterator[tuple[_Worker, NDArray[np.int64]]]:
        """Each worker with the positions in `taps` that are its."""
        if not self._workers:
            return
        at = np.minimum(self._taps.searchsorted(taps), len(self._taps) - 1)
        numbers = np.where(self._taps[at] == taps, self._numbers[at], _NOBODY)
        for number, worker in enumerate(self._workers):
            picked = (numbers == number).nonzero()[0]
            if len(picked):
                yield worker, picked


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
            self._owner.tap(message.tap, self)
            self.taps[message.leg] = message.tap
        elif isinstance(message, Unlisten):
            self._owner.untap(self.taps.pop(message.leg, None))
        if self.worker is not None:
            self._owner.write(self.worker, message)

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._owner.forget(self)


class BrainSocket:
    """`Brain` and the plane's `AudioTap`. `run` keeps the connections; cancel it to end them."""

    def __init__(self, workers: list[WorkerAddress], source: int | None = None) -> None:
        self._source = os.getpid() if source is None else source
        self._workers = [_Worker(each, _audio_socket()) for each in workers]
        self._lines: dict[str, _Line] = {}
        self._waiting: list[_Line] = []
        self._routes = _Routes({})
        """Replaced whole, because the plane's thread reads it."""
        self._taps: dict[int, _Line] = {}
        self.frames_lost = 0
        """Datagrams that no worker took."""
        self.rejected = 0

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
        self._taps = {tap: each for tap, each in self._taps.items() if each is not line}
        self._route()

    def write(self, worker: _Worker, message: ToWorker) -> None:
        """A worker that does not read its messages is stalled, and is given up like a dead one."""
        writer = worker.writer
        if writer is None or writer.is_closing():
            return
        writer.write(encode(message))
        if writer.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            writer.transport.abort()

    def _assign(self) -> None:
        """Calls without a worker get the one with the fewest."""
        ready = [worker for worker in self._workers if worker.ready]
        while ready and self._waiting:
            line = self._waiting.pop(0)
            worker = min(ready, key=lambda each: len(each.lines))
            worker.lines.add(line)
            line.worker = worker
            self._route()
            line.told(Attached(worker.name))

    # ----------------------------------------------------------------------------------------------------------- audio

    def tap(self, number: int, line: _Line) -> None:
        """Frames with this number are of this call."""
        self._taps[number] = line
        self._route()

    def untap(self, number: int | None) -> None:
        if number is not None and self._taps.pop(number, None) is not None:
            self._route()

    def _route(self) -> None:
        routed = {t: line.worker for t, line in self._taps.items() if line.worker is not None}
        self._routes = _Routes(routed)

    def frames(self, batch: FrameBatch) -> None:
        """See `AudioTap`: the plane's thread, never blocks, never raises."""
        for worker, picked in self._routes.sort_out(batch.handles):
            frames = Frames(
                self._source,
                batch.rate_hz,
                batch.handles[picked],
                batch.frames[picked],
                batch.speech[picked],
                batch.pcm[picked],
            )
            for datagram in encode_frames(frames):
                self.frames_lost += len(worker.backlog) == BACKLOG
                worker.backlog.append(datagram)
            self._send_audio(worker)

    def _send_audio(self, worker: _Worker) -> None:
        """Linux lets only some ten datagrams wait; what is beyond waits here, and the oldest is lost first."""
        while worker.backlog:
            try:
                worker.audio.sendto(worker.backlog[0], str(worker.address.audio))
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
                reader, worker.writer = await asyncio.open_unix_connection(
                    str(worker.address.stream)
                )
                attempt = 0
                await self._talk(worker, reader)
            except OSError:
                pass  # not there (yet); tried again below
            except BrainMessageError as error:
                log.warning("worker_talks_nonsense", extra={"reason": str(error)})
            finally:
                self._lose(worker)
            wait = RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)]
            attempt += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await never.wait()

    async def _talk(self, worker: _Worker, reader: asyncio.StreamReader) -> None:
        self.write(worker, Introduce(self._source))
        decoder = Decoder()
        while True:
            try:
                async with asyncio.timeout(STALLED_S):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                log.warning("worker_stalled", extra={"worker": worker.name})
                return
            if not data:
                return
            for message in decoder.feed(data):
                if isinstance(message, BrainMessageError):
                    self.rejected += 1
                else:
                    self._told(worker, message)

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

    def _lose(self, worker: _Worker) -> None:
        """At once: every call of the worker is told, and waits for another."""
        if worker.writer is not None:
            worker.writer.transport.abort()
        worker.writer = None
        lines, worker.lines = worker.lines, set()
        if worker.name:
            log.warning("worker_lost", extra={"worker": worker.name, "calls": len(lines)})
        worker.name = ""
        for line in lines:
            line.worker = None
            self._waiting.append(line)
        self._route()
        for line in lines:
            line.told(Lost("worker_lost"))
        self._assign()


def _audio_socket() -> socket.socket:
    audio = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    audio.setblocking(False)
    audio.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    return audio
