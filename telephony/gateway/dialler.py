"""What may be dialled, by which trunk and as whom: rules and limits judged at once, then `LegDialling` does it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from telephony.call.ports import Scheduler
from telephony.call.timers import TimerSet
from telephony.dialplan import DialPlan
from telephony.gateway.dial_order import DialListener, DialOrder, DialRefusedError
from telephony.gateway.dialling import Attempt, DialParts, Inviter, LegDialling
from telephony.gateway.phones import Phones
from telephony.gateway.sessions import Sessions
from telephony.gateway.trunk_address import (
    Identity,
    caller_uri,
    credentials_of,
    identity_headers,
    public_uri,
    shown_uri,
    target_uri,
)
from telephony.gateway.trunk_room import TrunkRooms
from telephony.gateway.trunk_watch import TrunkWatch, Way
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.plane_port import Plane
from telephony.legs.sip_leg import Wire
from telephony.legs.sip_media import Addresses
from telephony.outbound_rules import Allowed, Counters, Denied, OrderFacts, Usage, judge
from telephony.outbound_usage import UsageBook
from telephony.sip.session import Cause, EndKind, InviteOptions
from telephony.trunks import Trunk

log = logging.getLogger(__name__)

NEXT_HOST_S: Final = 4.0
"""A host that has said nothing at all by then is left for the next one, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiallerParts:
    """What the dialler works with. `plan`: the one in force, asked for each order."""

    plan: Callable[[], DialPlan]
    invite: Inviter
    wire: Wire
    plane: Plane
    scheduler: Scheduler
    spawn: Callable[[str, Coroutine[Any, Any, None]], None]
    sessions: Sessions
    watch: TrunkWatch
    rooms: TrunkRooms
    book: UsageBook
    phones: Phones
    identity: Identity
    addresses: Addresses


class Dialler:
    """`Dial` of `telephony.gateway.dial_order`. `counters`: orders, refusals and outcomes, by short words."""

    def __init__(self, parts: DiallerParts) -> None:
        self.counters: Counter[str] = Counter()
        self._parts = parts
        self._numbers = count(1)

    def dial(self, order: DialOrder, listener: DialListener) -> LegDialling:
        """Reaches the destination; the listener hears from the next turn of the loop on.

        The caller attaches `Dialling.leg` to the call. Raises: DialRefusedError, NoMediaCapacityError.
        """
        work, allowed = self._judged(order)
        parts = self._parts
        leg = DialledLeg(order.leg, parts.wire, parts.plane, parts.addresses)
        leg.bind(order.call, order.media)
        work.began(allowed)
        self.counters["dialled"] += 1
        dialling = LegDialling(
            DialParts(
                parts.invite, parts.wire, parts.sessions, TimerSet(parts.scheduler), ledger=work
            ),
            leg,
            listener,
            work.attempts(allowed),
            order.ring_s,
        )
        parts.spawn("dial", self._begin(work, allowed, dialling))
        return dialling

    def check(self, order: DialOrder) -> None:
        """What `dial` would be refused for, if it were asked now; not counted. Raises: DialRefusedError."""
        _Order(self._parts, self.counters, order, 0).allowed()

    def refer_uri(self, order: DialOrder) -> str:
        """What the other side of a trunk is to call for us (RFC 3515): judged, and one of today's calls, like our own.

        Raises: DialRefusedError.
        """
        work, allowed = self._judged(order)
        trunk = self._parts.plan().trunks.get(allowed.trunk)
        if trunk is None:
            raise DialRefusedError("no_trunk", "A phone of ours is not reached by way of a trunk.")
        work.referred(allowed)
        return public_uri(allowed.dialled, trunk.hosts[0])

    def _judged(self, order: DialOrder) -> tuple[_Order, Allowed]:
        work = _Order(self._parts, self.counters, order, next(self._numbers))
        try:
            return work, work.allowed()
        except DialRefusedError as refused:
            self.counters[refused.reason] += 1
            log.info(
                "dial_refused",
                extra={"call_id": order.call.id, "reason": refused.reason, "agent": order.agent},
            )
            raise

    async def _begin(self, work: _Order, allowed: Allowed, dialling: LegDialling) -> None:
        await work.looked_up(allowed)
        dialling.begin()


class _Order:
    """One order: its attempts, and what is counted for it (`Ledger`)."""

    def __init__(
        self, parts: DiallerParts, counters: Counter[str], order: DialOrder, number: int
    ) -> None:
        self._parts = parts
        self._counters = counters
        self._order = order
        self._key = f"{order.call.id}/{order.leg}/{number}"
        self._plan = parts.plan()
        self._tried: frozenset[str] = frozenset()
        self._taken = ""
        self._attempt: Attempt | None = None

    # ------------------------------------------------------------------------------- rules

    def allowed(self) -> Allowed:
        """Raises: DialRefusedError."""
        verdict = self.judge()
        if isinstance(verdict, Denied):
            raise DialRefusedError(verdict.reason, verdict.user_message)
        return verdict

    def judge(self) -> Allowed | Denied:
        """The rules' word, and the trunk's room."""
        order, parts = self._order, self._parts
        facts = OrderFacts(
            destination=order.destination,
            at=self._at,
            agent=order.agent,
            trunk=order.trunk or "",
            caller_id=order.caller_id or "",
            purpose=order.purpose,
            tried=self._tried,
        )
        verdict = judge(facts, self._plan.outbound, self._usage())
        if isinstance(verdict, Denied):
            return verdict
        if verdict.extension:
            known = parts.phones.ways(verdict.extension, parts.wire.now())
            return verdict if known else Denied("not_registered", "This phone is not connected.")
        refusal = parts.rooms.refusal(self._plan.trunks[verdict.trunk], parts.wire.now())
        if refusal is None:
            return verdict
        return Denied(
            refusal.reason, "All calls that the trunk takes are in use; try again in a minute."
        )

    def _usage(self) -> Counters:
        """The book's counters; calls that came in by a trunk use its places as well."""
        parts = self._parts
        counters = parts.book.counters(parts.wire.now(), self._at, parts.watch.down)
        trunks = {
            name: replace(counters.trunks.get(name, Usage()), calls=parts.rooms.calls(name))
            for name in self._plan.trunks
        }
        return replace(counters, trunks=trunks)

    @property
    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._parts.scheduler.wall_us() / 1_000_000, UTC)

    def began(self, allowed: Allowed) -> None:
        """The places of this order are taken; another trunk later takes places of its own."""
        self._give_back()
        if not allowed.trunk:
            return
        parts = self._parts
        now = parts.wire.now()
        parts.rooms.take(self._plan.trunks[allowed.trunk], now)
        parts.book.began(self._key, allowed.trunk, self._order.agent, now, self._at)
        self._taken = allowed.trunk

    def referred(self, allowed: Allowed) -> None:
        """The trunk makes the call: it takes no place of ours, but is one more of today's."""
        parts = self._parts
        parts.book.referred(allowed.trunk, self._order.agent, parts.wire.now(), self._at)

    def _give_back(self) -> None:
        if self._taken:
            self._parts.rooms.release(self._taken)
            self._parts.book.ended(self._key, self._parts.wire.now())
        self._taken = ""

    # ------------------------------------------------------------------------------- attempts

    async def looked_up(self, allowed: Allowed) -> None:
        """A trunk that has just been set up is not looked up yet: wait for it."""
        if allowed.trunk and not self._parts.watch.ways(allowed.trunk):
            await self._parts.watch.looked_up(allowed.trunk)

    def attempts(self, allowed: Allowed) -> Iterator[Attempt]:
        """All ways of the first trunk, then of the others that the rules allow."""
        if allowed.extension:
            yield from self._to_phone(allowed.extension)
            return
        while True:
            yield from self._by_trunk(allowed)
            if self._order.trunk:
                return
            self._tried |= {allowed.trunk}
            self._give_back()  # the place it had is not in its own way
            verdict = self.judge()
            if isinstance(verdict, Denied):
                return
            allowed = verdict
            self.began(allowed)

    def _by_trunk(self, allowed: Allowed) -> Iterator[Attempt]:
        trunk = self._plan.trunks[allowed.trunk]
        ways = self._parts.watch.ways(trunk.name)
        others = not self._order.trunk and len(self._plan.trunks) > 1
        for place, way in enumerate(ways):
            last = place == len(ways) - 1 and not others
            yield self._attempt_of(trunk, way, allowed, None if last else NEXT_HOST_S)

    def _attempt_of(
        self, trunk: Trunk, way: Way, allowed: Allowed, reply_s: float | None
    ) -> Attempt:
        identity = self._parts.identity.towards(way.flow.remote[0])
        caller = caller_uri(allowed.caller_id, way.host, identity, trunk)
        from_, headers = identity_headers(caller, trunk, self._order.headers)
        return Attempt(
            trunk=trunk,
            target=target_uri(allowed.dialled, way.host, trunk),
            from_=from_,
            to=f"<{public_uri(allowed.dialled, way.host)}>",
            headers=headers,
            flow=way.flow,
            options=InviteOptions(
                credentials=credentials_of(trunk),
                routes=self._parts.watch.service_route(trunk.name),
                replaces=self._order.replaces,
                session_expires=trunk.session_expires_s,
                reply_s=reply_s,
            ),
        )

    def _to_phone(self, extension: str) -> Iterator[Attempt]:
        """The registration heard of last; another one only if nothing answers there."""
        for way in self._parts.phones.ways(extension, self._parts.wire.now()):
            identity = self._parts.identity.towards(way.flow.remote[0])
            yield Attempt(
                trunk=None,
                phone=self._plan.extensions[extension],
                target=way.contact,
                from_=shown_uri(self._order.shown, identity),
                to=f"<sip:{extension}@{identity.host_port}>",
                headers=self._order.headers,
                flow=way.flow,
                options=InviteOptions(
                    routes=way.path, replaces=self._order.replaces, reply_s=NEXT_HOST_S
                ),
            )

    # ------------------------------------------------------------------------------- Ledger

    def attempted(self, attempt: Attempt) -> None:
        self._attempt = attempt
        if attempt.trunk is not None:
            self._parts.rooms.count(attempt.trunk.name, "dialled")

    def refused(self, attempt: Attempt, cause: Cause) -> None:
        word = f"failed_{cause.status or cause.kind.name.lower()}"
        self._counters[word] += 1
        if attempt.trunk is None:
            return
        self._parts.rooms.count(attempt.trunk.name, word)
        if cause.kind in {EndKind.TIMEOUT, EndKind.TRANSPORT}:
            status = 408 if cause.kind is EndKind.TIMEOUT else 503
            self._parts.watch.failed(attempt.trunk.name, attempt.flow, status)

    def answered(self) -> None:
        self._counters["answered"] += 1
        if self._taken:
            self._parts.rooms.count(self._taken, "answered")
            self._parts.book.answered(self._key, self._parts.wire.now())

    def over(self) -> None:
        self._give_back()
