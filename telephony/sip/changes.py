"""The part of a session that changes it while it lives: re-INVITE and UPDATE both ways, refreshes, 2xx until ACK.

RFC 3261 14, RFC 3311, RFC 4028, RFC 6337. `invite` adds the rest of a session.
"""

from collections.abc import Sequence
from typing import Final, Literal

from telephony.sip.accepted import Acceptance
from telephony.sip.auth import ClientAuth, Credentials
from telephony.sip.bodies import find_sdp
from telephony.sip.core import ACCEPT, ALLOW, SUPPORTED_HEADER, Core
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
)
from telephony.sip.flow import Flow
from telephony.sip.message import HeaderPair, Request, Response
from telephony.sip.reinvite import OutgoingChange
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Cause, EndKind, Phase, Replaces, Session
from telephony.sip.session_timer import TOO_SMALL, SessionTimer, refusal_of_interval
from telephony.sip.update import (
    GLARE,
    LATER,
    Busy,
    IncomingChange,
    refusal_of_offer,
    refusal_of_reinvite,
    retry_after,
)
from telephony.sip.usage import InviteUsage, OfferState

# Well inside of the 32 s in which an UPDATE is given up by the other side.
_DECISION_SECONDS: Final = 20.0

Method = Literal["INVITE", "UPDATE"]


class ChangingSession(Session):
    """At most one change each way is under way."""

    owns_call_id: bool = False

    def __init__(
        self,
        core: Core,
        request: Request,
        flow: Flow,
        local_tag: str,
        phase: Phase,
        *,
        auth: ClientAuth | None = None,
        session_expires: int | None = None,
    ) -> None:
        self._core = core
        self.request = request
        self.flow = flow
        self.call_id = request.call_id
        self.local_tag = local_tag
        self.phase = phase
        self.auth = auth
        self._usage: InviteUsage | None = None
        self._accepted = Acceptance(core, self)
        self._bye_after_ack: list[HeaderPair] | None = None
        self._change_in: IncomingChange | None = None
        self._change_out: OutgoingChange | None = None
        self._next_change: tuple[Method, bytes] | None = None
        self._timer = SessionTimer(core, self, session_expires)

    @property
    def dialog(self) -> Dialog:
        return self._current.dialog

    @property
    def replaces(self) -> Replaces:
        """This dialog as the other side knows it."""
        return Replaces(self.call_id, self.dialog.remote_tag, self.dialog.local_tag)

    def use_credentials(self, credentials: Credentials) -> None:
        """For the requests that are to come, if the other side challenges them."""
        self.auth = ClientAuth(credentials, self._core.ids)

    def allows(self, method: str) -> bool:
        """Whether the other side said that it takes a method."""
        return self._usage is not None and method in self._usage.allows

    @property
    def _current(self) -> InviteUsage:
        if self._usage is None:
            raise SipStateError("no dialog yet")
        return self._usage

    def resume(self, usage: InviteUsage, seconds: int, we_refresh: bool, now: float) -> None:
        """Go on with a dialog that was up before a restart."""
        self._usage = usage
        self._timer.resume(seconds, we_refresh, now)

    # ------------------------------------------------------------------ hooks of the session

    def dialog_lost(self, status: int, now: float) -> None:
        raise NotImplementedError

    def _send_bye(self, extra: Sequence[HeaderPair], now: float) -> None:
        raise NotImplementedError

    def _end(self, cause: Cause, now: float) -> None:
        raise NotImplementedError

    def _confirmed(self, sdp: bytes | None) -> None:
        raise NotImplementedError

    def _change_settled(self, now: float) -> None:
        """A change of theirs got its final response."""

    # ------------------------------------------------------------------ changes of ours

    def reinvite(self, sdp: bytes, now: float) -> None:
        if self.phase is not Phase.CONFIRMED:
            raise SipStateError(f"re-INVITE in phase {self.phase.name}")
        self._ask("INVITE", sdp, now)

    def update(self, sdp: bytes | None, now: float) -> None:
        if self.phase in (Phase.INCOMING, Phase.CALLING, Phase.CANCELLING, Phase.ENDED):
            raise SipStateError(f"UPDATE in phase {self.phase.name}")
        if not self.allows("UPDATE"):
            raise SipStateError("the other side does not take UPDATE")
        self._ask("UPDATE", sdp or b"", now)

    def ack(self, sdp: bytes, now: float) -> None:
        if self._change_out is None:
            raise SipStateError(f"ack in phase {self.phase.name}")
        self._change_out.acknowledge(sdp)
        self._change_over(now)

    def _ask(self, method: Method, sdp: bytes, now: float) -> None:
        refreshing = self._change_out is not None and self._change_out.refresh
        if refreshing and self._next_change is None:
            self._next_change = (method, sdp)  # nobody could know of the refresh
        elif self._may_offer(self._current):
            self._start_change(method, sdp, now)
        else:
            raise SipStateError(f"{method} while the session is not settled")

    def _change_over(self, now: float) -> None:
        """A change of ours is: one that waited for a refresh begins, or is refused as the other side would do it."""
        self._change_out = None
        waiting, self._next_change = self._next_change, None
        if waiting is None or self.phase is Phase.ENDED:
            return
        if self._may_offer(self._current):
            self._start_change(*waiting, now)
        else:
            self._core.emit(ReinviteRejected(self, GLARE, ""))

    def _may_offer(self, usage: InviteUsage) -> bool:
        return self._change_out is None and self.settled and usage.offer is OfferState.NONE

    def _start_change(
        self, method: Method, sdp: bytes, now: float, *, refresh: bool = False
    ) -> None:
        self._change_out = OutgoingChange(
            self._core,
            self._current,
            self,
            method,
            sdp,
            owns_call_id=self.owns_call_id,
            refresh=refresh,
        )
        self._change_out.start(now)

    @property
    def settled(self) -> bool:
        return self._change_in is None and not self._accepted.waiting

    def timer_headers(self) -> list[HeaderPair]:
        return self._timer.request_headers() if self.phase is Phase.CONFIRMED else []

    def timer_raised(self, response: Response) -> bool:
        return self._timer.raised(response)

    def change_answered(self, change: OutgoingChange, response: Response, now: float) -> None:
        if self.phase is Phase.CONFIRMED:
            self._timer.answered(response, now)
        if self.phase is not Phase.ENDED and change.worth_telling:
            self._core.emit(ReinviteAnswered(self, find_sdp(response)))
        if not change.owes_answer:
            self._change_over(now)

    def change_rejected(self, change: OutgoingChange, status: int, reason: str, now: float) -> None:
        if self.phase is not Phase.ENDED and not change.refresh:
            self._core.emit(ReinviteRejected(self, status, reason))
        self._change_over(now)

    # ------------------------------------------------------------------ the session timer

    def refresh_session(self, now: float) -> bool:
        usage = self._usage
        if usage is None or self.phase is not Phase.CONFIRMED or not self._may_offer(usage):
            return False
        if self.allows("UPDATE"):
            self._start_change("UPDATE", b"", now, refresh=True)
        elif (
            usage.local_sdp
        ):  # not known after a restart: the next change of the application will do
            self._start_change("INVITE", usage.local_sdp, now, refresh=True)
        return True

    def session_expired(self, now: float) -> None:
        if self.phase is Phase.CONFIRMED:
            self._send_bye([], now)
            self._end(Cause(EndKind.TIMEOUT, reason="session timer"), now)

    # ------------------------------------------------------------------ changes of theirs

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        change = self._take_change()
        transaction, usage = change.transaction, change.usage
        usage.dialog.refresh_target(transaction.request)
        if change.method == "INVITE":
            self._send_ok(transaction, usage, sdp, now, reinvite=True)
        else:
            self._answer_plain(transaction, now, sdp)
            usage.answer_went(sdp)
            self._change_settled(now)

    def reject_reinvite(
        self, status: int, now: float, *, headers: Sequence[HeaderPair] = ()
    ) -> None:
        require_refusal(status)
        change = self._take_change()
        change.usage.withdrawn()
        self._core.respond(change.transaction, status, now, extra=headers)
        self._change_settled(now)

    def cancelled(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        """A CANCEL for an INVITE of the dialog that has no final response yet: here, a re-INVITE."""
        if self._change_in is not None and self._change_in.transaction is transaction:
            self._drop_change(487, now)

    def _receive_reinvite(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        refusal = refusal_of_reinvite(self._busy(), usage.offer)
        if not self._refuse_change(transaction, refusal, now):
            self._core.respond(transaction, 100, now)
            self._hold_change(transaction, usage, find_sdp(transaction.request), now)

    def _receive_update(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        if self.phase is Phase.CANCELLING:
            self._core.respond(transaction, 481, now)
            return
        sdp = find_sdp(transaction.request)
        refusal = refusal_of_offer(self._busy(), usage.offer) if sdp else None
        if self._refuse_change(transaction, refusal, now):
            return
        if sdp:
            self._hold_change(transaction, usage, sdp, now)
        else:
            usage.learn(transaction.request)
            usage.dialog.refresh_target(transaction.request)
            self._answer_plain(transaction, now)

    def _busy(self) -> Busy:
        change = self._change_out
        return Busy(
            self.phase,
            waiting=self._change_in is not None,
            acks=self._accepted.waiting,
            changing=change is not None and change.blocks_offers,
        )

    def _refuse_change(
        self, transaction: ServerTransaction, status: int | None, now: float
    ) -> bool:
        if status is not None:
            extra = [retry_after(self._core.ids.fraction())] if status == LATER else []
            self._core.respond(transaction, status, now, extra=extra)
            return True
        min_se = refusal_of_interval(transaction.request, self._core.settings)
        if min_se is not None:
            extra = [("Min-SE", str(min_se))]
            self._core.respond(transaction, TOO_SMALL, now, extra=extra)
        return min_se is not None

    def _hold_change(
        self, transaction: ServerTransaction, usage: InviteUsage, sdp: bytes | None, now: float
    ) -> None:
        usage.learn(transaction.request)
        if sdp:
            usage.was_offered(sdp)
        self._change_in = IncomingChange(transaction, usage)
        self._core.deadlines.set((self, "change"), now + _DECISION_SECONDS, self._undecided)
        self._core.emit(ReinviteReceived(self, sdp))

    def _undecided(self, now: float) -> None:
        self._drop_change(504, now)
        self._change_settled(now)

    def _take_change(self) -> IncomingChange:
        change, self._change_in = self._change_in, None
        self._core.deadlines.cancel((self, "change"))
        if change is None or self.phase is Phase.ENDED:
            raise SipStateError("no change of theirs is waiting")
        return change

    def _drop_change(self, status: int, now: float) -> None:
        change, self._change_in = self._change_in, None
        if change is not None:
            self._core.deadlines.cancel((self, "change"))
            change.usage.withdrawn()
            self._core.respond(change.transaction, status, now)

    def _answer_plain(self, transaction: ServerTransaction, now: float, sdp: bytes = b"") -> None:
        """200 for UPDATE and PRACK; only the first is a target refresh and renews the timer."""
        extra: list[HeaderPair] = []
        if transaction.request.method == "UPDATE":
            extra = [self._core.contact(transaction.flow), ALLOW, SUPPORTED_HEADER, ACCEPT]
            if self.phase in (Phase.ANSWERED, Phase.CONFIRMED):
                extra += self._timer.accept(transaction.request, now)
        self._core.respond(transaction, 200, now, extra=extra, body=sdp)

    # ------------------------------------------------------------------ 2xx for an INVITE

    def _send_ok(
        self,
        transaction: ServerTransaction,
        usage: InviteUsage,
        sdp: bytes,
        now: float,
        *,
        reinvite: bool,
        headers: Sequence[HeaderPair] = (),
    ) -> None:
        offers = bool(sdp) and usage.offer is not OfferState.THEIRS
        timer = self._timer.accept(transaction.request, now)
        contact = self._core.contact(transaction.flow)
        extra = (contact, ALLOW, SUPPORTED_HEADER, ACCEPT, *timer, *headers)
        self._core.respond(transaction, 200, now, to_tag=self.local_tag, extra=extra, body=sdp)
        if offers:
            usage.offered(sdp)
        else:
            usage.answer_went(sdp)
        self._accepted.begin(transaction, now, offered=offers, reinvite=reinvite)

    def acknowledge(self, request: Request, now: float) -> None:
        """An ACK for a 2xx; repeated ones change nothing."""
        awaited = self._accepted.acknowledge(request.cseq.number)
        if awaited is None:
            return
        if self._bye_after_ack is not None:
            self._send_bye(self._bye_after_ack, now)
        if self.phase is Phase.ENDED:
            return
        sdp = find_sdp(request) if awaited.offered else None
        if awaited.offered:
            self._current.answer_came(sdp)
        self.phase = Phase.CONFIRMED
        if awaited.reinvite:
            self._core.emit(ReinviteAcked(self, sdp))
        else:
            self._confirmed(sdp)

    def ack_missing(self, now: float) -> None:
        self._send_bye(self._bye_after_ack or [], now)
        self._end(Cause(EndKind.TIMEOUT, None, "no ACK"), now)


def require_refusal(status: int) -> None:
    """Raises: SipStateError, if `status` would not refuse anything."""
    if not 300 <= status < 700:
        raise SipStateError("a refusal takes a status of 300 to 699")
