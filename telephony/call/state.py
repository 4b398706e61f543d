"""The state of a call: nothing but the fold of its log (`telephony.call.machine.evolve`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from telephony.call.events import AgentRef, Role, Transport
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
from telephony.call.transfer_events import (
    AfterTarget,
    Initiator,
    TransferMethod,
    TransferMode,
    TransferStage,
)
from telephony.values import value

_NO_TURN: Final = TurnId(0)


class Phase(StrEnum):
    """Where a call is in its life."""

    NEW = "new"
    RINGING = "ringing"
    ACTIVE = "active"
    RECONNECTING = "reconnecting"
    HELD = "held"
    ENDED = "ended"


class LegPhase(StrEnum):
    """Where a leg is in its life."""

    ADDED = "added"
    CONNECTED = "connected"
    LOST = "lost"
    REMOVED = "removed"


@value(frozen=True, slots=True)
class Trouble:
    """Something wrong with a leg's audio (`MediaTroubled`), from `at_us` until `over_us`; None: it goes on."""

    kind: str
    detail: str
    at_us: int
    over_us: int | None = None


@value(frozen=True, slots=True)
class Leg:
    """One attachment to the call.

    `troubles`: the latest of its audio, oldest first. `ringing`: it said so. `early`: it sends audio before its answer. `held`: its phone
    holds (the caller's hold is a phase of the call). `replaces`: whose place it will take.
    """

    id: LegId
    role: Role
    transport: Transport
    phase: LegPhase = LegPhase.ADDED
    codec: str = ""
    who: UserName | None = None
    listening: bool = False
    troubles: tuple[Trouble, ...] = ()
    ringing: bool = False
    early: bool = False
    held: bool = False
    replaces: LegId | None = None

    @property
    def carries(self) -> bool:
        return self.phase is LegPhase.CONNECTED


@value(frozen=True, slots=True)
class Transfer:
    """A transfer under way, or the last one that ended (`outcome`).

    `targets`: legs dialled for it; `target`: the one that answered.
    """

    id: TransferId
    mode: TransferMode
    method: TransferMethod
    by: Initiator
    who: UserName | None
    destination: str
    name: str
    then: AfterTarget
    brief: str
    agent_stays: bool
    stage: TransferStage
    targets: tuple[LegId, ...] = ()
    target: LegId | None = None
    outcome: str = ""
    status: int | None = None
    reason: str = ""


@value(frozen=True, slots=True)
class Said:
    """One contribution to the conversation as it was heard: what the agent's context is made of.

    `heard` None: an agent utterance still playing. `text`: what was meant to be said; equal to `heard` for people.
    """

    role: Role
    text: str
    heard: str | None
    start_s: float
    end_s: float | None
    turn: TurnId | None = None
    utterance: UtteranceId | None = None
    interrupted: bool = False
    heard_by: LegId = CALLER


@value(frozen=True)
class Conversation:
    """What was said and what is known; the agent's context is read from here."""

    said: tuple[Said, ...] = ()
    step: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    turn: TurnId = _NO_TURN
    misunderstood: int = 0
    person_requested: str | None = None
    brief: str = ""
    barge_ins: int = 0
    last_answer_ms: float | None = None
    attached_worker: str | None = None
    agent_failed: str | None = None


@value(frozen=True)
class CallState:
    """A call at one position (`seq`) of its log.

    `floor`: who speaks to the caller, or will again if the `transfer` under way comes to nothing. `transferred`: the
    last transfer that ended. `persons_first`: the agent answers only if nobody else does.
    """

    id: CallId
    seq: int = 0
    phase: Phase = Phase.NEW
    direction: str = "inbound"
    transport: Transport = "loopback"
    called: str = ""
    caller: str = ""
    agent: AgentRef | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    legs: Mapping[LegId, Leg] = field(default_factory=dict)
    persons_first: bool = False
    floor: LegId | None = AGENT
    controller: UserName | None = None
    started_us: int = 0
    answered_us: int | None = None
    ended_us: int | None = None
    end_cause: str | None = None
    answerer: str = ""
    conversation: Conversation = field(default_factory=Conversation)
    transfer: Transfer | None = None
    transferred: Transfer | None = None

    @property
    def agent_has_floor(self) -> bool:
        """Not while a transfer is under way."""
        return self.floor == AGENT and self.transfer is None

    @property
    def agent_consults(self) -> LegId | None:
        """The target that the agent speaks with while the caller waits."""
        transfer = self.transfer
        if transfer is None or transfer.stage != "consulting" or self.floor != AGENT:
            return None
        return transfer.target

    @property
    def person_speaks(self) -> bool:
        """Somebody other than the agent has the floor: a supervisor, or a person whom we dialled."""
        return self.floor is not None and self.floor != AGENT
