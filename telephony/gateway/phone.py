"""Phones: SIP events in, calls out. Synchronous up to the first reply; no await between INVITE and answer.

An INVITE passes, in this order and each before anything is allocated for the next: whom it comes from, the room of the
node, the room of its trunk, the dial plan, the room of the agents, its SDP. One that is refused leaves nothing.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, assert_never

from telephony.admission import Refusal
from telephony.call.errors import CallError
from telephony.call.ids import UserName
from telephony.call.ports import Scheduler
from telephony.dialplan import (
    Agent,
    Decision,
    DialPlan,
    Forward,
    Person,
    Queue,
    Refuse,
    RouteFacts,
    RouteLoad,
)
from telephony.gateway.caller import CallerFacts, caller_facts
from telephony.gateway.origins import Origin, Origins
from telephony.gateway.phones import Phones
from telephony.gateway.replacement import Replacements
from telephony.gateway.ringing import Ringing, RingOrder
from telephony.gateway.sessions import SessionEvent, Sessions
from telephony.gateway.switchboard import Arrival, Switchboard
from telephony.gateway.tally import Tally
from telephony.gateway.transfer import Transfers
from telephony.gateway.trunk_address import credentials_of
from telephony.gateway.trunk_room import TrunkRooms
from telephony.gateway.trunk_watch import TrunkWatch
from telephony.legs.incoming_leg import IncomingLeg
from telephony.legs.sip_leg import Wire
from telephony.legs.sip_media import Addresses, UnacceptableOfferError, policy_of, reserve
from telephony.media.commands import Remove
from telephony.media.errors import MediaError
from telephony.media.parameters import MediaCodec
from telephony.route_rules import UNAVAILABLE
from telephony.sip.events import (
    IncomingInvite,
    OptionsAnswered,
    RegisterReceived,
    RegistrationChanged,
    SipEvent,
    Terminated,
)
from telephony.sip.message import HeaderPair
from telephony.sip.session import IncomingSession
from telephony.trunks import Trunk

log = logging.getLogger(__name__)

NARROW_HZ: Final = 8000
BUSY_RETRY_S: Final = 10
_NO_AGENT_LOAD: Final = RouteLoad(node_calls=sys.maxsize)
"""A node without a free agent is beyond every load that a rule names, so that the next rule decides: the overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneParts:
    """What the door works with. `addresses`: what our SDP names as ours, where a trunk does not say otherwise."""

    board: Switchboard
    wire: Wire
    scheduler: Scheduler
    origins: Origins
    rooms: TrunkRooms
    watch: TrunkWatch
    phones: Phones
    sessions: Sessions
    addresses: Addresses
    transfers: Transfers
    replacements: Replacements


@dataclass(frozen=True, slots=True)
class _Invited:
    """An INVITE on its way through the door."""

    session: IncomingSession
    sdp: bytes | None
    origin: Origin
    facts: CallerFacts

    @property
    def trunk(self) -> str:
        return self.origin.trunk.name if self.origin.trunk is not None else ""


class PhoneGateway:
    """`counters`: calls taken and refused, by reason."""

    def __init__(self, parts: PhoneParts) -> None:
        self.counters: Counter[str] = Counter()
        self._parts = parts
        self._board = parts.board
        self._refusals = Tally(parts.scheduler, "calls_refused")

    def close(self) -> None:
        """The node stops."""
        self._refusals.close()

    def handle(self, event: SipEvent) -> None:
        """One event of the engine."""
        match event:
            case IncomingInvite(session=session, sdp=sdp):
                if event.replaces is None or not self._replaces(event):
                    self._invited(session, sdp)
            case OptionsAnswered() | RegistrationChanged():
                self._parts.watch.handle(event)
            case RegisterReceived():
                self._parts.phones.handle(event)
            case _:
                handler = self._parts.sessions.get(event.session)
                if handler is not None:
                    handler(event)
                elif not isinstance(event, Terminated):  # the end of a call that was refused
                    self.counters["no_leg"] += 1

    # ------------------------------------------------------------------------------- INVITE

    def _replaces(self, event: IncomingInvite) -> bool:
        """A phone takes the place of one that is on a call; True if it was answered."""
        session, parts = event.session, self._parts
        origin = parts.origins.of(session.flow, session.username)
        if origin is None:
            return False
        try:
            ours = parts.addresses.towards(session.flow.remote[0])
            policy = policy_of(origin.trunk, ours, secure=session.flow.secure)
        except UnacceptableOfferError:
            return False  # told below like any other call
        return parts.replacements.take_over(event, policy)

    def _invited(self, session: IncomingSession, sdp: bytes | None) -> None:
        origin = self._parts.origins.of(session.flow, session.username)
        if origin is None:
            self._refuse(session, "", Refusal("trunk_mismatch", 0, 403))
            return
        trunk = origin.trunk
        refusal = self._board.registry.refusal(agent=False) or self._trunk_refusal(trunk)
        if refusal is not None:
            self._refuse(session, trunk.name if trunk else "", refusal)
            return
        taken = False
        try:
            invited = _Invited(session, sdp, origin, _facts(session, origin))
            self.counters.update(invited.facts.oddities)
            taken = self._decided(invited)
        finally:  # also after a fault of ours, or the trunk would be full one day
            if not taken and trunk is not None:
                self._parts.rooms.release(trunk.name)

    def _trunk_refusal(self, trunk: Trunk | None) -> Refusal | None:
        """Takes the place of the call among those of its trunk."""
        return None if trunk is None else self._parts.rooms.take(trunk, self._parts.wire.now())

    def _decided(self, invited: _Invited) -> bool:
        """True if a call was made of it."""
        decision = self._decide(invited, self._load())
        if isinstance(decision, Agent) and (full := self._board.registry.refusal()) is not None:
            decision = self._decide(invited, _NO_AGENT_LOAD)
            if isinstance(decision, Agent):
                self._refuse(invited.session, invited.trunk, full)
                return False
        if isinstance(decision, Refuse):
            refusal = Refusal(_word(decision), decision.retry_after_s or 0, decision.status)
            self._refuse(invited.session, invited.trunk, refusal)
            return False
        return self._take(invited, decision)

    def _decide(self, invited: _Invited, load: RouteLoad) -> Decision:
        facts = RouteFacts(
            called=invited.facts.called,
            at=datetime.fromtimestamp(self._parts.scheduler.wall_us() / 1_000_000, UTC),
            trunk=invited.trunk,
            headers=invited.facts.headers,
            load=load,
        )
        decision = self._board.plan.decide(facts)
        if invited.origin.extension is None or not isinstance(decision, Refuse):
            return decision
        return self._from_extension(invited, decision)

    def _from_extension(self, invited: _Invited, refused: Refuse) -> Decision:
        """A phone of ours calls another, or out, as far as the outbound rules let it."""
        called = invited.facts.called[0] if invited.facts.called else ""
        if refused.status != 404 or not called:
            return refused
        if called in self._board.plan.extensions:
            return Person(extension=called, number=called, rule="extension")
        return Forward(trunk="", destination=called, number=called, rule="call out")

    def _load(self) -> RouteLoad:
        registry = self._board.registry
        return RouteLoad(node_calls=len(registry), agent_calls=registry.agents)

    # ------------------------------------------------------------------------------- a call

    def _take(self, invited: _Invited, decision: Agent | Person | Queue | Forward) -> bool:
        session, parts = invited.session, self._parts
        credentials = credentials_of(invited.origin.trunk) if invited.origin.trunk else None
        if credentials is not None:
            session.use_credentials(credentials)
        try:
            policy = policy_of(
                invited.origin.trunk,
                parts.addresses.towards(session.flow.remote[0]),
                secure=session.flow.secure,
                phone=invited.origin.extension,
            )
            place, agreed = reserve(parts.board.plane, policy, invited.sdp, session.flow.remote[0])
        except UnacceptableOfferError as refused:
            warning = (("Warning", refused.warning),)
            refusal = Refusal("unacceptable_offer", 0, 488)
            self._refuse(session, invited.trunk, refusal, headers=warning)
            return False
        except MediaError as error:
            self._refuse(session, invited.trunk, _busy(error))
            return False
        leg = IncomingLeg(session, parts.wire, parts.board.plane, place, agreed)
        rate_hz = NARROW_HZ if agreed is None else MediaCodec(agreed.codec.name).rate_hz
        try:
            live = self._board.open(_arrival(invited, decision, rate_hz), leg.bind)
        except (CallError, MediaError) as error:
            self._board.plane.apply(Remove(place.slot))
            self._refuse(session, invited.trunk, _busy(error))
            return False
        parts.sessions[session] = partial(self._of_call, leg, invited.trunk)
        self.counters["taken"] += 1
        parts.rooms.count(invited.trunk, "taken")
        log.info(
            "call_taken",
            extra={"call_id": live.session.id, "transport": "sip", "trunk": invited.trunk},
        )
        if not isinstance(decision, Agent):
            _refuse_in_the_end(leg, decision.overflow)
            parts.transfers.ring(live, self._ringing(invited, decision))
        return True

    def _ringing(self, invited: _Invited, decision: Person | Queue | Forward) -> Ringing:
        """Whom the plan's decision rings, and for how long."""
        plan, ring_s = self._board.plan, float(decision.ring_s)
        match decision:
            case Person(extension=extension):
                orders: tuple[RingOrder, ...] = (_phone(extension, plan),)
                return Ringing(name=extension, orders=orders, ring_s=ring_s)
            case Queue(name=name, persons=persons):
                return Ringing(
                    name=name,
                    orders=tuple(_phone(person, plan) for person in persons),
                    ring_s=ring_s,
                    one_by_one=True,
                    answer_first=True,
                )
            case Forward(trunk=trunk, destination=destination):
                diverted = (
                    f"<sip:{decision.number}@{self._parts.addresses.host}>;reason=unconditional"
                )
                return Ringing(
                    name=decision.number,
                    orders=(RingOrder(destination, trunk or None),),
                    ring_s=ring_s,
                    passed=(("Diversion", diverted), *invited.facts.passed),
                )
            case _:
                assert_never(decision)

    def _of_call(self, leg: IncomingLeg, trunk: str, event: SessionEvent) -> None:
        """What happens on the session of a call that came in."""
        if isinstance(event, Terminated):
            del self._parts.sessions[event.session]
            self._parts.rooms.release(trunk)
        leg.handle(event)

    # ------------------------------------------------------------------------------- refusals

    def _refuse(
        self,
        session: IncomingSession,
        trunk: str,
        refusal: Refusal,
        *,
        headers: tuple[HeaderPair, ...] = (),
    ) -> None:
        retry = (("Retry-After", str(refusal.retry_after_s)),) if refusal.retry_after_s else ()
        self.counters[refusal.reason] += 1
        self._refusals.add(trunk, refusal.reason)
        if trunk:
            self._parts.rooms.count(trunk, f"refused_{refusal.status}")
        session.reject(refusal.status, self._parts.wire.now(), headers=(*retry, *headers))
        self._parts.wire.flush()


def _facts(session: IncomingSession, origin: Origin) -> CallerFacts:
    """A phone of ours is who it proved to be, whatever its From says."""
    facts = caller_facts(session.request, origin.trunk)
    if origin.extension is None or not facts.caller:
        return facts
    return replace(facts, caller=origin.extension.name)


def _word(refused: Refuse) -> str:
    return {404: "unknown_number", 480: "no_rule_applies"}.get(refused.status, "refused_by_rule")


def _refuse_in_the_end(leg: IncomingLeg, overflow: Agent | Refuse) -> None:
    """As the rule says; where it says no more than 480, the caller is told why nobody took it (busy, declined)."""
    if isinstance(overflow, Refuse) and overflow.status != UNAVAILABLE:
        leg.refuse_with(overflow.status, overflow.retry_after_s)


def _busy(error: CallError | MediaError) -> Refusal:
    return Refusal(error.metric, BUSY_RETRY_S, error.sip_status)


def _arrival(
    invited: _Invited, decision: Agent | Person | Queue | Forward, rate_hz: int
) -> Arrival:
    answers = decision if isinstance(decision, Agent) else decision.overflow
    return Arrival(
        transport="sip",
        called=decision.number,
        caller=invited.facts.caller,
        choice=answers.choice if isinstance(answers, Agent) else None,
        voice_rate_hz=rate_hz,
        variables=invited.facts.variables,
        persons_first=not isinstance(decision, Agent),
    )


def _phone(extension: str, plan: DialPlan) -> RingOrder:
    known = plan.extensions.get(extension)
    person = UserName(known.person) if known is not None and known.person else None
    return RingOrder(extension, who=person)
