"""Commands of the desk: permission, audit, then the request to the node that owns the call.

A refusal is typed and says who and why; nothing is assumed to have worked before the node says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from channels.db import database_sync_to_async

from frontend import access, records
from frontend.access import Viewer
from frontend.hub import Hub
from telephony.call.errors import NodeUnreachableError, RequestError


@dataclass(frozen=True, slots=True)
class DeskCommand:
    """What one command needs: a permission (None: everybody at the desk), and its arguments."""

    request: str
    permission: str | None
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    words: str = ""
    is_deed: bool = True
    """A question leaves nothing in the audit unless it is refused for want of permission, and its answer is not kept."""


COMMANDS: Final[Mapping[str, DeskCommand]] = {
    "listen": DeskCommand(
        "desk.listen", access.LISTEN, needs=frozenset({"sdp"}), words="listen to calls"
    ),
    "stop": DeskCommand("desk.stop", None),
    "take": DeskCommand(
        "desk.take", access.TAKE_OVER, takes=frozenset({"force_reason"}), words="take calls over"
    ),
    "return": DeskCommand(
        "desk.return", access.TAKE_OVER, takes=frozenset({"brief"}), words="hand calls back"
    ),
    "transfer_check": DeskCommand(
        "desk.transfer_check",
        access.TRANSFER,
        needs=frozenset({"to"}),
        words="put calls through",
        is_deed=False,
    ),
    "transfer": DeskCommand(
        "desk.transfer",
        access.TRANSFER,
        needs=frozenset({"to", "mode"}),
        takes=frozenset({"brief"}),
        words="put calls through",
    ),
    "transfer_complete": DeskCommand(
        "desk.transfer_complete", access.TRANSFER, words="put calls through"
    ),
    "transfer_cancel": DeskCommand(
        "desk.transfer_cancel", access.TRANSFER, words="put calls through"
    ),
    "end": DeskCommand("desk.end", access.END, words="end calls"),
}


class CommandDesk:
    """Runs the commands of one person."""

    def __init__(self, hub: Hub, viewer: Viewer) -> None:
        self._hub = hub
        self._viewer = viewer

    async def run(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The `result` message. A deed repeated with its id has its first result; a question is asked again."""
        first = self._hub.result_of(self._viewer.name, message["id"])
        if first is not None:
            return first
        result = await self._decide(message)
        answer = {"type": "result", "id": message["id"], "call": message["call"], **result}
        if result["ok"] and COMMANDS[message["name"]].is_deed:
            self._hub.keep_result(self._viewer.name, message["id"], answer)
        return answer

    async def _decide(self, message: Mapping[str, Any]) -> dict[str, Any]:
        command = COMMANDS.get(message["name"])
        args: Mapping[str, str] = message.get("args") or {}
        if command is None:
            return _no("unknown", "There is no such command.")
        if not command.needs <= args.keys() <= command.needs | command.takes:
            return _no("arguments", "The command has other arguments.")
        if command.permission is not None and not self._viewer.may(command.permission):
            await self._audit(f"{message['name']}_refused", message["call"])
            return _no("permission", f"You may not {command.words}.")
        if command.is_deed:
            await self._audit(message["name"], message["call"])
        try:
            reply = await self._hub.request_call(
                message["call"],
                command.request,
                {**args, "who": self._viewer.name, "id": message["id"]},
            )
        except RequestError as error:
            return _no(error.code, error.text)
        except (NodeUnreachableError, TimeoutError):
            return _no("unreachable", "The call's node does not answer; the call is not affected.")
        return {**reply, "ok": True}

    async def _audit(self, what: str, call: str) -> None:
        await database_sync_to_async(records.audit)(who=self._viewer.name, what=what, call=call)


def _no(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "text": text}
