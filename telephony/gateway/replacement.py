"""INVITE with Replaces (RFC 3891): another phone takes the place of one that is on a call; the call goes on unchanged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from telephony.call.commands import AddLeg
from telephony.call.errors import CallError
from telephony.call.ids import LegId
from telephony.gateway.sessions import SessionEvent, Sessions
from telephony.gateway.switchboard import LiveCall, Switchboard
from telephony.gateway.transfer import Transfers
from telephony.legs.incoming_leg import IncomingLeg
from telephony.legs.sip_leg import Wire
from telephony.legs.sip_media import LegPolicy, UnacceptableOfferError, reserve
from telephony.media.errors import MediaError
from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.message import HeaderPair
from telephony.sip.session import Session

log = logging.getLogger(__name__)

_UNACCEPTABLE: Final = 488
_BUSY: Final = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementParts:
    """What the door works with."""

    board: Switchboard
    transfers: Transfers
    wire: Wire
    sessions: Sessions
    new_id: Callable[[], str]


class Replacements:
    """Who may replace whom was judged before: the dialog's names are known to its own parties only."""

    def __init__(self, parts: ReplacementParts) -> None:
        self._parts = parts

    def take_over(self, event: IncomingInvite, policy: LegPolicy) -> bool:
        """The phone of the INVITE takes the place of `event.replaces`; False: that one is on no call of ours.

        Every outcome is answered here, unless False is returned.
        """
        found = self._find(event.replaces)
        if found is None:
            return False
        live, replaced = found
        session, plane = event.session, self._parts.board.plane
        try:
            place, agreed = reserve(plane, policy, event.sdp, session.flow.remote[0])
        except UnacceptableOfferError as refused:
            self._refuse(event, _UNACCEPTABLE, (("Warning", refused.warning),))
            return True
        except MediaError:
            self._refuse(event, _BUSY)
            return True
        name = LegId(f"taken-{self._parts.new_id()}")
        leg = IncomingLeg(session, self._parts.wire, plane, place, agreed, name)
        leg.bind(live.session, live.media)
        self._parts.sessions[session] = lambda told: self._told(leg, told)
        live.session.spawn("replace", self._join(live, leg, replaced))
        return True

    async def _join(self, live: LiveCall, leg: IncomingLeg, replaced: LegId) -> None:
        """Joined first and answered then, so that nobody is answered into a call that is over."""
        call = live.session
        call.attach_leg(leg.id, leg)
        add = AddLeg(actor="sip", leg=leg.id, role="target", transport="sip", replaces=replaced)
        joined = False
        try:
            await call.submit(add)
            joined = True
        except CallError as error:
            log.info("replace_refused", extra={"call_id": call.id, "reason": error.metric})
            return
        finally:  # also where the call ends at this moment, and this task with it
            if not joined:
                leg.close("unavailable")
        self._parts.transfers.of(live).adopt(leg)
        log.info("leg_replaced", extra={"call_id": call.id, "leg": replaced})
        leg.answer()

    def _find(self, replaced: Session | None) -> tuple[LiveCall, LegId] | None:
        for live in self._parts.board.calls():
            for name, leg in self._parts.transfers.legs_of(live).items():
                if leg.session is replaced:
                    return live, name
        return None

    def _told(self, leg: IncomingLeg, event: SessionEvent) -> None:
        if isinstance(event, Terminated):
            del self._parts.sessions[event.session]
        leg.handle(event)

    def _refuse(
        self, event: IncomingInvite, status: int, headers: tuple[HeaderPair, ...] = ()
    ) -> None:
        event.session.reject(status, self._parts.wire.now(), headers=headers)
        self._parts.wire.flush()
