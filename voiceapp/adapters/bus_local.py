"""The bus of a media node on one machine: a server on a Unix socket that only this user can reach.

Published messages stand in a ring; a subscriber is a position in it, so that a slow one costs a socket buffer and, when
the ring has left it behind, sees `gap`. Events stay for `RING_S` or `RING_EVENTS`; what may be lost (`partial`, `level`,
`node`) for `LOSSY_S`. Frames: `bus_frames`; the client is `bus_client`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from telephony.call.errors import CallError
from telephony.call.ports import Clock, Handler
from voiceapp.adapters.bus_frames import (
    LENGTH_BYTES,
    FrameError,
    body_length,
    decode,
    encode,
)

log = logging.getLogger(__name__)

RING_S: Final = 60.0
RING_EVENTS: Final = 10_000
LOSSY_S: Final = 2.0
LOSSY_MESSAGES: Final = 2_000
BATCH_MESSAGES: Final = 200
PEER_REQUESTS: Final = 100
"""Requests of one connection at work at the same time; more are refused as `busy`."""
LONGEST_REQUEST_S: Final = 60.0


class MessageRing:
    """Numbered messages, encoded once for all readers. `epoch` tells this ring from that of another process."""

    def __init__(self, clock: Clock) -> None:
        self.epoch = secrets.token_hex(4)
        self.last = 0
        self._clock = clock
        self._frames: dict[int, bytes] = {}
        self._events: deque[tuple[float, int]] = deque()
        self._lossy: deque[tuple[float, int]] = deque()
        self._forgotten = 0

    def add(self, topic: str, body: Mapping[str, Any]) -> None:
        """Raises: FrameError if the message is too long."""
        number = self.last + 1
        message = {"op": "message", "topic": topic, "body": body, "cursor": self.cursor(number)}
        self._frames[number] = encode(message)
        self.last = number
        (self._events if topic == "event" else self._lossy).append((self._now(), number))
        self._prune()

    def cursor(self, number: int) -> str:
        return f"{self.epoch}:{number}"

    def position(self, cursor: str | None) -> int | None:
        """Number of the message the cursor stands at; None if it is of another ring, or nonsense."""
        if cursor is None:
            return self.last
        epoch, _, number = cursor.partition(":")
        if epoch != self.epoch or not (number.isascii() and number.isdigit()):
            return None
        return min(int(number), self.last)

    def lost_after(self, position: int) -> bool:
        """Whether an event after this position is no longer held."""
        self._prune()
        return position < self._forgotten

    def after(self, position: int) -> Iterator[tuple[int, bytes]]:
        """Numbers and frames that are held, in order."""
        for number in range(position + 1, self.last + 1):
            frame = self._frames.get(number)
            if frame is not None:
                yield number, frame

    def _prune(self) -> None:
        now = self._now()
        while self._lossy and (
            len(self._lossy) > LOSSY_MESSAGES or self._lossy[0][0] < now - LOSSY_S
        ):
            del self._frames[self._lossy.popleft()[1]]
        while self._events and (
            len(self._events) > RING_EVENTS or self._events[0][0] < now - RING_S
        ):
            self._forgotten = self._events.popleft()[1]
            del self._frames[self._forgotten]

    def _now(self) -> float:
        return self._clock.monotonic()


class _Peer:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.tasks: set[asyncio.Task[None]] = set()
        self.news = asyncio.Event()
        self.gone = False
        self.subscribed = False
        self.requests = 0

    def own(self, task: asyncio.Task[None]) -> None:
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def leave(self) -> None:
        self.gone = True
        self.news.set()


class LocalNodeBus:
    """Implements `NodeBus`. `refused_frames` counts what was not a frame of ours."""

    def __init__(self, node: str, path: Path, clock: Clock) -> None:
        self._node = node
        self._path = path
        self._ring = MessageRing(clock)
        self._handlers: dict[str, Handler] = {}
        self._peers: set[_Peer] = set()
        self._server: asyncio.Server | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.refused_frames = 0

    @property
    def cursor(self) -> str:
        return f"{self._node}={self._ring.cursor(self._ring.last)}"

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        try:
            self._ring.add(topic, body)
        except (FrameError, TypeError, ValueError) as error:
            # What is not JSON is the fault of one publisher, and no reason to end its call.
            extra = {"topic": topic, "reason": type(error).__name__}
            log.error("message_not_published", extra=extra)
            return
        for peer in self._peers:
            peer.news.set()

    def serve(self, name: str, handler: Handler) -> None:
        self._handlers[name] = handler

    async def start(self) -> None:
        """Listens; a socket left behind by a process that died is replaced."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.chmod(0o700)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._talk, self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Ends all connections and returns when nothing runs any more. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for peer in tuple(self._peers):
            peer.writer.transport.abort()
            for task in peer.tasks:
                task.cancel()
        await self._quiet.wait()
        self._path.unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------- one connection

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _Peer(writer)
        self._peers.add(peer)
        self._quiet.clear()
        try:
            async with asyncio.TaskGroup() as work:
                await self._read(peer, reader, work)
                peer.leave()
        finally:
            self._peers.discard(peer)
            writer.close()
            if not self._peers:
                self._quiet.set()

    async def _read(
        self, peer: _Peer, reader: asyncio.StreamReader, work: asyncio.TaskGroup
    ) -> None:
        try:
            while True:
                length = body_length(await reader.readexactly(LENGTH_BYTES))
                message = decode(await reader.readexactly(length))
                self._take(peer, message, work)
        except FrameError as error:
            self.refused_frames += 1
            log.warning("bus_frame_refused", extra={"node": self._node, "reason": str(error)})
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("bus_peer_left", extra={"node": self._node})

    def _take(self, peer: _Peer, message: Mapping[str, Any], work: asyncio.TaskGroup) -> None:
        match message:
            case {"op": "subscribe", "since": str() | None as since} if not peer.subscribed:
                peer.subscribed = True
                peer.own(work.create_task(self._feed(peer, since)))
            case {
                "op": "request",
                "id": int() as number,
                "name": str() as name,
                "args": dict() as args,
                "timeout_s": int() | float() as timeout_s,
            }:
                peer.own(work.create_task(self._answer(peer, number, name, args, timeout_s)))
            case _:
                raise FrameError("not a request")

    async def _feed(self, peer: _Peer, since: str | None) -> None:
        ring = self._ring
        position = ring.position(since)
        start = ring.last if position is None else position
        peer.writer.write(encode({"op": "subscribed", "cursor": ring.cursor(start)}))
        if position is None:
            peer.writer.write(self._gap(start))
        with contextlib.suppress(ConnectionError):  # `_read` sees the end too; requests go on
            await self._feed_from(peer, start)

    async def _feed_from(self, peer: _Peer, start: int) -> None:
        ring = self._ring
        while not peer.gone:
            peer.news.clear()
            if ring.lost_after(start):
                start = ring.last
                peer.writer.write(self._gap(start))
            batch: list[bytes] = []
            for number, frame in ring.after(start):
                batch.append(frame)
                start = number
                if len(batch) == BATCH_MESSAGES:
                    peer.news.set()
                    break
            peer.writer.write(b"".join(batch))
            await peer.writer.drain()
            await peer.news.wait()

    def _gap(self, position: int) -> bytes:
        message = {"op": "message", "topic": "gap", "body": {"node": self._node}}
        return encode({**message, "cursor": self._ring.cursor(position)})

    async def _answer(
        self, peer: _Peer, number: int, name: str, args: Mapping[str, Any], timeout_s: float
    ) -> None:
        """A request that was begun is finished, even if who asked has gone."""
        if peer.requests >= PEER_REQUESTS:
            reply = _refusal("busy", "Too many requests at the same time.")
        else:
            peer.requests += 1
            reply = await self._handle(name, args, min(timeout_s, LONGEST_REQUEST_S))
            peer.requests -= 1
        if peer.gone:
            return
        try:
            frame = encode({"op": "reply", "id": number, **reply})
        except (FrameError, TypeError, ValueError):
            log.exception("bus_reply_unfit", extra={"request": name})
            failure = _refusal("internal", "This did not work; the log says why.")
            frame = encode({"op": "reply", "id": number, **failure})
        with contextlib.suppress(ConnectionError):
            peer.writer.write(frame)
            await peer.writer.drain()

    async def _handle(self, name: str, args: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        handler = self._handlers.get(name)
        if handler is None:
            return _refusal("unknown_request", "This node does not know that request.")
        try:
            async with asyncio.timeout(timeout_s):
                return {"ok": True, "body": dict(await handler(args))}
        except CallError as error:
            return _refusal(error.code, error.user_message)
        except TimeoutError:
            return _refusal("timeout", "This took too long.")
        except Exception:
            log.exception("bus_request_failed", extra={"request": name})
            return _refusal("internal", "This did not work; the log says why.")


def _refusal(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "text": text}
