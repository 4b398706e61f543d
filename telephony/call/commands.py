"""Requests to a call. Each is decided by its session, one after the other; a refusal is a typed `CallError`.

`id` is the idempotency key: a command repeated with the same id has its first result. Commands of legs and of the
agent's pipeline report what happened at the edge; commands of people ask for something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from telephony.call.events import AgentRef, CallEvent, Role, Transport
from telephony.call.ids import LegId, UserName


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands carry: who asks, and the idempotency key (None: not repeatable)."""

    actor: str = "system"
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCall(Command):
    """Opens the log of a new call and attaches the caller's leg."""

    direction: Literal["inbound", "outbound"]
    transport: Transport
    called: str
    caller: str
    agent: AgentRef | None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLeg(Command):
    """Attaches a leg."""

    leg: LegId
    role: Role
    transport: Transport
    who: UserName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectLeg(Command):
    """The leg's audio path is up."""

    leg: LegId
    codec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseLeg(Command):
    """The leg's transport is gone and may come back within the resume time."""

    leg: LegId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveLeg(Command):
    """The leg left. Removing the caller's leg ends the call."""

    leg: LegId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCall(Command):
    """The caller holds."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeCall(Command):
    """The caller is back."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall(Command):
    """Ends the call, from any phase; repeating it is harmless."""

    cause: str
    by: Literal["caller", "agent", "supervisor", "system"]
    who: UserName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartListening(Command):
    """A supervisor's leg shall hear caller and agent. Permission was checked at the door."""

    leg: LegId
    who: UserName


@dataclass(frozen=True, slots=True, kw_only=True)
class StopListening(Command):
    """The supervisor's leg shall hear nothing; if it holds the floor, the floor returns first."""

    leg: LegId
    who: UserName


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFloor(Command):
    """A supervisor wants to speak to the caller instead of the agent. `force_reason`: take it from a colleague."""

    leg: LegId
    who: UserName
    force_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandBack(Command):
    """The supervisor gives the floor back to the agent."""

    who: UserName
    brief: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailAgent(Command):
    """The brain failed; what was being said is over."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Command):
    """Facts of the conversation and of media, observed by the agent's pipeline or by a leg.

    Admitted only while they make sense (`telephony.call.reports.REPORTABLE`): a fact about a leg that is gone, or
    an utterance of an agent that has lost the floor, is refused with a reason and counted.
    """

    events: tuple[CallEvent, ...]


CallCommand = (
    StartCall
    | AddLeg
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
    | FailAgent
    | Report
)
