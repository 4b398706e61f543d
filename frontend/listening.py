"""Nobody goes on hearing a call without the right to: whoever listens is looked up again, whatever page let them in."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Protocol

from channels.db import database_sync_to_async

from frontend import access, records
from frontend.board import Board
from frontend.presenters.rows import listeners_of
from telephony.call.errors import NodeUnreachableError, RequestError

log = logging.getLogger(__name__)


class Calls(Protocol):
    """What is needed of the hub: the live rows, and requests to the node that owns a call."""

    @property
    def board(self) -> Board: ...

    async def request_call(
        self, call: str, name: str, args: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...


async def end_unentitled_listening(calls: Calls) -> None:
    """Ends the listening legs of people who lost the right to listen or their account. Repeated until it worked."""
    heard_by: defaultdict[str, list[str]] = defaultdict(list)
    for call, row in calls.board.rows.items():
        for name in listeners_of(row):
            heard_by[name].append(call)
    for name in await database_sync_to_async(access.not_entitled)(heard_by, access.LISTEN):
        for call in heard_by[name]:
            await _end(calls, call, name)


async def _end(calls: Calls, call: str, name: str) -> None:
    try:
        request = {"who": name, "id": f"revoked-{secrets.token_hex(8)}"}
        await calls.request_call(call, "desk.stop", request)
    except (RequestError, NodeUnreachableError, TimeoutError) as error:
        log.error("listening_not_ended", extra={"call_id": call, "reason": type(error).__name__})
        return
    await database_sync_to_async(records.audit)(who=name, what="listening_revoked", call=call)
