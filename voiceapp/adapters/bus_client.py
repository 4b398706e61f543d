"""The bus as web, shipper and commands see it: subscriptions to all nodes that reconnect by themselves, and requests.

A cursor is `node1=<position>,node2=<position>`. A request has a connection of its own, so that nothing is left behind
when its task is cancelled. `request_sync` is for processes without a loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from telephony.call.errors import NodeUnreachableError, RequestError
from telephony.call.ports import BusMessage
from voiceapp.adapters.bus_frames import (
    LENGTH_BYTES,
    FrameError,
    FrameReader,
    body_length,
    decode,
    encode,
)

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0
FULL_QUEUE: Final = 1_000
"""Messages a subscriber may leave unread before its connections stop reading; the ring waits for it then."""


def socket_path(run: Path, node: str) -> Path:
    """Where a node of this machine serves its bus."""
    return run / f"{node}.bus"


class BusClient:
    """Implements `EventBus` for the nodes of one machine, whose sockets are in `run`."""

    def __init__(self, run: Path, nodes: Sequence[str]) -> None:
        self._paths = {node: socket_path(run, node) for node in nodes}

    async def subscribe(self, since: str | None = None) -> AsyncGenerator[BusMessage, None]:
        feed = _Feed(self._paths, since)
        try:
            while True:
                yield await feed.next()
        finally:
            feed.close()

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
    ) -> Mapping[str, Any]:
        path = _known(self._paths, node)
        async with asyncio.timeout(timeout_s):
            try:
                reader, writer = await asyncio.open_unix_connection(path)
            except OSError as error:
                raise NodeUnreachableError(node) from error
            try:
                writer.write(_request_frame(name, args, timeout_s))
                await writer.drain()
                length = body_length(await reader.readexactly(LENGTH_BYTES))
                return _reply(decode(await reader.readexactly(length)))
            except (OSError, asyncio.IncompleteReadError, FrameError) as error:
                raise _broken() from error
            finally:
                writer.transport.abort()  # nothing is left to send, and a node that reads nothing is not waited for
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


def request_sync(
    run: Path, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
) -> Mapping[str, Any]:
    """`EventBus.request` for processes without a loop; `timeout_s` bounds each wait. Raises: as that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(socket_path(run, node)))
        except OSError as error:
            raise NodeUnreachableError(node) from error
        try:
            connection.sendall(_request_frame(name, args, timeout_s))
            with connection.makefile("rb") as stream:
                length = body_length(_exactly(stream.read, LENGTH_BYTES))
                return _reply(decode(_exactly(stream.read, length)))
        except TimeoutError:
            raise
        except (OSError, FrameError) as error:
            raise _broken() from error


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    data = read(size)
    if len(data) < size:
        raise ConnectionResetError("the node closed the connection")
    return data


def _known(paths: Mapping[str, Path], node: str) -> Path:
    if node not in paths:
        raise NodeUnreachableError(node)
    return paths[node]


def _request_frame(name: str, args: Mapping[str, Any], timeout_s: float) -> bytes:
    message = {"op": "request", "id": 1, "name": name, "args": dict(args), "timeout_s": timeout_s}
    return encode(message)


def _reply(message: Mapping[str, Any]) -> Mapping[str, Any]:
    match message:
        case {"op": "reply", "ok": True, "body": dict() as body}:
            return body
        case {"op": "reply", "ok": False, "code": "timeout"}:
            raise TimeoutError("the node gave up")
        case {"op": "reply", "ok": False, "code": str() as code, "text": str() as text}:
            raise RequestError(code, text)
        case _:
            raise FrameError("not a reply")


def _broken() -> RequestError:
    return RequestError("connection_lost", "The connection broke; look before you repeat this.")


# ------------------------------------------------------------------------------------------------- subscriptions


class _Link(asyncio.Protocol):
    """The connection to one node."""

    def __init__(self, node: str, since: str | None, feed: _Feed) -> None:
        self._node = node
        self._since = since
        self._feed = feed
        self._frames = FrameReader()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream socket
        self.transport = transport
        transport.write(encode({"op": "subscribe", "since": self._since}))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._feed.take(self._node, message)
        except FrameError as error:
            log.warning("bus_frame_refused", extra={"node": self._node, "reason": str(error)})
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._feed.lost(self._node)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Feed:
    """One subscription: a link per node, and what came over them, in one bounded queue."""

    def __init__(self, paths: Mapping[str, Path], since: str | None) -> None:
        self._paths = paths
        self._positions = _positions(since)
        self._links: dict[str, _Link] = {}
        self._queue: deque[tuple[str, str, BusMessage]] = deque()
        self._news = asyncio.Event()
        self._retry_s = dict.fromkeys(paths, FIRST_RETRY_S)
        self._due = dict.fromkeys(paths, 0.0)
        self._missed: set[str] = set()
        self._paused = False

    async def next(self) -> BusMessage:
        while not self._queue:
            self._news.clear()
            await self._connect_due()
            if self._queue:
                break
            waiting = [due for node, due in self._due.items() if node not in self._links]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(waiting) if waiting else None):
                    await self._news.wait()
        node, position, message = self._queue.popleft()
        self._positions[node] = position
        self._let_read()
        return BusMessage(message.topic, message.body, _cursor(self._positions))

    def take(self, node: str, message: Mapping[str, Any]) -> None:
        """Raises: FrameError."""
        match message:
            case {"op": "subscribed", "cursor": str() as position}:
                self._retry_s[node] = FIRST_RETRY_S
                self._positions.setdefault(node, position)
                if node in self._missed:  # it may have said things before we reached it
                    self._missed.discard(node)
                    self._put(node, position, BusMessage("gap", {"node": node}))
            case {
                "op": "message",
                "topic": str() as topic,
                "body": dict() as body,
                "cursor": str() as position,
            }:
                self._put(node, position, BusMessage(topic, body))
            case _:
                raise FrameError("not a message")

    def lost(self, node: str) -> None:
        self._links.pop(node, None)
        self._put_off(node)
        self._news.set()

    def close(self) -> None:
        for link in tuple(self._links.values()):
            link.abort()

    def _put(self, node: str, position: str, message: BusMessage) -> None:
        self._queue.append((node, position, message))
        self._news.set()
        if len(self._queue) >= FULL_QUEUE and not self._paused:
            self._paused = True
            for link in self._links.values():
                if link.transport is not None:
                    link.transport.pause_reading()

    def _let_read(self) -> None:
        if self._paused and not self._queue:
            self._paused = False
            for link in self._links.values():
                if link.transport is not None:
                    link.transport.resume_reading()

    async def _connect_due(self) -> None:
        loop = asyncio.get_running_loop()
        for node, path in self._paths.items():
            if node in self._links or self._due[node] > loop.time():
                continue
            link = _Link(node, self._since(node), self)
            self._links[node] = link
            try:
                await loop.create_unix_connection(partial(_itself, link), str(path))
            except OSError:
                if node not in self._positions:
                    self._missed.add(node)
                self.lost(node)

    def _since(self, node: str) -> str | None:
        """What is queued was received: the next connection goes on after it."""
        queued = [position for name, position, _ in self._queue if name == node]
        return queued[-1] if queued else self._positions.get(node)

    def _put_off(self, node: str) -> None:
        self._due[node] = asyncio.get_running_loop().time() + self._retry_s[node]
        self._retry_s[node] = min(2 * self._retry_s[node], LAST_RETRY_S)


def _itself(link: _Link) -> _Link:
    return link


def _positions(cursor: str | None) -> dict[str, str]:
    """Parts that are not `node=position` are left out: the node then begins with what comes next."""
    parts = (part.partition("=") for part in (cursor or "").split(",") if part)
    return {node: position for node, equals, position in parts if equals}


def _cursor(positions: Mapping[str, str]) -> str:
    return ",".join(f"{node}={position}" for node, position in positions.items())
