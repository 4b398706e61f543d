"""Makes calls of legs and agents, and keeps what belongs together: session, audio, legs of supervisors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

from telephony.call.commands import StartCall
from telephony.call.errors import CallGoneError
from telephony.call.events import AgentRef, Transport
from telephony.call.ids import CALLER, CallId, LegId, TransferId, UserName
from telephony.call.ports import CallParticipant, Clock, LegControl, ParticipantFactory
from telephony.call.registry import CallRegistry
from telephony.call.session import CallSession
from telephony.dialplan import EMPTY, AgentChoice, DialPlan
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.media.handles import SourceHandle
from telephony.media.notices import Levels, Notice, PlayoutProgress, PlayoutRefused

log = logging.getLogger(__name__)

_OF_VOICES: Final = (PlayoutProgress, PlayoutRefused)

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A caller at the door, or (`outbound`) one whom we ring: who calls what, and the agent that shall speak.

    `choice` None: a call between people; its caller is answered when one of them is, or takes the floor.
    `persons_first`: people are rung before the agent answers.
    """

    transport: Transport
    called: str
    caller: str
    choice: AgentChoice | None
    voice_rate_hz: int
    variables: Mapping[str, str] = field(default_factory=dict)
    direction: Literal["inbound", "outbound"] = "inbound"
    persons_first: bool = False


@dataclass(slots=True)
class LiveCall:
    """A call in progress and what hangs on it. `turns`: one person's joining and leaving, one after the other.

    `asked`: names of the transfers that the desk asked for, by the keys of its commands.
    """

    session: CallSession
    media: CallMedia
    caller: LegControl
    supervisors: dict[LegId, WebRtcLeg] = field(default_factory=dict)
    turns: dict[UserName, asyncio.Lock] = field(default_factory=dict)
    asked: dict[str, TransferId] = field(default_factory=dict)


JoinCaller = Callable[[CallSession, CallMedia], LegControl]
"""Makes the caller's leg, or takes one that is there, and gives it its call."""
Companion = Callable[[LiveCall], CallParticipant]
"""Makes one more participant of a call."""


class Switchboard:
    """The calls of this node. For the loop's thread."""

    def __init__(
        self,
        registry: CallRegistry,
        plane: Plane,
        clock: Clock,
        make_participant: ParticipantFactory | None,
    ) -> None:
        self.registry = registry
        self.plane = plane
        self.plan: DialPlan = EMPTY
        self._clock = clock
        self._make_participant = make_participant
        self._calls: dict[CallId, LiveCall] = {}
        self._companions: list[Companion] = []
        self._directory: dict[SourceHandle, CallMedia] = {}

    def accompany(self, make: Companion) -> None:
        """Each call from now on has this participant beside its agent, and whether it has an agent or not."""
        self._companions.append(make)

    def open(self, arrival: Arrival, join: JoinCaller) -> LiveCall:
        """A call with its caller's leg and, if it has one, its agent; its `StartCall` is on the way.

        Raises: NoCapacityError, NoMediaCapacityError, and what `join` or the making of the agent raises; nothing is
        left then.
        """
        media = CallMedia(self.plane, self._clock, arrival.voice_rate_hz, self._directory)
        agent = None if arrival.choice is None else arrival.choice.agent
        try:
            session = self.registry.open(media, agent=agent)
        except Exception:
            media.close()
            raise
        try:
            media.bind(session)
            live = LiveCall(session, media, join(session, media))
            session.attach_leg(CALLER, live.caller)
            self._join(live, arrival.choice)
        except Exception:
            self.registry.discard(session)
            media.close()
            raise
        self._calls[session.id] = live
        session.post(_start(arrival))
        session.after_close = partial(self._clean_up, live)
        return live

    def _join(self, live: LiveCall, choice: AgentChoice | None) -> None:
        session = live.session
        if self._make_participant is not None and choice is not None:
            session.join(self._make_participant(session, live.media, choice.definition))
        for make in self._companions:
            session.join(make(live))

    def _clean_up(self, live: LiveCall) -> None:
        self._calls.pop(live.session.id, None)
        for leg in live.supervisors.values():
            leg.close("call_ended")
        live.media.close()

    def find(self, call: str) -> LiveCall:
        """Raises: CallGoneError."""
        live = self._calls.get(CallId(call))
        if live is None:
            raise CallGoneError("no such call here")
        return live

    def calls(self) -> Sequence[LiveCall]:
        return tuple(self._calls.values())

    # ------------------------------------------------------------------------------- notices of the plane

    def deliver(self, batch: Sequence[Notice]) -> None:
        """Hands each notice to the call it is about; those about what has just left are dropped."""
        directory = self._directory
        for notice in batch:
            if isinstance(notice, _OF_VOICES):
                media = directory.get(notice.voice)
            elif isinstance(notice, Levels):
                self._levels(notice)
                continue
            else:
                media = directory.get(notice.slot)
            if media is not None:
                media.notice(notice)

    def _levels(self, levels: Levels) -> None:
        """One message for all calls of the node, in whole decibels."""
        calls: dict[str, dict[str, int]] = {}
        of_slot = self._directory.get
        heard = levels.received_dbfs.astype(int).tolist()
        sent = levels.sent_dbfs.astype(int).tolist()
        for slot, received, played in zip(levels.slots.tolist(), heard, sent, strict=True):
            media = of_slot(slot)
            if media is not None:
                media.note_levels(calls, slot, received, played)
        if calls:
            self.registry.publish("level", {"calls": calls})


def _start(arrival: Arrival) -> StartCall:
    choice = arrival.choice
    return StartCall(
        direction=arrival.direction,
        transport=arrival.transport,
        called=arrival.called,
        caller=arrival.caller,
        agent=None if choice is None else AgentRef(choice.agent, choice.version),
        variables=arrival.variables,
        persons_first=arrival.persons_first,
    )
