"""`/ws/supervisor/`: the live list and the open call of one person at the desk, protocol `va.dash.1`.

Messages: docs/dashboard-protocol.md. What is sent passed the presenters with the rights of this person; the rights
are read again every 30 s and before each command.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from django.db import DatabaseError

from frontend import access, hub
from frontend.access import Viewer
from frontend.board import Change
from frontend.call_log import CallReader
from frontend.consumers.commands import CommandDesk
from frontend.consumers.socket import JsonSocket
from frontend.feed import Feed
from frontend.messages import DESK, MessageError
from frontend.presenters.events import present_event, present_partial

log = logging.getLogger(__name__)

PROTOCOL: Final = "va.dash.1"
FRAME_S: Final = 0.1
EVENTS_PER_MESSAGE: Final = 200
RECHECK_S: Final = 30.0
CLOSE_LOGIN: Final = 4401
CLOSE_PERMISSION: Final = 4403
CLOSE_RESYNC: Final = 4008


class SupervisorSocket(JsonSocket):
    """One browser tab of the desk."""

    shapes = DESK
    max_bytes = 64 * 1024
    hello_s = 3.0
    recheck_s = RECHECK_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hub = hub.current()
        self.feed: Feed | None = None
        self.opened: CallReader | None = None
        self._moved = asyncio.Event()
        self._urgent = asyncio.Event()

    # ------------------------------------------------------------------------------------------------- life

    async def connect(self) -> None:
        if not access.is_own_origin(self.scope):
            await self.close()
            return
        viewer = await access.viewer_of_session(self.scope.get("session"))
        await self.begin()
        if viewer is None:
            await self.refuse("login", "Please log in again.", CLOSE_LOGIN)
            return
        await self.hub.start()
        self.feed = Feed(self.hub.board, viewer, self.hub.epoch)
        self.tasks.spawn("desk-rights", self._recheck())

    async def on_disconnect(self) -> None:
        self.hub.unwatch(self)

    async def _recheck(self) -> None:
        """Session, account and permissions as they are now, every 30 s."""
        while not self.closed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.recheck_s):
                    await self.closed.wait()
            try:
                await self.current_viewer()
            except DatabaseError as error:  # read again with the next round
                log.warning("rights_not_looked_up", extra={"reason": type(error).__name__})

    async def current_viewer(self) -> Viewer | None:
        """The person's rights read afresh; closes the socket if the login or the right to look is gone."""
        if self.feed is None or self.closed.is_set():
            return None
        viewer = await access.viewer_of_session(self.scope.get("session"))
        if viewer is None:
            await self.refuse("login", "Please log in again.", CLOSE_LOGIN)
            return None
        if viewer != self.feed.viewer:
            if self.opened is not None and not viewer.may(access.TRANSCRIPT):
                await self.refuse("permission", "Your permissions changed.", CLOSE_PERMISSION)
                return None
            self.feed.viewer = viewer
            self.feed.forget()
            await self.say(self._welcome(viewer))
            self._wake(urgent=True)
        return viewer

    # ------------------------------------------------------------------------------------------ from the hub

    def on_change(self, change: Change) -> None:
        if self.feed is not None:
            self.feed.mark(change.call)
            self._wake(urgent=change.urgent)

    def on_event(self, body: Mapping[str, Any]) -> None:
        if self.opened is not None and self.opened.on_event(body):
            self._wake(urgent=True)

    def on_partial(self, body: Mapping[str, Any]) -> None:
        if self.opened is not None and self.opened.on_partial(body):
            self._wake(urgent=True)

    def on_gap(self) -> None:
        if self.opened is not None:
            self.opened.on_gap()
            self._wake(urgent=True)

    def on_tick(self, *, sampled: bool) -> None:
        if self.feed is not None and sampled:
            self.feed.mark_history()
        self._wake(urgent=False)

    def on_live(self, *, live: bool) -> None:
        self.tasks.spawn("desk-live", self.say({"type": "live", "live": live}))

    def _wake(self, *, urgent: bool) -> None:
        self._moved.set()
        if urgent:
            self._urgent.set()

    # -------------------------------------------------------------------------------------------- to the page

    async def _pump(self) -> None:
        """Frames at most every 100 ms; what is urgent at once."""
        sent_at = self.now()
        while not self.closed.is_set():
            await self._moved.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, sent_at + FRAME_S - self.now())):
                    await self._urgent.wait()
            self._moved.clear()
            self._urgent.clear()
            sent_at = self.now()
            await self._send_what_moved()

    async def _send_what_moved(self) -> None:
        if self.feed is None:
            return
        if self.feed.is_dead(self.now()):
            await self.refuse("resync", "This page was too slow.", CLOSE_RESYNC)
            return
        if self.opened is not None and not self.feed.blocked:
            await self._send_opened(self.opened, self.feed.viewer)
        frame = self.feed.frame(self.now())
        if frame is not None:
            await self.say(frame)

    async def _send_opened(self, opened: CallReader, viewer: Viewer) -> None:
        events = [present_event(body, viewer) for body in await opened.take()]
        if opened is not self.opened:
            return
        for first in range(0, len(events), EVENTS_PER_MESSAGE):
            chunk = events[first : first + EVENTS_PER_MESSAGE]
            await self.say({"type": "events", "call": opened.call, "ev": chunk})
        for body in opened.take_partials():
            if (partial := present_partial(body, viewer)) is not None:
                await self.say(partial)

    def _welcome(self, viewer: Viewer) -> dict[str, Any]:
        return {
            "type": "welcome",
            "v": PROTOCOL,
            "user": viewer.name,
            "permissions": sorted(viewer.permissions),
            "epoch": self.hub.epoch,
            "live": self.hub.is_live,
        }

    # ------------------------------------------------------------------------------------------ from the page

    async def on_message(self, message: dict[str, Any]) -> None:
        feed = self.feed
        if feed is None:
            return
        kind = message["type"]
        if kind == "hello":
            await self._on_hello(feed, message)
        elif not self.greeted.is_set():
            raise MessageError("hello comes first.", ref=kind)
        elif kind == "open":
            self.opened = CallReader(self.hub, message["call"], message.get("since", 0))
            self._wake(urgent=True)
        elif kind == "close":
            self.opened = None
        elif kind == "ack":
            feed.acknowledge(message["cursor"])
            self._wake(urgent=False)
        elif kind == "cmd":
            self.tasks.spawn("desk-command", self._on_command(message))

    async def _on_hello(self, feed: Feed, message: dict[str, Any]) -> None:
        if message["v"] != PROTOCOL or self.greeted.is_set():
            raise MessageError(f"hello comes once, with v {PROTOCOL}.", ref="hello")
        self.greeted.set()
        await self.say(self._welcome(feed.viewer))
        self.hub.watch(self)
        await self.say(feed.opening(message.get("cursor", ""), self.now()))
        self.tasks.spawn("desk-pump", self._pump())

    async def _on_command(self, message: dict[str, Any]) -> None:
        viewer = await self.current_viewer()
        if viewer is None:
            return
        desk = CommandDesk(self.hub, viewer)
        await self.say(await desk.run(message))
