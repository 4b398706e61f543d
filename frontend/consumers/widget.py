"""`/ws/widget/`: one browser call's signalling and captions. Messages and refusals: docs/widget-protocol.md.

The call itself lives in the media node; this socket may drop, and the whole web process may die, without the caller
hearing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from channels.db import database_sync_to_async
from django.core import signing

from frontend import access, hub, options, records
from frontend.board import Change
from frontend.call_log import CallReader
from frontend.consumers.socket import CLOSE_MESSAGE, JsonSocket
from frontend.messages import WIDGET, MessageError
from frontend.presenters.captions import Captions
from telephony.call.errors import NodeUnreachableError, RequestError

TICKET_SALT: Final = "frontend.widget.ticket"
RESUME_SALT: Final = "frontend.widget.resume"
TICKET_S: Final = 4 * 3600
CLOSE_ORIGIN: Final = 4403
CLOSE_EXPIRED: Final = 4410
CLOSE_BUSY: Final = 4429
CLOSE_SERVER: Final = 4503

ORIGIN_TEXT: Final = "This page is not allowed to place calls with this key."
EXPIRED_TEXT: Final = "This call is over."
SERVER_TEXT: Final = "The service does not answer right now. Please try again."

CLOSES: Final[Mapping[str, tuple[int, bool]]] = {
    "origin": (CLOSE_ORIGIN, False),
    "busy": (CLOSE_BUSY, True),
    "expired": (CLOSE_EXPIRED, False),
    "sdp": (CLOSE_MESSAGE, False),
    "server": (CLOSE_SERVER, True),
}
"""Our refusals: close code, and whether the caller may try again."""

NODE_CODES: Final[Mapping[str, str]] = {
    "no_capacity": "busy",
    "log_full": "busy",
    "call_gone": "expired",
    "connection_lost": "server",
}
"""What a node calls its refusals, where that differs."""


class WidgetSocket(JsonSocket):
    """One page's side of its call."""

    shapes = WIDGET
    max_bytes = 64 * 1024
    hello_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hub = hub.current()
        self.origin = ""
        self.key = ""
        self.node = ""
        self.reader: CallReader | None = None
        self.captions = Captions()
        self._moved = asyncio.Event()

    async def connect(self) -> None:
        self.origin = access.header(self.scope, b"origin")
        await self.begin()
        if self.origin in {"", "null"}:
            await self.refuse("origin", ORIGIN_TEXT, CLOSE_ORIGIN)
            return
        await self.hub.start()

    async def on_disconnect(self) -> None:
        self.hub.unwatch(self)

    # ----------------------------------------------------------------------------------------- from the page

    async def on_message(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in {"start", "attach"} and self.greeted.is_set():
            raise MessageError(f"{kind} comes first and once.", ref=kind)
        if kind in {"text", "end"} and self.reader is None:
            raise MessageError("There is no call yet.", ref=kind)
        self.greeted.set()
        try:
            await _HANDLERS[kind](self, message)
        except RequestError as error:
            await self._on_refusal(kind, error.code, error.text)
        except (NodeUnreachableError, TimeoutError):
            await self._on_refusal(kind, "server", SERVER_TEXT)

    async def on_bad_message(self, error: MessageError) -> None:
        if self.reader is None and error.code == "message":
            await self.refuse(error.code, error.text, CLOSE_MESSAGE, ref=error.ref)
        else:
            await super().on_bad_message(error)

    async def _start(self, message: dict[str, Any]) -> None:
        if not await self._origin_fits(message["key"]):
            return
        self.node = self.hub.node_for_new_call()
        args = {"key": self.key, "origin": self.origin, "sdp": message["sdp"]}
        if message.get("variables"):
            args["variables"] = message["variables"]
        reply = await self.hub.request(self.node, "widget.start", args)
        await self._on_call(reply, since=0, resumed=False)

    async def _resume(self, message: dict[str, Any]) -> None:
        claim = _open_seal(message["token"], RESUME_SALT)
        if claim is None or not await self._origin_fits(claim["key"]):
            await self.refuse("expired", EXPIRED_TEXT, CLOSE_EXPIRED)
            return
        self.node = claim["node"]
        reply = await self.hub.request(
            self.node, "widget.resume", {"resume": claim["token"], "sdp": message["sdp"]}
        )
        await self._on_call(reply, since=message.get("since", 0), resumed=True)

    async def _attach(self, message: dict[str, Any]) -> None:
        claim = _open_seal(message["ticket"], TICKET_SALT)
        if claim is None or not await self._origin_fits(claim["key"]):
            await self.refuse("expired", EXPIRED_TEXT, CLOSE_EXPIRED)
            return
        self.node = claim["node"]
        await self.say({"type": "attached", "call": claim["call"]})
        self._follow(claim["call"], message.get("since", 0))

    async def _text(self, message: dict[str, Any]) -> None:
        await self._ask("widget.text", {"text": message["text"].strip()})

    async def _end(self, _: dict[str, Any]) -> None:
        await self._ask("widget.end", {})

    async def _ask(self, name: str, args: Mapping[str, Any]) -> None:
        if self.reader is not None:
            await self.hub.request(self.node, name, {"call": self.reader.call, **args})

    async def _origin_fits(self, key: str) -> bool:
        """Whether this page may use the key; refuses it otherwise, with one answer for both reasons."""
        allowed = await database_sync_to_async(records.widget_origins)(key)
        if access.is_allowed_origin(self.origin, allowed):
            self.key = key
            return True
        await self.refuse("origin", ORIGIN_TEXT, CLOSE_ORIGIN)
        return False

    # -------------------------------------------------------------------------------------- answers of the node

    async def _on_call(self, reply: Mapping[str, Any], *, since: int, resumed: bool) -> None:
        call = reply["call"]
        claim = {"key": self.key, "node": self.node}
        await self.say(
            {
                "type": "started",
                "call": call,
                "sdp": reply["sdp"],
                "resume": signing.dumps({**claim, "token": reply["resume"]}, salt=RESUME_SALT),
                "resume_s": options.resume_seconds(),
                "ticket": signing.dumps({**claim, "call": call}, salt=TICKET_SALT),
                "resumed": resumed,
            }
        )
        if self.reader is None:
            self._follow(call, since)

    def _follow(self, call: str, since: int) -> None:
        self.reader = CallReader(self.hub, call, since)
        self.hub.watch(self)
        self._moved.set()
        self.tasks.spawn("widget-captions", self._pump(self.reader))

    async def _on_refusal(self, kind: str, code: str, text: str) -> None:
        ours = NODE_CODES.get(code, code)
        ours = ours if ours in CLOSES else "sdp"
        close, retryable = CLOSES[ours]
        if kind in {"text", "end"}:
            await self.say_error(ours, text, ref=kind, retryable=retryable)
        else:
            await self.refuse(ours, text, close, ref=kind, retryable=retryable)

    # ------------------------------------------------------------------------------------------ from the hub

    def on_change(self, change: Change) -> None:
        if self.reader is not None and change.call == self.reader.call:
            self._moved.set()

    def on_event(self, body: Mapping[str, Any]) -> None:
        if self.reader is not None and self.reader.on_event(body):
            self._moved.set()

    def on_partial(self, body: Mapping[str, Any]) -> None:
        if self.reader is not None and self.reader.on_partial(body):
            self._moved.set()

    def on_gap(self) -> None:
        if self.reader is not None:
            self.reader.on_gap()
            self._moved.set()

    def on_tick(self, *, sampled: bool) -> None:
        """Nothing of a widget depends on the time."""

    def on_live(self, *, live: bool) -> None:
        """What was missed comes after the gap."""

    async def _pump(self, reader: CallReader) -> None:
        while not self.closed.is_set():
            await self._moved.wait()
            self._moved.clear()
            for body in await reader.take():
                for message in self.captions.of_event(body):
                    await self.say(message)
                    if message["type"] == "ended":
                        await self.leave(1000)
            for body in reader.take_partials():
                if (partial := self.captions.of_partial(body)) is not None:
                    await self.say(partial)
            row = self.hub.board.rows.get(reader.call)
            state = None if row is None else self.captions.of_row(row)
            if state is not None:
                await self.say(state)


_HANDLERS: Final = {
    "start": WidgetSocket._start,
    "resume": WidgetSocket._resume,
    "attach": WidgetSocket._attach,
    "text": WidgetSocket._text,
    "end": WidgetSocket._end,
}


def _open_seal(sealed: str, salt: str) -> dict[str, str] | None:
    """What we sealed for a page earlier; None if it was altered or is too old."""
    try:
        claim: dict[str, str] = signing.loads(sealed, salt=salt, max_age=TICKET_S)
    except signing.BadSignature:
        return None
    return claim
