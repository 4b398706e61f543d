"""What has to be done after a record: audio edges, answered and closed legs, timers. Pure; the session does it."""

from __future__ import annotations

from dataclasses import dataclass

from telephony.call.commands import EndCall, RemoveLeg
from telephony.call.events import (
    BargedIn,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    FloorTaken,
    LegAdded,
    LegConnected,
    LegLost,
    LegRemoved,
    Recorded,
)
from telephony.call.ids import AGENT, CALLER, LegId
from telephony.call.ports import Route
from telephony.call.state import CallState, LegPhase, Phase


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call waits for what, in seconds. `call_s`: longest call, against runaway cost."""

    call_s: float = 1800.0
    answer_s: float = 60.0
    connect_s: float = 30.0
    resume_s: float = 30.0


@dataclass(frozen=True, slots=True)
class AnswerLeg:
    """The caller is to be accepted."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class CloseLeg:
    """The leg's transport is to be ended."""

    leg: LegId
    cause: str


@dataclass(frozen=True, slots=True)
class SetRoutes:
    """Who is heard by whom from now on: all edges of the call."""

    routes: tuple[Route, ...]
    flush_agent: bool


@dataclass(frozen=True, slots=True)
class SetTimer:
    """After `seconds` the command is posted; a timer of the same name is replaced."""

    name: str
    seconds: float
    command: EndCall | RemoveLeg


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """The timer is not needed any more."""

    name: str


Effect = AnswerLeg | CloseLeg | SetRoutes | SetTimer | CancelTimer


def effects(
    before: CallState, record: Recorded, after: CallState, limits: Limits
) -> tuple[Effect, ...]:
    """Effects of one record, in the order in which they are to be done: silence first."""
    return (
        *_audio(before, record.event, after),
        *_legs(before, record.event),
        *_timers(record.event, limits),
    )


def routes(state: CallState) -> tuple[Route, ...]:
    """Who hears whom. Silence on hold, while the caller is away, and after the end."""
    if state.phase is not Phase.ACTIVE:
        return ()
    speakers = [speaker for speaker in _speakers(state) if speaker is not None]
    heard_by_caller = [Route(speaker, CALLER) for speaker in speakers]
    listeners = [leg.id for leg in state.legs.values() if leg.listening and _carries(state, leg.id)]
    overheard = [
        Route(source, listener)
        for listener in listeners
        for source in (CALLER, *speakers)
        if source != listener
    ]
    return (*heard_by_caller, *overheard)


def _speakers(state: CallState) -> tuple[LegId | None, ...]:
    floor = state.floor
    if floor is None or floor == AGENT or _carries(state, floor):
        return (floor,)
    return ()


def _carries(state: CallState, leg_id: LegId) -> bool:
    leg = state.legs.get(leg_id)
    return leg is not None and leg.phase is LegPhase.CONNECTED


def _silences_agent(event: CallEvent) -> bool:
    if isinstance(event, LegLost):
        return event.leg == CALLER
    # A failed agent is not cut off: what it has in line, and the line that bridges, is what the caller hears.
    return isinstance(event, FloorTaken | BargedIn | CallHeld | CallEnded)


def _audio(before: CallState, event: CallEvent, after: CallState) -> tuple[Effect, ...]:
    edges = routes(after)
    flush = _silences_agent(event)
    return (SetRoutes(edges, flush),) if flush or edges != routes(before) else ()


def _legs(before: CallState, event: CallEvent) -> tuple[Effect, ...]:
    if isinstance(event, LegAdded) and event.leg == CALLER and before.direction == "inbound":
        return (AnswerLeg(CALLER),)
    if isinstance(event, LegRemoved):
        return (CloseLeg(event.leg, event.reason),)
    if isinstance(event, CallEnded):
        left = [leg.id for leg in before.legs.values() if leg.phase is not LegPhase.REMOVED]
        return tuple(CloseLeg(leg, event.cause) for leg in left)
    return ()


def _timers(event: CallEvent, limits: Limits) -> tuple[Effect, ...]:
    match event:
        case CallStarted():
            too_long = EndCall(cause="too_long", by="system")
            return (SetTimer("call", limits.call_s, too_long),)
        case LegAdded(leg=leg):
            seconds = limits.answer_s if leg == CALLER else limits.connect_s
            return (SetTimer(f"leg:{leg}", seconds, _give_up(leg, "not_connected")),)
        case LegLost(leg=leg):
            return (SetTimer(f"leg:{leg}", limits.resume_s, _give_up(leg, "lost")),)
        case LegConnected(leg=leg) | LegRemoved(leg=leg):
            return (CancelTimer(f"leg:{leg}"),)
        case _:
            return ()


def _give_up(leg: LegId, reason: str) -> EndCall | RemoveLeg:
    if leg == CALLER:
        return EndCall(cause=reason, by="system")
    return RemoveLeg(leg=leg, reason=reason)
