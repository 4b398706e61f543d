"""A call without telephony: legs and audio that keep what was asked of them, and commands ready to use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from telephony.admission import Admission, Load, Refusal
from telephony.call.commands import (
    AddLeg,
    CallCommand,
    ConnectLeg,
    EndCall,
    StartCall,
    StartListening,
    TakeFloor,
)
from telephony.call.effects import Limits
from telephony.call.events import AgentRef, CallEvent, Recorded
from telephony.call.ids import CALLER, CallId, LegId, UserName
from telephony.call.log import MemoryEventLog
from telephony.call.machine import decide, evolve
from telephony.call.ports import CallAccess, EventLog, MediaFact, Route
from telephony.call.registry import CallRegistry
from telephony.call.session import CallSession, SessionPorts
from telephony.call.state import CallState
from tests.fakes.manual_clock import ManualClock

CALL = CallId("c1")
ANN, BOB = UserName("ann"), UserName("bob")
ANNS_LEG, BOBS_LEG = LegId("desk-1"), LegId("desk-2")
RECEPTIONIST = AgentRef("receptionist", 3)

START = StartCall(
    direction="inbound", transport="sip", called="demo", caller="+15550100", agent=RECEPTIONIST
)
CONNECT = ConnectLeg(leg=CALLER, codec="PCMU")


def desk_joins(leg: LegId = ANNS_LEG, who: UserName = ANN) -> tuple[CallCommand, ...]:
    """A supervisor's leg that is up and hears the call."""
    return (
        AddLeg(leg=leg, role="supervisor", transport="webrtc", who=who),
        StartListening(leg=leg, who=who),
        ConnectLeg(leg=leg, codec="opus"),
    )


TAKEN = (START, CONNECT, *desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))


def record(state: CallState, event: CallEvent, at_us: int = 1_000) -> Recorded:
    return Recorded(call=state.id, seq=state.seq + 1, at_us=at_us, event=event, actor="system")


def fold(state: CallState, *events: CallEvent) -> CallState:
    for event in events:
        state = evolve(state, record(state, event))
    return state


def after(*commands: CallCommand, state: CallState | None = None) -> CallState:
    """The state after the commands, all of which must be accepted."""
    state = state or CallState(id=CALL)
    for command in commands:
        state = fold(state, *decide(state, command))
    return state


def names(events: Sequence[CallEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


async def settle() -> None:
    """Lets the tasks of sessions do what they can do."""
    for _ in range(10):
        await asyncio.get_running_loop().run_in_executor(None, int)


@dataclass
class FakeAudio:
    """`CallAudio`: keeps the edges it was given and counts flushes."""

    routes: list[tuple[Route, ...]] = field(default_factory=list)
    flushes: int = 0
    renamed: list[tuple[LegId, LegId]] = field(default_factory=list)

    def route(self, routes: Sequence[Route], *, flush_agent: bool) -> None:
        self.routes.append(tuple(routes))
        self.flushes += flush_agent

    def rename(self, leg: LegId, to: LegId) -> None:
        self.renamed.append((leg, to))


@dataclass
class FakeLeg:
    """`LegControl`."""

    answered: int = 0
    rang: list[bool] = field(default_factory=list)
    names: list[LegId] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def answer(self) -> None:
        self.answered += 1

    def ring(self, *, early_media: bool) -> None:
        self.rang.append(early_media)

    def become(self, leg: LegId) -> None:
        self.names.append(leg)

    def close(self, cause: str) -> None:
        self.closed.append(cause)


@dataclass
class FakeParticipant:
    """`CallParticipant` that keeps what it saw; `fault` is raised at each event if set."""

    call: CallAccess
    records: list[Recorded] = field(default_factory=list)
    facts: list[MediaFact] = field(default_factory=list)
    fault: Exception | None = None
    closed: int = 0

    def on_event(self, record: Recorded, state: CallState) -> None:
        assert state.seq == record.seq
        self.records.append(record)
        if self.fault is not None:
            raise self.fault

    def on_media(self, fact: MediaFact) -> None:
        self.facts.append(fact)
        if self.fault is not None:
            raise self.fault

    async def close(self) -> None:
        self.closed += 1

    @property
    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]


class CallBench:
    """A registry on the manual clock, and one session with a leg and a participant."""

    def __init__(
        self, log: EventLog | None = None, *, max_calls: int = 2, limits: Limits | None = None
    ) -> None:
        self.clock = ManualClock()
        self.log = log or MemoryEventLog()
        self.published: list[tuple[str, Mapping[str, Any]]] = []
        self.ports = SessionPorts(
            log=self.log,
            scheduler=self.clock,
            publish=lambda topic, body: self.published.append((topic, body)),
            node="node1",
            limits=limits or Limits(),
        )
        names = iter(CallId(f"c{number}") for number in range(1, 1000))
        self.admission = Admission()
        self._max_calls = max_calls
        self.registry = CallRegistry(self.ports, admit=self._admit, new_id=lambda: next(names))
        self.audio = FakeAudio()
        self.leg = FakeLeg()
        self.session: CallSession = self.registry.open(self.audio)
        self.session.attach_leg(CALLER, self.leg)
        self.agent = FakeParticipant(self.session)
        self.session.join(self.agent)

    def _admit(self, calls: int, agent: bool) -> Refusal | None:
        load = Load(calls=calls, max_calls=self._max_calls)
        return self.admission.refusal(load, self.clock.monotonic(), agent=agent)

    async def do(self, *commands: CallCommand) -> None:
        for command in commands:
            await self.session.submit(command)

    async def kinds(self) -> list[str]:
        return [record.kind for record in await self.log.read(self.session.id)]

    async def end(self) -> None:
        self.session.post(EndCall(cause="bye", by="caller"))
        await self.session.wait_closed()
