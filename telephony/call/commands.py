"""Requests to a call. Each is decided by its session, one after the other; a refusal is a typed `CallError`.

`id` is the idempotency key: a command repeated with the same id has its first result. Commands of legs and of the
agent's pipeline report what happened at the edge; commands of people ask for something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from telephony.call.events import AgentRef, CallEvent, Role, Transport
from telephony.call.ids import LegId, TransferId, UserName
from telephony.call.transfer_events import (
    AfterTarget,
    Initiator,
    TransferMethod,
    TransferMode,
    TransferOutcome,
)
from telephony.values import value


@value(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands carry: who asks, and the idempotency key (None: not repeatable)."""

    actor: str = "system"
    id: str | None = None


@value(frozen=True, slots=True, kw_only=True)
class StartCall(Command):
    """Opens the log of a new call and attaches the caller's leg."""

    direction: Literal["inbound", "outbound"]
    transport: Transport
    called: str
    caller: str
    agent: AgentRef | None
    variables: Mapping[str, str] = field(default_factory=dict)
    persons_first: bool = False


@value(frozen=True, slots=True, kw_only=True)
class AddLeg(Command):
    """Attaches a leg. `replaces`: it takes the place of that one when it is up."""

    leg: LegId
    role: Role
    transport: Transport
    who: UserName | None = None
    replaces: LegId | None = None


@value(frozen=True, slots=True, kw_only=True)
class RingLeg(Command):
    """The phone behind the leg rings; with `early_media` it can be heard already."""

    leg: LegId
    early_media: bool = False


@value(frozen=True, slots=True, kw_only=True)
class ConnectLeg(Command):
    """The leg's audio path is up."""

    leg: LegId
    codec: str


@value(frozen=True, slots=True, kw_only=True)
class LoseLeg(Command):
    """The leg's transport is gone and may come back within the resume time."""

    leg: LegId
    reason: str


@value(frozen=True, slots=True, kw_only=True)
class RemoveLeg(Command):
    """The leg left. Removing the caller's leg ends the call."""

    leg: LegId
    reason: str


@value(frozen=True, slots=True, kw_only=True)
class HoldCall(Command):
    """The phone behind the leg holds."""

    leg: LegId


@value(frozen=True, slots=True, kw_only=True)
class ResumeCall(Command):
    """It is back."""

    leg: LegId


@value(frozen=True, slots=True, kw_only=True)
class EndCall(Command):
    """Ends the call, from any phase; repeating it is harmless."""

    cause: str
    by: Literal["caller", "agent", "supervisor", "system", "target"]
    who: UserName | None = None


@value(frozen=True, slots=True, kw_only=True)
class StartListening(Command):
    """A supervisor's leg shall hear caller and agent. Permission was checked at the door."""

    leg: LegId
    who: UserName


@value(frozen=True, slots=True, kw_only=True)
class StopListening(Command):
    """The supervisor's leg shall hear nothing; if it holds the floor, the floor returns first."""

    leg: LegId
    who: UserName


@value(frozen=True, slots=True, kw_only=True)
class TakeFloor(Command):
    """A supervisor wants to speak to the caller instead of the agent. `force_reason`: take it from a colleague."""

    leg: LegId
    who: UserName
    force_reason: str = ""


@value(frozen=True, slots=True, kw_only=True)
class HandBack(Command):
    """The supervisor gives the floor back to the agent."""

    who: UserName
    brief: str = ""


@value(frozen=True, slots=True, kw_only=True)
class RequestTransfer(Command):
    """The caller shall speak with somebody else; fields as in `TransferRequested`. Destinations are judged at the door.

    `leg`: the target that asks (`by` "target"). `then` None: back to the agent where there is one, else the end.
    """

    transfer: TransferId
    mode: TransferMode
    method: TransferMethod
    by: Initiator
    destination: str
    name: str = ""
    who: UserName | None = None
    then: AfterTarget | None = None
    brief: str = ""
    agent_stays: bool = True
    leg: LegId | None = None


@value(frozen=True, slots=True, kw_only=True)
class ProgressTransfer(Command):
    """The caller's trunk says that the target rings (`refer`)."""

    transfer: TransferId
    status: int


@value(frozen=True, slots=True, kw_only=True)
class CompleteTransfer(Command):
    """The talk with the target is over: caller and target shall speak. `release`: on their own trunk, without us."""

    who: UserName | None = None
    release: bool = False


@value(frozen=True, slots=True, kw_only=True)
class CancelTransfer(Command):
    """The caller comes back to whoever had the floor. Repeating it is harmless."""

    who: UserName | None = None


@value(frozen=True, slots=True, kw_only=True)
class EndTransfer(Command):
    """What became of the dialling, or of the REFER; nothing if that transfer is over already."""

    transfer: TransferId
    outcome: TransferOutcome
    status: int | None = None
    reason: str = ""


@value(frozen=True, slots=True, kw_only=True)
class FallBack(Command):
    """The REFER came to nothing: the target is dialled as a leg of this call, as transfer `next`."""

    transfer: TransferId
    next: TransferId
    status: int | None = None


@value(frozen=True, slots=True, kw_only=True)
class FailAgent(Command):
    """The brain failed; what was being said is over."""

    reason: str


@value(frozen=True, slots=True, kw_only=True)
class Report(Command):
    """Facts of the conversation and of media, observed by the agent's pipeline or by a leg.

    Admitted only while they make sense (`telephony.call.reports.REPORTABLE`): a fact about a leg that is gone, or
    an utterance of an agent that has lost the floor, is refused with a reason and counted.
    """

    events: tuple[CallEvent, ...]


CallCommand = (
    StartCall
    | AddLeg
    | RingLeg
    | ConnectLeg
    | LoseLeg
    | RemoveLeg
    | HoldCall
    | ResumeCall
    | EndCall
    | StartListening
    | StopListening
    | TakeFloor
    | HandBack
    | RequestTransfer
    | ProgressTransfer
    | CompleteTransfer
    | CancelTransfer
    | EndTransfer
    | FallBack
    | FailAgent
    | Report
)
