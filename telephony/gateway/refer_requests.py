"""REFERs of phones: judged, made requests of the call, and answered by NOTIFY as the transfer goes on.

Denied unless the phone is one of ours or its trunk allows it; where it may lead is for the outbound rules, as with any
call of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from telephony.call.commands import RequestTransfer
from telephony.call.errors import CallError
from telephony.call.ids import CALLER, TransferId
from telephony.call.session import CallSession
from telephony.call.state import Transfer
from telephony.call.transfer_events import TransferEnded
from telephony.dialplan import DialPlan
from telephony.legs.sip_leg import SipLeg, Wire
from telephony.sip.errors import SipError, reason_phrase
from telephony.sip.events import ReferReceived
from telephony.sip.session import Replaces
from telephony.sip.uri import parse_uri

log = logging.getLogger(__name__)

_FORBIDDEN: Final = 403
_RINGING: Final = 180
_OK: Final = 200
_STATUS: Final = {"declined": 603, "timeout": 480, "refused": 403, "cancelled": 487}
_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class ReferRequest:
    """A phone asks us to call somebody."""

    leg: SipLeg
    event: ReferReceived


class ReferRequests:
    """Those of one call; of several at once the call takes one."""

    def __init__(
        self,
        session: CallSession,
        plan: Callable[[], DialPlan],
        wire: Wire,
        new_id: Callable[[], str],
    ) -> None:
        self._session = session
        self._plan = plan
        self._wire = wire
        self._new_id = new_id
        self._under_way: dict[TransferId, ReferRequest] = {}

    def replaces_of(self, transfer: TransferId) -> Replaces | None:
        """The dialog that the target's phone is to give up for the call: of an attended transfer by a phone."""
        request = self._under_way.get(transfer)
        return None if request is None else request.event.refer.replaces

    def received(self, request: ReferRequest) -> None:
        """Answered at once if it is denied; else by what the call decides."""
        if not self._may(request.leg):
            log.info("refer_denied", extra={"call_id": self._session.id, "leg": request.leg.id})
            self._refuse(request, _FORBIDDEN)
        else:
            self._session.spawn("refer", self._ask(request))

    def _may(self, leg: SipLeg) -> bool:
        if leg.trunk:
            trunk = self._plan().trunks.get(leg.trunk)
            return trunk is not None and trunk.allow_refer_in
        if leg.direction == "outbound":  # a phone that is registered here
            return True
        return leg.username is not None and leg.username in self._plan().extensions

    async def _ask(self, request: ReferRequest) -> None:
        leg, transfer = request.leg, TransferId(self._new_id())
        destination = _destination(request.event.refer.target)
        self._under_way[transfer] = request
        command = RequestTransfer(
            actor="sip",
            transfer=transfer,
            mode="blind",
            method="bridge",
            by="caller" if leg.id == CALLER else "target",
            destination=destination,
            leg=leg.id,
        )
        try:
            if not destination:
                raise SipError
            request.event.session.accept_refer(self._wire.now())
            self._wire.flush()
            await self._session.submit(command)
        except SipError:
            del self._under_way[transfer]
            self._refuse(request, 400)
        except CallError as error:
            del self._under_way[transfer]
            self._notify(request, error.sip_status)

    def progressed(self, transfer: Transfer) -> None:
        request = self._under_way.get(transfer.id)
        if request is not None:
            self._notify(request, _RINGING)

    def ended(self, ended: TransferEnded) -> None:
        request = self._under_way.pop(ended.transfer, None)
        if request is None:
            return
        answered = ended.outcome == "answered"
        status = _OK if answered else ended.status or _STATUS.get(ended.outcome, 503)
        self._notify(request, status)

    def _notify(self, request: ReferRequest, status: int) -> None:
        try:
            request.event.session.notify_refer(status, reason_phrase(status), self._wire.now())
        except SipError:
            return  # they have hung up: nobody waits for it
        self._wire.flush()

    def _refuse(self, request: ReferRequest, status: int) -> None:
        try:
            request.event.session.reject_refer(status, self._wire.now())
        except SipError:
            return
        self._wire.flush()


def _destination(target: str) -> str:
    """A number or an extension if the URI names one, else the URI; empty if it is none of these."""
    try:
        uri = parse_uri(target)
        number = uri.number
    except SipError:
        return ""
    if uri.scheme not in ("sip", "sips", "tel"):
        return ""
    plain = number.replace("+", "").replace("-", "")
    return number if plain.isalnum() and len(number) <= _LONGEST else target[:_LONGEST]
