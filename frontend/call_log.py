"""The events of one call in order and without gaps, for a socket that follows it: replay first, then live.

The bus brings live events at once, but a socket comes late, misses some or is too slow; whatever is missing is read
from the owner of the call, or from the database when the call has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from channels.db import database_sync_to_async

from frontend import records
from frontend.hub import Hub
from telephony.call.errors import NodeUnreachableError, RequestError

MAX_WAITING: Final = 500
MAX_REPLAYS: Final = 3

Body = Mapping[str, Any]


class CallReader:
    """Follows one call from `since` on."""

    def __init__(self, hub: Hub, call: str, since: int = 0) -> None:
        self.call = call
        self.seq = since
        self.partials: dict[str, Body] = {}
        """The newest growing words by role, not yet taken."""
        self._hub = hub
        self._waiting: deque[Body] = deque(maxlen=MAX_WAITING)
        self._stale = True

    def on_event(self, body: Body) -> bool:
        """True if it is this call's. A full queue loses its oldest: the gap is replayed."""
        if body["call"] != self.call:
            return False
        self._waiting.append(body)
        role = (body.get("event") or {}).get("role")
        if role in self.partials:
            del self.partials[role]
        return True

    def on_partial(self, body: Body) -> bool:
        if body.get("call") != self.call:
            return False
        self.partials[str(body.get("role"))] = body
        return True

    def on_gap(self) -> None:
        self._stale = True

    async def take(self) -> list[Body]:
        """Events after those already taken; a gap is filled from the log."""
        taken: list[Body] = []
        for _ in range(MAX_REPLAYS):
            if self._stale:
                self._stale = False
                self._admit(await read_events(self._hub, self.call, self.seq), taken)
            waiting = sorted(self._waiting, key=lambda body: int(body["seq"]))
            self._waiting.clear()
            self._admit(waiting, taken)
            if not self._stale:
                break
        return taken

    def take_partials(self) -> list[Body]:
        partials = list(self.partials.values())
        self.partials.clear()
        return partials

    def _admit(self, bodies: Sequence[Body], taken: list[Body]) -> None:
        for body in bodies:
            if body["seq"] <= self.seq:
                continue
            if body["seq"] > self.seq + 1:
                self._stale = True
                return
            self.seq = body["seq"]
            taken.append(body)


async def read_events(hub: Hub, call: str, since: int) -> list[Body]:
    """Events after `since`: from the call's owner, else from the database (which has it when the node has not)."""
    live = await _read_from_owner(hub, call, since)
    if live is not None:
        return live
    events: list[Body] = await database_sync_to_async(records.events_of)(call, since)
    return events


async def _read_from_owner(hub: Hub, call: str, since: int) -> list[Body] | None:
    node = hub.board.node_of(call)
    if node is None:
        return None
    try:
        answer = await hub.request(node, "calls.events", {"call": call, "since": since})
    except (RequestError, NodeUnreachableError, TimeoutError):
        return None
    return list(answer["events"])
