"""Makes calls of legs and agents, and keeps what belongs together: session, audio, legs of supervisors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from telephony.call.commands import StartCall
from telephony.call.errors import CallGoneError
from telephony.call.events import AgentRef, Transport
from telephony.call.ids import CALLER, CallId, LegId, UserName
from telephony.call.ports import Clock, LegControl, ParticipantFactory
from telephony.call.registry import CallRegistry
from telephony.call.session import CallSession
from telephony.dialplan import EMPTY, AgentChoice, DialPlan
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.media.handles import SourceHandle
from telephony.media.notices import Levels, Notice, PlayoutProgress, PlayoutRefused

log = logging.getLogger(__name__)

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A caller at the door: who calls what, and the agent that shall answer."""

    transport: Transport
    called: str
    caller: str
    choice: AgentChoice
    voice_rate_hz: int
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class LiveCall:
    """A call in progress and what hangs on it. `turns`: one person's joining and leaving, one after the other."""

    session: CallSession
    media: CallMedia
    caller: LegControl
    supervisors: dict[LegId, WebRtcLeg] = field(default_factory=dict)
    turns: dict[UserName, asyncio.Lock] = field(default_factory=dict)


class Switchboard:
    """The calls of this node. For the loop's thread."""

    def __init__(
        self,
        registry: CallRegistry,
        plane: Plane,
        clock: Clock,
        spawn: Spawn,
        make_participant: ParticipantFactory | None,
    ) -> None:
        self.registry = registry
        self.plane = plane
        self.plan: DialPlan = EMPTY
        self._clock = clock
        self._spawn = spawn
        self._make_participant = make_participant
        self._calls: dict[CallId, LiveCall] = {}

    def open(
        self,
        arrival: Arrival,
        caller: LegControl,
        bind: Callable[[CallSession, CallMedia], None],
    ) -> LiveCall:
        """A call with its caller's leg and its agent; its `StartCall` is on the way.

        `bind` gives the leg its call. Raises: NoCapacityError, NoMediaCapacityError; nothing is left then.
        """
        media = CallMedia(self.plane, self._clock, arrival.voice_rate_hz)
        try:
            session = self.registry.open(media)
        except Exception:
            media.close()
            raise
        media.bind(session)
        live = LiveCall(session, media, caller)
        self._calls[session.id] = live
        session.attach_leg(CALLER, caller)
        bind(session, media)
        if self._make_participant is not None:
            session.join(self._make_participant(session, media, arrival.choice.definition))
        session.post(
            StartCall(
                direction="inbound",
                transport=arrival.transport,
                called=arrival.called,
                caller=arrival.caller,
                agent=AgentRef(arrival.choice.agent, arrival.choice.version),
                variables=arrival.variables,
            )
        )
        self._spawn("call_end", self._clean_up(live))
        return live

    async def _clean_up(self, live: LiveCall) -> None:
        await live.session.wait_closed()
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
        handles = self._handles()
        for notice in batch:
            if isinstance(notice, Levels):
                self._levels(notice)
                continue
            if isinstance(notice, PlayoutProgress | PlayoutRefused):
                live = handles.get(notice.voice)
            else:
                live = handles.get(notice.slot)
            if live is not None:
                live.media.notice(notice)

    def _handles(self) -> dict[SourceHandle, LiveCall]:
        found: dict[SourceHandle, LiveCall] = {}
        for live in self._calls.values():
            found[live.media.voice_handle] = live
            for slot in live.media.slots.values():
                found[slot] = live
        return found

    def _levels(self, levels: Levels) -> None:
        heard = dict(zip(levels.slots.tolist(), levels.received_dbfs.tolist(), strict=True))
        sent = dict(zip(levels.slots.tolist(), levels.sent_dbfs.tolist(), strict=True))
        for live in self._calls.values():
            slots = live.media.slots
            legs = {leg: round(heard[slot], 1) for leg, slot in slots.items() if slot in heard}
            caller = slots.get(CALLER)
            if caller in sent:
                legs[LegId("agent")] = round(sent[caller], 1)
            if legs:
                live.session.publish("level", {"legs": legs})
