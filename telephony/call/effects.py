"""What has to be done after a record: audio edges, answered and closed legs, timers. Pure; the session does it."""

from __future__ import annotations

from typing import Final

from telephony.call.commands import EndCall, EndTransfer, RemoveLeg
from telephony.call.edges import routes
from telephony.call.events import (
    AgentAttached,
    BargedIn,
    CallEnded,
    CallEvent,
    CallHeld,
    CallStarted,
    DigitReceived,
    FloorTaken,
    LegAdded,
    LegConnected,
    LegLost,
    LegRemoved,
    MediaTroubled,
    Misunderstood,
    QualityMeasured,
    Recorded,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    TurnTimed,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import Route
from telephony.call.state import CallState, LegPhase, Phase
from telephony.call.transfer_events import (
    FloorGiven,
    LegReplaced,
    LegRinging,
    TransferEnded,
    TransferProgressed,
    TransferRequested,
)
from telephony.values import value

_ONLY_FACTS: Final = frozenset(
    (
        AgentAttached,
        DigitReceived,
        MediaTroubled,
        Misunderstood,
        QualityMeasured,
        SegmentHeard,
        SlotFilled,
        StepEntered,
        TurnTimed,
        UtteranceEnded,
        UtteranceStarted,
    )
)
"""The most frequent facts: nothing has to be done after them."""


@value(frozen=True, slots=True)
class Limits:
    """How long a call waits for what, in seconds. `call_s`: longest call, against runaway cost.

    `transfer_s`: for a target to answer, however often it is tried; `queue_s`: for one of the persons of a queue.
    """

    call_s: float = 1800.0
    answer_s: float = 90.0
    transfer_s: float = 120.0
    queue_s: float = 900.0
    connect_s: float = 30.0
    resume_s: float = 30.0


@value(frozen=True, slots=True)
class AnswerLeg:
    """The caller is to be accepted."""

    leg: LegId


@value(frozen=True, slots=True)
class RingCaller:
    """Somebody is rung for the caller, who is not answered yet."""

    early_media: bool


@value(frozen=True, slots=True)
class MoveLeg:
    """The transport and the audio of `leg` go on as those of `to`, whose own are closed."""

    leg: LegId
    to: LegId


@value(frozen=True, slots=True)
class CloseLeg:
    """The leg's transport is to be ended."""

    leg: LegId
    cause: str


@value(frozen=True, slots=True)
class SetRoutes:
    """Who is heard by whom from now on: all edges of the call."""

    routes: tuple[Route, ...]
    flush_agent: bool


@value(frozen=True, slots=True)
class SetTimer:
    """After `seconds` the command is posted; a timer of the same name is replaced."""

    name: str
    seconds: float
    command: EndCall | RemoveLeg | EndTransfer


@value(frozen=True, slots=True)
class CancelTimer:
    """The timer is not needed any more."""

    name: str


LegEffect = AnswerLeg | RingCaller | MoveLeg | CloseLeg | SetRoutes
Effect = LegEffect | SetTimer | CancelTimer


def effects(
    before: CallState, record: Recorded, after: CallState, limits: Limits
) -> tuple[Effect, ...]:
    """Effects of one record, in the order in which they are to be done: silence first."""
    if type(record.event) in _ONLY_FACTS:
        return ()
    return (
        *_moves(record.event),
        *_audio(before, record.event, after),
        *_legs(before, record.event, after),
        *_timers(before, record.event, limits),
    )


def _moves(event: CallEvent) -> tuple[Effect, ...]:
    return (MoveLeg(event.by, event.leg),) if isinstance(event, LegReplaced) else ()


def _silences_agent(event: CallEvent) -> bool:
    if isinstance(event, LegLost):
        return event.leg == CALLER
    # A failed agent is not cut off: what it has in line, and the line that bridges, is what the caller hears.
    if isinstance(event, CallHeld):
        return event.leg == CALLER
    return isinstance(event, FloorTaken | BargedIn | CallEnded | FloorGiven | TransferRequested)


def _audio(before: CallState, event: CallEvent, after: CallState) -> tuple[Effect, ...]:
    edges = routes(after)
    flush = _silences_agent(event)
    return (SetRoutes(edges, flush),) if flush or edges != routes(before) else ()


def _legs(before: CallState, event: CallEvent, after: CallState) -> tuple[Effect, ...]:
    match event:
        case LegAdded(leg="caller"):
            return (AnswerLeg(CALLER),) if _agent_answers(before) else ()
        case FloorGiven() | FloorTaken() if _waits_for_answer(before):
            return (AnswerLeg(CALLER),)
        case TransferEnded() if _waits_for_answer(before) and after.agent_has_floor:
            return (AnswerLeg(CALLER),)  # nobody else did
        case LegRinging(leg=leg, early_media=early) if leg != CALLER and _waits_for_answer(before):
            return (RingCaller(early),)
        case LegRemoved(leg=leg, reason=reason):
            return (CloseLeg(leg, reason),)
        case CallEnded(cause=cause):
            left = [leg.id for leg in before.legs.values() if leg.phase is not LegPhase.REMOVED]
            return tuple(CloseLeg(leg, cause) for leg in left)
        case _:
            return ()


def _agent_answers(state: CallState) -> bool:
    inbound = state.direction == "inbound"
    return inbound and state.agent is not None and not state.persons_first


def _waits_for_answer(state: CallState) -> bool:
    return state.phase is Phase.RINGING and state.direction == "inbound"


def _timers(before: CallState, event: CallEvent, limits: Limits) -> tuple[Effect, ...]:
    match event:
        case CallStarted():
            too_long = EndCall(cause="too_long", by="system")
            return (SetTimer("call", limits.call_s, too_long),)
        case LegAdded():
            return (_connect_timer(before, event, limits),)
        case LegLost(leg=leg):
            transferring = leg == CALLER and before.transfer is not None
            seconds = limits.transfer_s if transferring else limits.resume_s
            return (SetTimer(f"leg:{leg}", seconds, _give_up(leg, "lost")),)
        case LegConnected(leg=leg) | LegRemoved(leg=leg):
            return (CancelTimer(f"leg:{leg}"),)
        case LegReplaced(leg=leg, by=by):
            return (CancelTimer(f"leg:{leg}"), CancelTimer(f"leg:{by}"))
        case TransferRequested(transfer=transfer, by=by):
            seconds = limits.queue_s if by == "system" else limits.transfer_s
            over = EndTransfer(transfer=transfer, outcome="timeout", reason="timeout")
            return (SetTimer("transfer", seconds, over),)
        case TransferProgressed(stage="consulting") | TransferEnded():
            return (CancelTimer("transfer"),)
        case _:
            return ()


def _connect_timer(before: CallState, event: LegAdded, limits: Limits) -> SetTimer:
    if event.leg == CALLER:
        waits = before.direction == "inbound" and not _agent_answers(before)
        seconds = limits.queue_s if waits else limits.answer_s
    else:
        seconds = limits.transfer_s if event.role == "target" else limits.connect_s
    return SetTimer(f"leg:{event.leg}", seconds, _give_up(event.leg, "not_connected"))


def _give_up(leg: LegId, reason: str) -> EndCall | RemoveLeg:
    if leg == CALLER:
        return EndCall(cause=reason, by="system")
    return RemoveLeg(leg=leg, reason=reason)
