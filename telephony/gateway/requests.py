"""The requests of a media node (docs/wire.md, "The bus"): arguments checked here, work done by the doors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from telephony.call.errors import RequestError
from telephony.call.ids import CallId
from telephony.call.ports import EventLog, NodeBus
from telephony.call.serial import record_to_json
from telephony.call.transfer_events import TransferMode
from telephony.dialplan import DialPlan, SnapshotError, parse_snapshot
from telephony.gateway.arguments import MAX_TEXT, Args, optional_text, text, variables
from telephony.gateway.browser import BrowserGateway
from telephony.gateway.desk import DeskGateway
from telephony.gateway.switchboard import Switchboard
from telephony.snapshot_rows import OpenSecret

MAX_BRIEF: Final = 2_000
MAX_SDP: Final = 64 * 1024

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeControls:
    """What the node itself does. `check_definition` raises SnapshotError for a definition that cannot be used.

    `take_plan`: a snapshot was accepted; `open_secret` opens its passwords.
    """

    health: Callable[[], Mapping[str, Any]]
    drain: Callable[[bool], None]
    check_definition: Callable[[str, Mapping[str, Any]], None]
    take_plan: Callable[[DialPlan], None]
    open_secret: OpenSecret


class NodeRequests:
    """Binds all requests to a bus."""

    def __init__(
        self,
        bus: NodeBus,
        log: EventLog,
        board: Switchboard,
        browser: BrowserGateway,
        desk: DeskGateway,
        controls: NodeControls,
    ) -> None:
        self._bus = bus
        self._log = log
        self._board = board
        self._browser = browser
        self._desk = desk
        self._controls = controls

    def bind(self) -> None:
        """Answers every request of the table."""
        for name, handler in {
            "widget.start": self._widget_start,
            "widget.resume": self._widget_resume,
            "widget.text": self._widget_text,
            "widget.end": self._widget_end,
            "desk.listen": self._desk_listen,
            "desk.stop": self._desk_stop,
            "desk.take": self._desk_take,
            "desk.return": self._desk_return,
            "desk.end": self._desk_end,
            "desk.transfer_check": self._desk_transfer_check,
            "desk.transfer": self._desk_transfer,
            "desk.transfer_complete": self._desk_transfer_complete,
            "desk.transfer_cancel": self._desk_transfer_cancel,
            "calls.rows": self._calls_rows,
            "calls.events": self._calls_events,
            "config.load": self._config_load,
            "node.health": self._node_health,
            "node.drain": self._node_drain,
        }.items():
            self._bus.serve(name, handler)

    # ------------------------------------------------------------------------------- widget

    async def _widget_start(self, args: Args) -> Answer:
        call, sdp, resume = await self._browser.start(
            text(args, "key"), text(args, "origin"), text(args, "sdp", MAX_SDP), variables(args)
        )
        return {"call": call, "sdp": sdp, "resume": resume}

    async def _widget_resume(self, args: Args) -> Answer:
        call, sdp, resume = await self._browser.resume(
            text(args, "resume"), text(args, "sdp", MAX_SDP)
        )
        return {"call": call, "sdp": sdp, "resume": resume}

    async def _widget_text(self, args: Args) -> Answer:
        self._browser.text(text(args, "call"), text(args, "text", MAX_TEXT))
        return {}

    async def _widget_end(self, args: Args) -> Answer:
        self._browser.end(text(args, "call"))
        return {}

    # ------------------------------------------------------------------------------- desk

    async def _desk_listen(self, args: Args) -> Answer:
        leg, sdp = await self._desk.listen(
            text(args, "call"), text(args, "who"), text(args, "sdp", MAX_SDP), text(args, "id")
        )
        return {"leg": leg, "sdp": sdp}

    async def _desk_stop(self, args: Args) -> Answer:
        await self._desk.stop(text(args, "call"), text(args, "who"), text(args, "id"))
        return {}

    async def _desk_take(self, args: Args) -> Answer:
        seq = await self._desk.take(
            text(args, "call"),
            text(args, "who"),
            optional_text(args, "force_reason", MAX_TEXT),
            text(args, "id"),
        )
        return {"seq": seq}

    async def _desk_return(self, args: Args) -> Answer:
        seq = await self._desk.give_back(
            text(args, "call"),
            text(args, "who"),
            optional_text(args, "brief", MAX_BRIEF),
            text(args, "id"),
        )
        return {"seq": seq}

    async def _desk_end(self, args: Args) -> Answer:
        seq = await self._desk.end(text(args, "call"), text(args, "who"), text(args, "id"))
        return {"seq": seq}

    async def _desk_transfer_check(self, args: Args) -> Answer:
        self._desk.check_transfer(text(args, "call"), text(args, "to"))
        return {}

    async def _desk_transfer(self, args: Args) -> Answer:
        transfer, seq = await self._desk.transfer(
            text(args, "call"),
            text(args, "who"),
            text(args, "to"),
            _mode(args),
            optional_text(args, "brief", MAX_BRIEF),
            text(args, "id"),
        )
        return {"transfer": transfer, "seq": seq}

    async def _desk_transfer_complete(self, args: Args) -> Answer:
        seq = await self._desk.complete_transfer(
            text(args, "call"), text(args, "who"), text(args, "id")
        )
        return {"seq": seq}

    async def _desk_transfer_cancel(self, args: Args) -> Answer:
        seq = await self._desk.cancel_transfer(
            text(args, "call"), text(args, "who"), text(args, "id")
        )
        return {"seq": seq}

    # ------------------------------------------------------------------------------- calls, node

    async def _calls_rows(self, args: Args) -> Answer:
        return {"rows": self._board.registry.rows(), "cursor": self._bus.cursor}

    async def _calls_events(self, args: Args) -> Answer:
        since = args.get("since", 0)
        if not isinstance(since, int) or isinstance(since, bool) or since < 0:
            raise RequestError("message", "since: a whole number is needed")
        records = await self._log.read(CallId(text(args, "call")), since)
        return {"events": [record_to_json(record) for record in records]}

    async def _config_load(self, args: Args) -> Answer:
        return {"revision": self.load(args.get("snapshot"))}

    def load(self, snapshot: Any) -> int:
        """Takes a snapshot whole; running calls keep what they began with. Raises: RequestError, the old one stays."""
        try:
            plan = parse_snapshot(snapshot, self._controls.open_secret)
            for name, definition in snapshot["agents"].items():
                self._controls.check_definition(name, definition)
        except SnapshotError as error:
            raise RequestError(error.code, error.user_message) from error
        self._board.plan = plan
        self._controls.take_plan(plan)
        return plan.revision

    async def _node_health(self, args: Args) -> Answer:
        return {"health": self._controls.health()}

    async def _node_drain(self, args: Args) -> Answer:
        self._controls.drain(bool(args.get("on", True)))
        return {}


def _mode(args: Args) -> TransferMode:
    match args.get("mode"):
        case "blind":
            return "blind"
        case "attended":
            return "attended"
        case _:
            raise RequestError("message", "mode: blind or attended")
