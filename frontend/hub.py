"""The hub of this web process: one subscription to the bus of all nodes, however many desks and widgets look on.

It keeps the board, tells its listeners what moved, and carries requests to the node that owns a call. It holds no
call state that could be lost: kill the web process and a new hub reads the same rows from the nodes.
`configure` is called once by the process's ASGI module; sockets and views use `current`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from django.db import DatabaseError

from frontend.board import Board, Change
from frontend.listening import end_unentitled_listening
from frontend.tasks import TaskOwner
from telephony.call.errors import NodeUnreachableError, RequestError
from telephony.call.ports import BusMessage, EventBus

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
STANDS_S: Final = 0.2
"""A subscription that has not failed by then stands, even if nothing was said yet."""
MAX_RESULTS: Final = 1000
LISTEN_TIMEOUT_S: Final = 10.0
"""An SDP answer waits for the node's ICE gathering."""


class Listener(Protocol):
    """A socket that is told what moved; must return at once."""

    def on_change(self, change: Change) -> None: ...
    def on_event(self, body: Mapping[str, Any]) -> None: ...
    def on_partial(self, body: Mapping[str, Any]) -> None: ...
    def on_gap(self) -> None: ...
    def on_tick(self, *, sampled: bool) -> None: ...
    def on_live(self, *, live: bool) -> None: ...


class Hub:
    """Reads the bus, keeps the board, tells the listeners. Lives on the event loop of the web process."""

    def __init__(self, bus: EventBus, nodes: Sequence[str]) -> None:
        self.board = Board()
        self.epoch = secrets.token_hex(4)
        self.health: dict[str, Mapping[str, Any]] = {}
        self._bus = bus
        self._nodes = list(nodes)
        self._listeners: set[Listener] = set()
        self._tasks = TaskOwner()
        self._running: asyncio.AbstractEventLoop | None = None
        self._looked = asyncio.Event()
        self._live = True
        self._unsynced: set[str] = set(nodes)
        self._cursors: dict[str, str] = {}
        self._results: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()

    # ------------------------------------------------------------------------------------------------- life

    async def start(self) -> None:
        """Starts reading, once; returns when each node was asked for its rows or did not answer."""
        loop = asyncio.get_running_loop()
        if self._running is not loop:
            self._running = loop
            self._looked = asyncio.Event()
            self._tasks.keep("hub-read", self._read, self._on_reading)
            self._tasks.keep("hub-tick", self._tick)
        await self._looked.wait()

    async def stop(self) -> None:
        await self._tasks.close()
        self._running = None

    @property
    def is_live(self) -> bool:
        """Does the board follow the calls? If not, what it shows is old, and reading begins again by itself."""
        return self._live

    def _on_reading(self, in_order: bool) -> None:
        if in_order != self._live:
            self._live = in_order
            for listener in tuple(self._listeners):
                listener.on_live(live=in_order)

    def watch(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def unwatch(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    # --------------------------------------------------------------------------------------------- requests

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = LISTEN_TIMEOUT_S
    ) -> Mapping[str, Any]:
        """Raises: RequestError, NodeUnreachableError, TimeoutError."""
        return await self._bus.request(node, name, args, timeout_s)

    async def request_call(
        self, call: str, name: str, args: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Asks the owner of a call. Raises: as `request`; RequestError `gone` if no node has it."""
        node = self.board.node_of(call)
        if node is None:
            raise RequestError("gone", "This call has ended.")
        return await self.request(node, name, {"call": call, **args})

    def node_for_new_call(self) -> str:
        """The node with the fewest calls."""
        return min(self._nodes, key=self.board.live_on)

    @property
    def nodes(self) -> Sequence[str]:
        return tuple(self._nodes)

    def result_of(self, who: str, command: str) -> dict[str, Any] | None:
        """The first result of a command that is repeated after a reconnect."""
        return self._results.get((who, command))

    def keep_result(self, who: str, command: str, result: dict[str, Any]) -> None:
        self._results[who, command] = result
        while len(self._results) > MAX_RESULTS:
            self._results.popitem(last=False)

    # ---------------------------------------------------------------------------------------------- reading

    async def sync(self) -> None:
        """Takes the rows of every node that was not heard yet, or whose messages were missed."""
        for node in list(self._unsynced):
            try:
                answer = await self.request(node, "calls.rows", {}, timeout_s=2.0)
            except (RequestError, NodeUnreachableError, TimeoutError):
                log.warning("node_rows_missing", extra={"node": node})
                continue
            self._unsynced.discard(node)
            self._cursors[node] = str(answer.get("cursor") or "")
            for change in self.board.on_rows(node, answer["rows"], self._now()):
                self._tell(change)

    async def _read(self, in_order: Callable[[], None]) -> None:
        if self._looked.is_set():  # it failed: what was said meanwhile is lost
            self._on_gap(self._nodes)
        try:
            await self.sync()
        finally:
            self._looked.set()
        # From where the rows were taken: nothing falls between them and the first message.
        since = ",".join(cursor for cursor in self._cursors.values() if cursor)
        stands = asyncio.get_running_loop().call_later(STANDS_S, in_order)
        try:
            async for message in self._bus.subscribe(since or None):
                in_order()
                self._take(message)
        finally:
            stands.cancel()

    def _take(self, message: BusMessage) -> None:
        try:
            self._on_message(message)
        except Exception:  # of another version, say: the desk goes on with what it does understand
            log.exception("bus_message_unfit", extra={"topic": message.topic})

    async def _tick(self, _in_order: Callable[[], None]) -> None:
        never = asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await never.wait()
            if self._unsynced:
                await self.sync()
            self._on_tick(self._now())
            try:
                await end_unentitled_listening(self)
            except DatabaseError as error:  # looked up again with the next tick
                log.warning("rights_not_looked_up", extra={"reason": type(error).__name__})

    def _on_tick(self, now: float) -> None:
        for call in self.board.expire(now):
            self._tell(Change(call, urgent=False))
        numbers = self.board.figures.numbers(self.board.rows.values(), now)
        sampled = self.board.figures.sample(numbers, now)
        for listener in tuple(self._listeners):
            listener.on_tick(sampled=sampled)

    def _on_message(self, message: BusMessage) -> None:
        body = message.body
        match message.topic:
            case "event":
                change = self.board.on_event(body, self._now())
                for listener in tuple(self._listeners):
                    listener.on_event(body)
                if change is not None:
                    self._tell(change)
            case "partial":
                change = self.board.on_partial(body)
                for listener in tuple(self._listeners):
                    listener.on_partial(body)
                if change is not None:
                    self._tell(change)
            case "node":
                self._on_node(body)
            case "gap":
                self._on_gap([body["node"]] if body.get("node") else self._nodes)
            case _:
                pass  # levels are for the pages of one call only; unknown topics are of a newer node

    def _on_gap(self, nodes: Sequence[str]) -> None:
        self._unsynced.update(nodes)
        for listener in tuple(self._listeners):
            listener.on_gap()

    def _on_node(self, body: Mapping[str, Any]) -> None:
        node = str(body["node"])
        self.health[node] = body.get("health") or {}
        if node not in self._nodes:
            self._nodes.append(node)
            self._unsynced.add(node)

    def _tell(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            listener.on_change(change)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _Holder:
    """The hub of the process, or nothing before `configure`."""

    hub: Hub | None = None


def configure(bus: EventBus, nodes: Sequence[str] = ("node1",)) -> Hub:
    """Gives this process its hub; called by the ASGI module (and by tests, with a bus of their own)."""
    _Holder.hub = Hub(bus, nodes)
    return _Holder.hub


def current() -> Hub:
    """Raises: RuntimeError where no bus was configured (a management command, say)."""
    if _Holder.hub is None:
        raise RuntimeError("frontend.hub.configure(bus) was not called in this process")
    return _Holder.hub
