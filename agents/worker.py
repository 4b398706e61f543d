"""The agent worker: recognisers, voices and models for the calls of all media nodes. May be killed at any moment.

Each media node has one connection; end of file ends the calls it opened here. Audio comes in datagrams. What a peer
sends wrong is counted and dropped; a peer that does not read is disconnected rather than waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agents.brain import (
    CloseCall,
    FromWorker,
    Heartbeat,
    Hello,
    Introduce,
    ListenTo,
    OpenCall,
    ToWorker,
    Unlisten,
)
from agents.brain_wire import BrainMessageError, Decoder, Frames, decode_frames, encode
from agents.conversation.flow import Flow, FlowError, parse_definition
from agents.conversation.grammars import grammar_of
from agents.providers.catalog import choose_engines
from agents.speech.engines import Engines, SpeechSettings
from agents.speech.ports import Grammar
from agents.worker_session import WorkerCall

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 0.5
READ_BYTES: Final = 1 << 16
MOST_UNREAD_BYTES: Final = 8 << 20
MOST_CALLS: Final = 1_000
AUDIO_BUFFER_BYTES: Final = 4 << 20
MOST_DATAGRAMS: Final = 64
FLOWS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where a worker listens, and what with. The sockets' folder exists."""

    name: str
    stream: Path
    audio: Path
    speech: SpeechSettings = field(default_factory=SpeechSettings)


async def run_worker(settings: WorkerSettings, ready: asyncio.Event | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises: EngineMissingError for an engine that was named and is not there."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(name, stop.set)
    engines = await choose_engines(settings.speech)
    for choice in engines.choices:
        extra = {"kind": choice.kind, "engine": choice.name, "why": choice.why}
        log.info("engine_chosen", extra=extra)
    try:
        await serve(settings, engines, stop, ready)
    finally:
        await engines.close()


async def serve(
    settings: WorkerSettings, engines: Engines, stop: asyncio.Event, ready: asyncio.Event | None
) -> None:
    """Serves with these engines until `stop`."""
    async with asyncio.TaskGroup() as group:
        worker = Worker(settings.name, engines, group)
        loop = asyncio.get_running_loop()
        for path in (settings.stream, settings.audio):
            path.unlink(missing_ok=True)
        audio = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        audio.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, AUDIO_BUFFER_BYTES)
        audio.setblocking(False)
        audio.bind(str(settings.audio))
        loop.add_reader(audio, worker.read_audio, audio)
        server = await asyncio.start_unix_server(worker.connected, str(settings.stream))
        log.info("worker_ready", extra={"worker": settings.name})
        if ready is not None:
            ready.set()
        try:
            await stop.wait()
        finally:
            loop.remove_reader(audio)
            audio.close()
            server.close()
            await worker.close()
            for path in (settings.stream, settings.audio):
                path.unlink(missing_ok=True)


class Worker:
    """All calls of one worker. All tasks belong to the process's group and cannot bring it down."""

    def __init__(self, name: str, engines: Engines, group: asyncio.TaskGroup) -> None:
        self._name = name
        self._engines = engines
        self._group = group
        self._links: set[_Link] = set()
        self._flows: dict[str, Flow] = {}
        self._grammars: dict[tuple[str, str], Grammar] = {}
        self.rejected = 0

    def spawn(self, name: str, work: Awaitable[None]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work
            except Exception:
                log.exception("worker_task_failed", extra={"task": name})

        return self._group.create_task(guarded(), name=name)

    def grammar(self, flow: Flow, agent: str, step: str) -> Grammar:
        """The step's grammar, made once per agent version. Raises: GrammarError."""
        known = self._grammars.get((agent, step))
        if known is None:
            if len(self._grammars) > FLOWS_KEPT * 100:
                self._grammars.clear()
            known = self._grammars[agent, step] = grammar_of(flow, step)
        return known

    def flow(self, opened: OpenCall) -> Flow:
        """The agent's flow, read once per version. Raises: FlowError."""
        flow = self._flows.get(opened.agent)
        if flow is None:
            if len(self._flows) >= FLOWS_KEPT:
                self._flows.clear()
            flow = self._flows[opened.agent] = parse_definition(opened.definition)
        return flow

    def open(self, opened: OpenCall, link: _Link) -> WorkerCall:
        """Raises: FlowError."""
        return WorkerCall(opened, self.flow(opened), self._engines, self, link.send)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One media node, until it goes away."""
        link = _Link(self, writer)
        self._links.add(link)
        link.send(Hello(self._name, self._engines.calls))
        beat = self.spawn("heartbeat", link.heartbeat())
        try:
            await link.read(reader)
        except (ConnectionError, BrainMessageError) as error:
            log.warning("media_node_lost", extra={"reason": type(error).__name__})
        finally:
            beat.cancel()
            self._links.discard(link)
            await link.close()

    def read_audio(self, audio: socket.socket) -> None:
        """All datagrams that wait, some at a time so that messages are not kept waiting."""
        for _ in range(MOST_DATAGRAMS):
            try:
                frames = decode_frames(audio.recv(1 << 17))
            except BlockingIOError:
                return
            except BrainMessageError:
                self.rejected += 1
                continue
            for link in self._links:
                if link.source == frames.source:
                    link.frames(frames)

    async def close(self) -> None:
        for link in list(self._links):
            await link.close()


class _Link:
    """One media node: its calls and taps."""

    def __init__(self, worker: Worker, writer: asyncio.StreamWriter) -> None:
        self._worker = worker
        self._writer = writer
        self._calls: dict[str, WorkerCall] = {}
        self._taps: dict[int, tuple[WorkerCall, str]] = {}
        self.source = -1

    def send(self, message: FromWorker) -> None:
        """Never waits; a node that does not read is given up."""
        if self._writer.is_closing():
            return
        self._writer.write(encode(message))
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self._writer.transport.abort()

    async def heartbeat(self) -> None:
        never = asyncio.Event()
        while not self._writer.is_closing():
            self.send(Heartbeat(len(self._calls)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await never.wait()

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Messages until end of file. Raises: BrainMessageError when the stream makes no sense any more."""
        decoder = Decoder()
        while data := await reader.read(READ_BYTES):
            for message in decoder.feed(data):
                if isinstance(message, BrainMessageError):
                    self._worker.rejected += 1
                else:
                    await self._handle(message)

    async def _handle(self, message: ToWorker | FromWorker) -> None:
        match message:
            case Introduce(source=source):
                self.source = source
            case OpenCall():
                await self._open(message)
            case CloseCall(call=call):
                await self._close_call(call)
            case _:
                session = self._calls.get(getattr(message, "call", ""))
                if session is not None:
                    session.handle(message)
                    if isinstance(message, ListenTo | Unlisten):
                        self._map_taps()

    def _map_taps(self) -> None:
        self._taps = {
            ear.tap: (call, leg) for call in self._calls.values() for leg, ear in call.ears.items()
        }

    async def _open(self, message: OpenCall) -> None:
        await self._close_call(message.call)
        if len(self._calls) >= MOST_CALLS:
            return
        try:
            self._calls[message.call] = self._worker.open(message, self)
        except FlowError:
            log.warning("definition_refused", extra={"call_id": message.call})

    async def _close_call(self, name: str) -> None:
        call = self._calls.pop(name, None)
        if call is not None:
            await call.close()
            self._map_taps()

    def frames(self, frames: Frames) -> None:
        for row, tap in enumerate(frames.taps.tolist()):
            found = self._taps.get(tap)
            if found is not None:
                call, leg = found
                speech = bool(frames.speech[row])
                call.frame(leg, int(frames.numbers[row]), frames.pcm[row], speech=speech)

    async def close(self) -> None:
        for name in list(self._calls):
            await self._close_call(name)
        self._writer.close()
