"""Phones: SIP events in, calls out. Synchronous up to the first reply; no await between INVITE and answer."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import assert_never

from telephony.call.errors import CallError
from telephony.dialplan import Agent, AgentChoice, RouteFacts
from telephony.gateway.caller import CallerFacts, caller_facts
from telephony.gateway.switchboard import Arrival, Switchboard
from telephony.legs.sip_leg import SipLeg, UnacceptableOfferError, Wire, reserve
from telephony.media.commands import Remove
from telephony.media.errors import MediaError
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    InviteAcked,
    OptionsAnswered,
    Provisional,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    SipEvent,
    Terminated,
)
from telephony.sip.session import IncomingSession

log = logging.getLogger(__name__)

PHONE_VOICE_HZ = 8000


class PhoneGateway:
    """`address`: what our SDP names as ours. `counters`: calls taken and refused, by reason."""

    def __init__(self, board: Switchboard, wire: Wire, *, address: str) -> None:
        self.counters: Counter[str] = Counter()
        self._board = board
        self._wire = wire
        self._address = address
        self._legs: dict[object, SipLeg] = {}

    def handle(self, event: SipEvent) -> None:
        """One event of the engine."""
        if isinstance(event, IncomingInvite):
            self._invited(event.session, event.sdp)
            return
        if isinstance(event, OptionsAnswered):
            return
        leg = self._legs.get(event.session)
        if leg is None:
            self.counters["no_leg"] += 1
            return
        match event:
            case InviteAcked(sdp=sdp):
                leg.acked(sdp)
            case ReinviteReceived(sdp=sdp):
                leg.reinvited(sdp)
            case ReinviteAcked(sdp=sdp):
                leg.reinvite_acked(sdp)
            case Terminated(session=session, cause=cause):
                del self._legs[session]
                leg.terminated(cause)
            case ReinviteAnswered() | ReinviteRejected() | Provisional() | Answered():
                self.counters["unexpected"] += 1  # this node invites nobody yet
            case _:
                assert_never(event)

    # ------------------------------------------------------------------------------- INVITE

    def _invited(self, session: IncomingSession, sdp: bytes | None) -> None:
        refusal = self._board.registry.refusal()
        if refusal is not None:
            self._refuse(session, refusal.status, refusal.reason, refusal.retry_after_s)
            return
        facts = caller_facts(session.request)
        called, choice = self._choose(facts)
        if choice is None:
            self._refuse(session, 404, "unknown_number")
            return
        self._take(session, sdp, facts, called, choice)

    def _choose(self, facts: CallerFacts) -> tuple[str, AgentChoice | None]:
        decision = self._board.plan.decide(
            RouteFacts(called=facts.called, at=datetime.now(UTC), headers=facts.variables)
        )
        return decision.number, decision.choice if isinstance(decision, Agent) else None

    def _take(
        self,
        session: IncomingSession,
        sdp: bytes | None,
        facts: CallerFacts,
        called: str,
        choice: AgentChoice,
    ) -> None:
        try:
            place, agreed = reserve(self._board.plane, self._address, sdp, session.flow.remote[0])
        except UnacceptableOfferError as refused:
            self._refuse(session, 488, "unacceptable_offer", warning=refused.warning)
            return
        except MediaError as error:
            self._refuse(session, error.sip_status, error.metric, 10)
            return
        leg = SipLeg(session, self._wire, self._board.plane, place, agreed)
        arrival = Arrival(
            transport="sip",
            called=called,
            caller=facts.caller,
            choice=choice,
            voice_rate_hz=PHONE_VOICE_HZ,
            variables=facts.variables,
        )
        try:
            live = self._board.open(arrival, leg, leg.bind)
        except (CallError, MediaError) as error:
            self._board.plane.apply(Remove(place.slot))
            self._refuse(session, error.sip_status, error.metric, 10)
            return
        self._legs[session] = leg
        self.counters["taken"] += 1
        log.info("call_taken", extra={"call_id": live.session.id, "transport": "sip"})

    def _refuse(
        self,
        session: IncomingSession,
        status: int,
        reason: str,
        retry_after: int | None = None,
        *,
        warning: str = "",
    ) -> None:
        headers = [("Retry-After", str(retry_after))] if retry_after else []
        headers += [("Warning", warning)] if warning else []
        self.counters[reason] += 1
        log.info("call_refused", extra={"status": status, "reason": reason})
        session.reject(status, self._wire.now(), headers=headers)
        self._wire.flush()
