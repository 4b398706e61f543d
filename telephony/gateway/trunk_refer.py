"""Transfers that the caller's own trunk carries out: REFER to the caller's leg, its progress, and what it comes to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from telephony.call.commands import CallCommand, EndCall, EndTransfer, FallBack, ProgressTransfer
from telephony.call.ids import CALLER, LegId, TransferId
from telephony.call.state import CallState, Transfer
from telephony.call.transfer_events import TransferOutcome
from telephony.gateway.dial_order import DialOrder, DialRefusedError
from telephony.gateway.switchboard import LiveCall
from telephony.gateway.transfer_context import refer_to
from telephony.legs.sip_leg import SipLeg, Wire
from telephony.sip.errors import SipError, cause_of_status
from telephony.sip.events import ReferEnded, ReferProgress
from telephony.sip.session import ReferOutcome

log = logging.getLogger(__name__)

_RINGING: Final = 180


class TrunkRefer:
    """Of one call. `legs`: the phones on it; `refer_uri`: judges a destination and spells it for the trunk."""

    def __init__(
        self,
        live: LiveCall,
        legs: Mapping[LegId, SipLeg],
        refer_uri: Callable[[DialOrder], str],
        wire: Wire,
        new_id: Callable[[], str],
    ) -> None:
        self._live = live
        self._legs = legs
        self._refer_uri = refer_uri
        self._wire = wire
        self._new_id = new_id
        self._asked: TransferId | None = None

    def ask(self, state: CallState, transfer: Transfer) -> None:
        """The trunk is asked to call the target. What may not be dialled is refused; what cannot be asked is bridged."""
        caller = self._legs.get(CALLER)
        order = DialOrder(
            call=self._live.session,
            media=self._live.media,
            leg=CALLER,
            destination=transfer.destination,
            purpose="transfer",
            agent=state.agent.agent if state.agent and transfer.by == "agent" else "",
            trunk=caller.trunk if caller is not None else None,
        )
        try:
            uri = self._refer_uri(order)
        except DialRefusedError as refused:
            self._end(transfer, "refused", refused.sip_status, refused.reason)
            return
        self._refer(refer_to(uri, state, transfer), transfer)

    def release(self, transfer: Transfer) -> None:
        """Caller and target are put together by the caller's trunk: a REFER that names the target's dialog."""
        target = self._legs.get(transfer.target) if transfer.target is not None else None
        caller = self._legs.get(CALLER)
        ours = target is None or caller is None or target.trunk != caller.trunk
        if target is None or target.session is None or ours:  # only its own trunk knows the target
            self._fall_back(transfer, None)
        else:
            self._refer(str(target.session.remote.uri), transfer, target)

    def told(self, transfer: Transfer | None, event: ReferProgress | ReferEnded) -> None:
        """What the caller's trunk says of the call it makes; perhaps after that transfer was given up here."""
        if transfer is None or transfer.id != self._asked:
            self._late(event)
        elif isinstance(event, ReferEnded):
            self._ended(transfer, event)
        elif event.status >= _RINGING:
            self._post(ProgressTransfer(transfer=transfer.id, status=event.status))

    def _refer(self, uri: str, transfer: Transfer, target: SipLeg | None = None) -> None:
        caller = self._legs.get(CALLER)
        if caller is None or caller.session is None:
            self._fall_back(transfer, None)
            return
        replaces = target.session.replaces if target is not None and target.session else None
        try:
            caller.session.refer(uri, self._wire.now(), replaces=replaces)
        except SipError:
            self._fall_back(transfer, None)
            return
        self._asked = transfer.id
        self._wire.flush()

    def _late(self, event: ReferProgress | ReferEnded) -> None:
        """Whoever took the caller back meanwhile has lost them after all, or nothing has changed."""
        if isinstance(event, ReferEnded) and event.outcome is ReferOutcome.ANSWERED:
            self._post(EndCall(cause="transferred", by="system"))

    def _ended(self, transfer: Transfer, event: ReferEnded) -> None:
        """A target that said no is not rung again; a trunk that could not, is helped out by a bridge."""
        outcome = event.outcome.name.lower()
        log.info("refer_ended", extra={"call_id": self._live.session.id, "outcome": outcome})
        match event.outcome:
            case ReferOutcome.ANSWERED:
                self._end(transfer, "answered", event.status, "referred")
            case ReferOutcome.REFUSED | ReferOutcome.FAILED:
                self._fall_back(transfer, event.status)
            case _ if transfer.stage == "completing":
                self._fall_back(transfer, event.status)
            case ReferOutcome.DECLINED:
                reason = cause_of_status(event.status).name
                self._end(transfer, "declined", event.status, reason)
            case ReferOutcome.TIMEOUT:  # it may still ring somewhere: nobody else is called
                self._end(transfer, "timeout", event.status, "timeout")

    def _end(
        self, transfer: Transfer, outcome: TransferOutcome, status: int | None, reason: str
    ) -> None:
        ended = EndTransfer(transfer=transfer.id, outcome=outcome, status=status, reason=reason)
        self._post(ended)

    def _fall_back(self, transfer: Transfer, status: int | None) -> None:
        following = TransferId(self._new_id())
        self._post(FallBack(transfer=transfer.id, next=following, status=status))

    def _post(self, command: CallCommand) -> None:
        self._live.session.post(command)
