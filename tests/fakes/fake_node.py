"""A media node without media: folds the events it is given and speaks to the bus like a real one.

`FakeBus` stands in for the bus inside one process; `FakeNode` needs only `publish` and `serve`, so that it also runs on
the real local bus, beside a real web process.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from telephony.call.commands import (
    AddLeg,
    CallCommand,
    CancelTransfer,
    CompleteTransfer,
    ConnectLeg,
    RequestTransfer,
    RingLeg,
)
from telephony.call.errors import CallError, NodeUnreachableError, RequestError
from telephony.call.events import (
    AgentAttached,
    AgentRef,
    CallEnded,
    CallEvent,
    CallStarted,
    FloorReturned,
    FloorTaken,
    LegAdded,
    LegConnected,
    ListenStarted,
    Recorded,
    SegmentHeard,
    StepEntered,
    UtteranceStarted,
)
from telephony.call.evolution import evolve
from telephony.call.ids import (
    AGENT,
    CALLER,
    CallId,
    LegId,
    TransferId,
    TurnId,
    UserName,
    UtteranceId,
)
from telephony.call.machine import decide
from telephony.call.ports import BusMessage, Handler
from telephony.call.serial import record_to_json, row
from telephony.call.state import CallState
from telephony.outbound_rules import MESSAGES

BEGINNING_US = 1_763_600_000_000_000
RECEPTIONIST = AgentRef("receptionist", 3)
COSTLY = "+1900"
"""Numbers that begin so are not dialled."""

Answer = Callable[[str, str], Awaitable[str]]
"""(call, offer) -> answer."""


class FakeBus:
    """Implements `EventBus` and `NodeBus` for one node in this process."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.is_up = True
        self.cursor = ""
        self._queues: list[asyncio.Queue[BusMessage]] = []

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        for queue in self._queues:
            queue.put_nowait(BusMessage(topic, body))

    def serve(self, name: str, handler: Handler) -> None:
        self.handlers[name] = handler

    async def subscribe(self, since: str | None = None) -> AsyncIterator[BusMessage]:
        queue: asyncio.Queue[BusMessage] = asyncio.Queue()
        self._queues.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.remove(queue)

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
    ) -> Mapping[str, Any]:
        self.requests.append((node, name, dict(args)))
        if not self.is_up:
            raise NodeUnreachableError(node)
        return await self.handlers[name](args)

    def asked(self, name: str) -> list[dict[str, Any]]:
        return [args for _, asked, args in self.requests if asked == name]


async def no_media(call: str, offer: str) -> str:
    return "v=0\r\n"


class FakeNode:
    """Holds calls as logs; each event given is logged, folded and published."""

    def __init__(self, bus: Any, *, name: str = "node1", answer: Answer = no_media) -> None:
        self.name = name
        self.states: dict[str, CallState] = {}
        self.logs: dict[str, list[Recorded]] = {}
        self.refuse: dict[str, tuple[str, str]] = {}
        """Requests to refuse, by name, with code and text."""
        self.now_us = BEGINNING_US
        self._bus = bus
        self._answer = answer
        self._numbers = itertools.count(1)
        for handler in (
            "calls.rows", "calls.events", "widget.start", "widget.resume", "widget.text",
            "widget.end", "desk.listen", "desk.stop", "desk.take", "desk.return", "desk.end",
            "desk.transfer_check", "desk.transfer", "desk.transfer_complete", "desk.transfer_cancel",
        ):  # fmt: skip
            bus.serve(handler, self._handler(handler, getattr(self, handler.replace(".", "_"))))

    def _handler(self, name: str, serve: Handler) -> Handler:
        async def handle(args: Mapping[str, Any]) -> Mapping[str, Any]:
            if name in self.refuse:
                raise RequestError(*self.refuse[name])
            return await serve(args)

        return handle

    # -------------------------------------------------------------------------------------------------- events

    def record(
        self, call: str, *events: CallEvent, actor: str = "system", after_s: float = 0.0
    ) -> int:
        """The seq of the last event; `after_s` moves the node's wall clock first."""
        self.now_us += round(after_s * 1e6)
        for event in events:
            log = self.logs.setdefault(call, [])
            record = Recorded(
                call=CallId(call), seq=len(log) + 1, at_us=self.now_us, event=event, actor=actor
            )
            state = evolve(self.states.get(call) or CallState(id=CallId(call)), record)
            log.append(record)
            self.states[call] = state
            self._bus.publish("event", record_to_json(record) | {"row": row(state, self.name)})
        return len(self.logs[call])

    def begin(
        self, call: str, *, transport: Any = "sip", caller: str = "+4930123456", dialled: str = ""
    ) -> None:
        """A call that was answered by the receptionist, or that it placed (`dialled`: whom it called)."""
        codec = "opus" if transport == "webrtc" else "PCMU"
        self.record(
            call,
            CallStarted(
                direction="outbound" if dialled else "inbound", transport=transport, called=dialled or "demo",
                caller="" if dialled else caller, agent=RECEPTIONIST,
            ),
            LegAdded(leg=CALLER, role="caller", transport=transport),
            LegConnected(leg=CALLER, codec=codec),
            LegAdded(leg=AGENT, role="agent", transport="loopback"),
            AgentAttached(agent=RECEPTIONIST, worker="worker1"),
            StepEntered(step="greeting", previous=None, because="start"),
        )  # fmt: skip

    def hears(self, call: str, text: str, *, at_s: float, turn: int | None = None) -> None:
        self.record(
            call,
            SegmentHeard(
                leg=CALLER, role="caller", turn=None if turn is None else TurnId(turn), text=text,
                start_s=at_s, end_s=at_s + 1.0, pause_before_s=0.4,
            ),
        )  # fmt: skip

    def says(
        self, call: str, utterance: str, text: str, *, at_s: float, step: str = "greeting"
    ) -> None:
        self.record(
            call,
            UtteranceStarted(utterance=UtteranceId(utterance), turn=None, text=text, step=step, start_s=at_s),
        )  # fmt: skip

    def partial(self, call: str, text: str, role: str = "caller") -> None:
        self._bus.publish(
            "partial", {"call": call, "leg": role, "role": role, "turn": 1, "text": text}
        )

    # ------------------------------------------------------------------------------------------------ requests

    async def calls_rows(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        live = [state for state in self.states.values() if state.ended_us is None]
        return {"rows": [row(state, self.name) for state in live], "cursor": self._bus.cursor}

    async def calls_events(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        records = self.logs.get(args["call"])
        if records is None:
            raise RequestError("call_gone", "This call has ended.")
        return {"events": [record_to_json(r) for r in records if r.seq > args["since"]]}

    async def widget_start(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        call = f"web-{next(self._numbers)}"
        answer = await self._answer(call, args["sdp"])
        self.begin(call, transport="webrtc", caller="")
        return {"call": call, "sdp": answer, "resume": f"resume-{call}"}

    async def widget_resume(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        call = str(args["resume"]).removeprefix("resume-")
        if call not in self.states or self.states[call].ended_us is not None:
            raise RequestError("expired", "This call is over.")
        answer = await self._answer(call, args["sdp"])
        return {"call": call, "sdp": answer, "resume": f"resume-{call}"}

    async def widget_text(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.hears(args["call"], args["text"], at_s=5.0)
        return {}

    async def widget_end(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self.record(args["call"], CallEnded(cause="caller_hung_up", by="caller"))
        return {}

    async def desk_listen(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        who, call = UserName(args["who"]), args["call"]
        leg = LegId(f"desk-{who}")
        answer = await self._answer(call, args["sdp"])
        if leg not in self.states[call].legs:
            self.record(call, LegAdded(leg=leg, role="supervisor", transport="webrtc", who=who))
        self.record(call, ListenStarted(leg=leg, who=who), LegConnected(leg=leg, codec="opus"))
        return {"leg": leg, "sdp": answer}

    async def desk_stop(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    async def desk_take(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        who = UserName(args["who"])
        return {"seq": self.record(args["call"], FloorTaken(leg=LegId(f"desk-{who}"), who=who))}

    async def desk_return(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        event = FloorReturned(who=args["who"], reason="handed_back", brief=args.get("brief", ""))
        return {"seq": self.record(args["call"], event)}

    async def desk_end(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        event = CallEnded(cause="ended_by_supervisor", by="supervisor", who=args["who"])
        return {"seq": self.record(args["call"], event)}

    # ----------------------------------------------------------------------------------------------- transfers

    def decide(self, call: str, command: CallCommand) -> int:
        """What the call's own rules make of a command."""
        try:
            events = decide(self.states[call], command)
        except CallError as error:
            raise RequestError(error.code, error.user_message) from error
        return self.record(call, *events, actor=command.actor)

    async def desk_transfer_check(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        if args["to"].startswith(COSTLY):
            raise RequestError("costly", MESSAGES["costly"])
        return {}

    async def desk_transfer(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """The target is dialled; `target_rings` and `target_answers` go on."""
        seq = self.decide(
            args["call"],
            RequestTransfer(
                actor=args["who"],
                transfer=TransferId("t1"),
                mode=args["mode"],
                method="bridge",
                by="supervisor",
                who=UserName(args["who"]),
                destination=args["to"],
                brief=args.get("brief", ""),
            ),
        )
        self.decide(args["call"], AddLeg(leg=LegId("target-1"), role="target", transport="sip"))
        return {"transfer": "t1", "seq": seq}

    async def desk_transfer_complete(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"seq": self.decide(args["call"], CompleteTransfer(who=UserName(args["who"])))}

    async def desk_transfer_cancel(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"seq": self.decide(args["call"], CancelTransfer(who=UserName(args["who"])))}

    def target_rings(self, call: str) -> None:
        self.decide(call, RingLeg(leg=LegId("target-1")))

    def target_answers(self, call: str) -> None:
        self.decide(call, ConnectLeg(leg=LegId("target-1"), codec="PCMU"))
