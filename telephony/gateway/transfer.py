"""Carries out what a call decides about transfers: dials targets, asks trunks (REFER), answers REFERs of phones.

Each call has a `CallTransfer` beside its agent: it acts on the facts of the log and reports back by commands, so that a
transfer is the same whether an agent, a person at the desk, a phone or the dial plan asked for it. Nothing is dialled
before `TransferRequested` is on disk, and what is dialled is cancelled when its transfer or its call is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from telephony.call.commands import (
    AddLeg,
    EndTransfer,
    RemoveLeg,
    RequestTransfer,
    RingLeg,
)
from telephony.call.events import CallEnded, Recorded
from telephony.call.ids import CALLER, LegId, TransferId
from telephony.call.ports import DigitPressed, MediaFact
from telephony.call.state import CallState, Transfer
from telephony.call.transfer_events import (
    LegReplaced,
    TransferEnded,
    TransferMethod,
    TransferMode,
    TransferOutcome,
    TransferProgressed,
    TransferRequested,
)
from telephony.dialplan import DialPlan
from telephony.gateway.dial_order import (
    RING_S,
    Dial,
    DialFailure,
    Dialling,
    DialOrder,
    DialRefusedError,
    Purpose,
)
from telephony.gateway.refer_requests import ReferRequest, ReferRequests
from telephony.gateway.ringing import PAUSE_S, Ringing, RingOrder
from telephony.gateway.switchboard import LiveCall
from telephony.gateway.transfer_context import context_headers
from telephony.gateway.trunk_refer import TrunkRefer
from telephony.legs.plane_port import Plane
from telephony.legs.sip_leg import ReferEvent, SipLeg, Wire
from telephony.media.errors import MediaError
from telephony.sip.events import ReferReceived
from telephony.sip.message import HeaderPair

_DECLINED: Final = frozenset({"busy", "declined", "forbidden", "unknown_number", "number_changed"})
_UNANSWERED: Final = frozenset({"no_answer", "timeout"})
_GIVEN_UP: Final = "cancelled"
_NO_LEG: Final = LegId("none")  # of a target that is only judged


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferParts:
    """What transfers work with. `refer_uri`: the URI that a trunk's side is to call, judged like a call of ours.

    `check` raises DialRefusedError if that order would be refused.
    """

    plan: Callable[[], DialPlan]
    dial: Dial
    check: Callable[[DialOrder], None]
    refer_uri: Callable[[DialOrder], str]
    wire: Wire
    plane: Plane
    new_id: Callable[[], str]


class Transfers:
    """The transfers of a node. `companion` makes the part of each call (`Switchboard.accompany`)."""

    def __init__(self, parts: TransferParts) -> None:
        self._parts = parts
        self._of_call: dict[str, CallTransfer] = {}

    def companion(self, live: LiveCall) -> CallTransfer:
        transfer = CallTransfer(live, self._parts, self._of_call)
        live.session.transfer_method = partial(self.method_of, live)
        self._of_call[live.session.id] = transfer
        return transfer

    def of(self, live: LiveCall) -> CallTransfer:
        return self._of_call[live.session.id]

    def legs_of(self, live: LiveCall) -> Mapping[LegId, SipLeg]:
        """The phones on the call; none once it is over."""
        known = self._of_call.get(live.session.id)
        return {} if known is None else known.legs

    def ring(self, live: LiveCall, ringing: Ringing) -> None:
        """Persons are rung for a call that has just been opened."""
        self.of(live).ring(ringing)

    def new_id(self) -> TransferId:
        return TransferId(self._parts.new_id())

    def check(self, live: LiveCall, destination: str) -> None:
        """May it be called now, as the target of this call? Raises: DialRefusedError."""
        session = live.session
        order = DialOrder(
            call=session, media=live.media, leg=_NO_LEG, destination=destination, purpose="transfer"
        )
        self._parts.check(order)

    def method_of(self, live: LiveCall, destination: str, mode: TransferMode) -> TransferMethod:
        """A trunk that takes REFER makes the call itself; phones of ours are known to nobody but us."""
        to_phone = destination in self._parts.plan().extensions
        return "refer" if mode == "blind" and not to_phone and self.takes_refer(live) else "bridge"

    def takes_refer(self, live: LiveCall) -> bool:
        """Whether the caller's trunk is set to be asked."""
        caller = live.caller
        trunk = self._parts.plan().trunks.get(caller.trunk) if isinstance(caller, SipLeg) else None
        return trunk is not None and trunk.send_refer


class CallTransfer:
    """Transfers of one call (`CallParticipant`)."""

    def __init__(
        self, live: LiveCall, parts: TransferParts, register: dict[str, CallTransfer]
    ) -> None:
        self._live = live
        self._parts = parts
        self._register = register
        self._numbers = count(1)
        self._diallings: dict[LegId, Dialling] = {}
        self._ringing: Ringing | None = None
        self._rings_until_s = 0.0
        self._turn = 0
        self._refers = ReferRequests(live.session, parts.plan, parts.wire, parts.new_id)
        self.legs: dict[LegId, SipLeg] = {}
        self._trunk_refer = TrunkRefer(live, self.legs, parts.refer_uri, parts.wire, parts.new_id)
        if isinstance(live.caller, SipLeg):
            self.adopt(live.caller)

    def adopt(self, leg: SipLeg) -> None:
        """What this phone asks by REFER, and what comes of our REFER to it, is seen to here."""
        self.legs[leg.id] = leg
        leg.on_refer = self._on_refer

    def ring(self, ringing: Ringing) -> None:
        session = self._live.session
        self._ringing = ringing
        self._rings_until_s = session.now_s() + ringing.wait_s
        transfer = TransferId(self._parts.new_id())
        session.post(
            RequestTransfer(
                actor="gateway",
                transfer=transfer,
                mode="blind",
                method="bridge",
                by="system",
                destination=ringing.destination,
                name=ringing.name,
            )
        )

    # ------------------------------------------------------------------------------- facts of the call

    def on_event(self, record: Recorded, state: CallState) -> None:
        match record.event:
            case TransferRequested() if state.transfer is not None:
                self._requested(state, state.transfer)
            case TransferProgressed() if state.transfer is not None:
                self._refers.progressed(state.transfer)
                if state.transfer.stage == "completing":
                    self._trunk_refer.release(state.transfer)
            case TransferEnded() as ended:
                self._refers.ended(ended)
                self._ringing = None  # who is called later is called once
                self._let_go(state)
            case LegReplaced(leg=leg, by=by):
                self._replaced(leg, by)
            case CallEnded():
                self._let_go(state)
            case _:
                pass

    def on_media(self, fact: MediaFact) -> None:
        """A key pressed while people speak with one another is for the other one."""
        if not isinstance(fact, DigitPressed):
            return
        state = self._live.session.state
        if state.transfer is not None or state.floor is None:
            return
        if fact.leg == CALLER and state.floor in self.legs:
            self.legs[state.floor].send_digits(fact.digit)
        elif fact.leg == state.floor and CALLER in self.legs:
            self.legs[CALLER].send_digits(fact.digit)

    async def close(self) -> None:
        self._cancel(list(self._diallings))
        self._register.pop(self._live.session.id, None)
        for leg in self.legs.values():
            leg.on_refer = None
        self.legs.clear()

    def _requested(self, state: CallState, transfer: Transfer) -> None:
        if transfer.method == "refer":
            self._trunk_refer.ask(state, transfer)
        elif transfer.by == "system" and self._ringing is not None:
            self._round(state, transfer, self._ringing)
        else:
            self._dial(state, transfer, RingOrder(transfer.destination), RING_S, "transfer")

    # ------------------------------------------------------------------------------- dialling

    def _round(self, state: CallState, transfer: Transfer, ringing: Ringing) -> None:
        """All persons at once, or the next of them; what cannot even be dialled counts as a phone that failed."""
        refused: DialRefusedError | MediaError | None = None
        turn = self._turn % len(ringing.orders) if ringing.orders else 0
        for order in ringing.orders[turn : turn + 1] if ringing.one_by_one else ringing.orders:
            try:
                self._try(state, transfer, order, ringing.ring_s, "person")
            except (DialRefusedError, MediaError) as error:
                refused = error
        if not self._diallings:
            self._nobody(transfer.id, _unplaced(refused))
        elif ringing.answer_first:
            self._live.caller.answer()

    def _dial(
        self,
        state: CallState,
        transfer: Transfer,
        order: RingOrder,
        ring_s: float,
        purpose: Purpose,
    ) -> None:
        try:
            self._try(state, transfer, order, ring_s, purpose)
        except DialRefusedError as refused:
            self._end(transfer.id, "refused", refused.sip_status, refused.reason)
        except MediaError as error:
            self._end(transfer.id, "failed", error.sip_status, error.metric)

    def _try(
        self,
        state: CallState,
        transfer: Transfer,
        order: RingOrder,
        ring_s: float,
        purpose: Purpose,
    ) -> None:
        """Raises: DialRefusedError, MediaError; nothing was sent then."""
        session = self._live.session
        leg = LegId(f"target-{next(self._numbers)}")
        dialling = self._parts.dial(
            DialOrder(
                call=session,
                media=self._live.media,
                leg=leg,
                destination=order.destination,
                purpose=purpose,
                agent=state.agent.agent if state.agent and transfer.by == "agent" else "",
                trunk=order.trunk,
                headers=(*context_headers(state, transfer), *self._passed(transfer)),
                replaces=self._refers.replaces_of(transfer.id),
                shown=state.called if state.direction == "outbound" else state.caller,
                ring_s=ring_s,
            ),
            _TargetListener(self, transfer.id, leg),
        )
        self._diallings[leg] = dialling
        self.adopt(dialling.leg)
        session.attach_leg(leg, dialling.leg)
        session.post(
            AddLeg(
                actor="gateway",
                leg=leg,
                role="target",
                transport="sip",
                who=order.who,
                replaces=CALLER if transfer.by == "caller" else None,
            )
        )

    def _passed(self, transfer: Transfer) -> tuple[HeaderPair, ...]:
        return self._ringing.passed if self._ringing is not None and transfer.by == "system" else ()

    def rings(self, leg: LegId, *, early_media: bool) -> None:
        self._live.session.post(RingLeg(actor="sip", leg=leg, early_media=early_media))

    def answered(self, leg: LegId) -> None:
        self._diallings.pop(leg, None)

    def failed(self, transfer: TransferId, leg: LegId, failure: DialFailure) -> None:
        known = self._diallings.pop(leg, None)
        self.legs.pop(leg, None)
        if known is None or failure.reason == _GIVEN_UP:
            return
        self._live.session.post(RemoveLeg(actor="sip", leg=leg, reason=failure.reason))
        if not self._diallings:
            self._nobody(transfer, failure)

    def _nobody(self, transfer: TransferId, failure: DialFailure) -> None:
        """The last phone has failed: the next one, another round, or the outcome."""
        session, ringing = self._live.session, self._ringing
        self._turn += 1
        if ringing is not None and ringing.one_by_one and self._turn % max(1, len(ringing.orders)):
            self._again(transfer, ringing)
            return
        if ringing is not None and session.now_s() + PAUSE_S < self._rings_until_s:
            session.set_timer("ring_again", PAUSE_S, lambda: self._again(transfer, ringing))
            return
        self._end(transfer, _outcome(failure), failure.sip_status, failure.reason)

    def _again(self, transfer: TransferId, ringing: Ringing) -> None:
        state = self._live.session.state
        if state.transfer is not None and state.transfer.id == transfer:
            self._round(state, state.transfer, ringing)

    def _let_go(self, state: CallState) -> None:
        """Phones that still ring are not wanted any more."""
        self._live.session.set_timer("ring_again", None, lambda: None)
        self._cancel([leg for leg in self._diallings if leg != state.floor])

    def _cancel(self, legs: list[LegId]) -> None:
        for leg in legs:
            dialling = self._diallings.pop(leg, None)
            if dialling is not None:
                dialling.cancel()

    def _replaced(self, leg: LegId, by: LegId) -> None:
        successor = self.legs.pop(by, None)
        if successor is None:
            return
        self.legs[leg] = successor
        if leg == CALLER:
            self._live.caller = successor

    def _end(
        self, transfer: TransferId, outcome: TransferOutcome, status: int | None, reason: str
    ) -> None:
        self._live.session.post(
            EndTransfer(
                actor="gateway", transfer=transfer, outcome=outcome, status=status, reason=reason
            )
        )

    def _on_refer(self, leg: SipLeg, event: ReferEvent) -> None:
        if isinstance(event, ReferReceived):
            self._refers.received(ReferRequest(leg, event))
        else:
            self._trunk_refer.told(self._live.session.state.transfer, event)


class _TargetListener:
    """`DialListener` of one phone that is rung."""

    def __init__(self, owner: CallTransfer, transfer: TransferId, leg: LegId) -> None:
        self._owner = owner
        self._transfer = transfer
        self._leg = leg

    def on_ringing(self, status: int) -> None:
        self._owner.rings(self._leg, early_media=False)

    def on_early_media(self) -> None:
        self._owner.rings(self._leg, early_media=True)

    def on_answered(self) -> None:
        self._owner.answered(self._leg)

    def on_failed(self, failure: DialFailure) -> None:
        self._owner.failed(self._transfer, self._leg, failure)


def _unplaced(refused: DialRefusedError | MediaError | None) -> DialFailure:
    """Why nobody could even be dialled; a phone that is not there is no fault of the rules."""
    if refused is None:
        return DialFailure("no_route")
    if not isinstance(refused, DialRefusedError):
        return DialFailure(refused.metric)
    absent = refused.reason == "not_registered"
    return DialFailure(refused.reason, None if absent else refused.sip_status)


def _outcome(failure: DialFailure) -> TransferOutcome:
    if failure.reason in _DECLINED:
        return "declined"
    if failure.sip_status == DialRefusedError.sip_status:
        return "refused"
    return "timeout" if failure.reason in _UNANSWERED else "failed"
