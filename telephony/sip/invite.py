"""What both sides of an INVITE session share: BYE, re-INVITE both ways, 2xx repeated until its ACK.

`invite_server` and `invite_client` add how a session begins (RFC 3261 13, 14, 15).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from telephony.sip.bodies import find_sdp
from telephony.sip.core import ACCEPT, ALLOW, Core
from telephony.sip.dialog import Dialog, flow_towards
from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.message import HeaderPair, Request, Response, write
from telephony.sip.reinvite import REQUEST_PENDING, OutgoingReinvite
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Cause, EndKind, Phase
from telephony.sip.transaction import LIFETIME, T1, T2
from telephony.sip.uri import parse_uri

TOO_EARLY: Final = (Phase.INCOMING, Phase.CALLING, Phase.RINGING, Phase.CANCELLING)


@dataclass(slots=True)
class _AwaitedAck:
    """A 2xx of ours on its way; `offered`: it carried an offer, so the ACK carries the answer."""

    cseq: int
    flow: Flow
    data: bytes
    offered: bool
    reinvite: bool
    interval: float = T1


class InviteSession:
    """One session; the engine hands it the requests of its dialog."""

    owns_call_id: bool = False

    def __init__(
        self, core: Core, request: Request, flow: Flow, local_tag: str, phase: Phase
    ) -> None:
        self._core = core
        self.request = request
        self.flow = flow
        self.call_id = request.call_id
        self.local_tag = local_tag
        self.phase = phase
        self.released: Callable[[InviteSession], None] | None = None
        self._dialog: Dialog | None = None
        self._awaited: _AwaitedAck | None = None
        self._bye_after_ack: list[HeaderPair] | None = None
        self._reinvite_in: ServerTransaction | None = None
        self._reinvite_out: OutgoingReinvite | None = None

    @property
    def local(self) -> NameAddr:
        raise NotImplementedError

    @property
    def remote(self) -> NameAddr:
        raise NotImplementedError

    # ------------------------------------------------------------------ verbs

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None:
        if self.phase is Phase.ENDED:
            return
        extra = [*headers, *([("Reason", reason)] if reason else [])]
        if self.phase in TOO_EARLY:
            self._abandon(now, extra)
        elif self.phase is Phase.ANSWERED:
            # RFC 3261 15: no BYE before the ACK, or before the 2xx has timed out.
            self._bye_after_ack = extra
            self._end(Cause(EndKind.LOCAL), now)
        else:
            self._send_bye(extra, now)
            self._end(Cause(EndKind.LOCAL), now)

    def reinvite(self, sdp: bytes, now: float) -> None:
        if self.phase is not Phase.CONFIRMED or self._reinvite_out or not self.settled:
            raise SipStateError("re-INVITE while the session is not settled")
        reinvite = OutgoingReinvite(
            self._core, self.dialog, self, sdp, owns_call_id=self.owns_call_id
        )
        reinvite.start(now)
        self._reinvite_out = reinvite

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        transaction = self._take_reinvite()
        self.dialog.refresh_target(transaction.request)
        self._send_ok(transaction, sdp, now, reinvite=True)

    def reject_reinvite(
        self, status: int, now: float, *, headers: Sequence[HeaderPair] = ()
    ) -> None:
        require_refusal(status)
        transaction = self._take_reinvite()
        self._core.respond(transaction, status, now, extra=headers)

    def _take_reinvite(self) -> ServerTransaction:
        transaction, self._reinvite_in = self._reinvite_in, None
        if transaction is None or self.phase is not Phase.CONFIRMED:
            raise SipStateError("no re-INVITE is waiting")
        return transaction

    # ------------------------------------------------------------------ from the engine

    @property
    def dialog(self) -> Dialog:
        if self._dialog is None:
            raise SipStateError("no dialog yet")
        return self._dialog

    def owns(self, request: Request) -> bool:
        """True if the remote tag of a request is the one of our dialog."""
        return self._dialog is not None and self._dialog.remote_tag == request.from_.tag

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """A new request of the dialog: BYE, INVITE or OPTIONS."""
        request = transaction.request
        last = self.dialog.remote_cseq
        if last is not None and request.cseq.number < last:
            self._core.respond(transaction, 500, now, reason="CSeq Out Of Order")
            return
        if request.method == "OPTIONS":
            self._core.respond(transaction, 200, now, extra=(ALLOW, ACCEPT))
        elif self.phase is Phase.ENDED and request.method != "BYE":
            self._core.respond(transaction, 481, now)
        elif request.method == "BYE":
            self._receive_bye(transaction, now)
        else:
            self._receive_reinvite(transaction, now)
        self.dialog.remote_cseq = request.cseq.number

    def acknowledge(self, request: Request, now: float) -> None:
        """An ACK for a 2xx; repeated ones change nothing."""
        awaited = self._awaited
        if awaited is None or awaited.cseq != request.cseq.number:
            return
        self._stop_awaiting()
        if self._bye_after_ack is not None:
            self._send_bye(self._bye_after_ack, now)
        if self.phase is Phase.ENDED:
            return
        sdp = find_sdp(request) if awaited.offered else None
        self.phase = Phase.CONFIRMED
        if awaited.reinvite:
            self._core.emit(ReinviteAcked(self, sdp))
        else:
            self._confirmed(sdp)

    def cancelled(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        """A CANCEL for an INVITE of the dialog that has no final response yet: here, a re-INVITE."""
        if transaction is self._reinvite_in:
            self._reinvite_in = None
            self._core.respond(transaction, 487, now)

    def flow_lost(self, flow: Flow) -> None:
        """The connection of the dialog is gone: the next request opens one to the target itself."""
        dialog = self._dialog
        if dialog is not None and dialog.flow == flow:
            dialog.flow = flow_towards(parse_uri(dialog.target), replace(flow, connection=0))

    # ------------------------------------------------------------------ for re-INVITEs of ours

    @property
    def settled(self) -> bool:
        return self._reinvite_in is None and self._awaited is None

    def reinvite_answered(self, response: Response, now: float) -> None:
        self._reinvite_out = None
        if self.phase is Phase.CONFIRMED:
            self._core.emit(ReinviteAnswered(self, find_sdp(response)))

    def reinvite_rejected(self, status: int, reason: str, now: float) -> None:
        self._reinvite_out = None
        if self.phase is Phase.CONFIRMED:
            self._core.emit(ReinviteRejected(self, status, reason))

    def reinvite_lost_dialog(self, status: int, now: float) -> None:
        self._reinvite_out = None
        if self.phase is Phase.CONFIRMED:
            self._send_bye([], now)
            self._end(Cause(EndKind.TIMEOUT, status), now)

    # ------------------------------------------------------------------ inside

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        raise NotImplementedError

    def _confirmed(self, sdp: bytes | None) -> None:
        raise NotImplementedError

    def _receive_bye(self, transaction: ServerTransaction, now: float) -> None:
        self._core.respond(transaction, 200, now)
        reason = transaction.request.headers.first("reason") or ""
        self._bye_after_ack = None
        self._stop_awaiting()
        self._end(Cause(EndKind.REMOTE, None, reason), now)
        self._release(200, now)

    def _receive_reinvite(self, transaction: ServerTransaction, now: float) -> None:
        if self._reinvite_in is not None or self.phase in TOO_EARLY:
            wait = str(int(10 * self._core.ids.fraction()))  # RFC 3261 14.2
            self._core.respond(transaction, 500, now, extra=(("Retry-After", wait),))
        elif self._awaited is not None or (self._reinvite_out and self._reinvite_out.in_flight):
            self._core.respond(transaction, REQUEST_PENDING, now)
        else:
            self._core.respond(transaction, 100, now)
            self._reinvite_in = transaction
            self._core.emit(ReinviteReceived(self, find_sdp(transaction.request)))

    def _send_ok(
        self,
        transaction: ServerTransaction,
        sdp: bytes,
        now: float,
        *,
        reinvite: bool,
        headers: Sequence[HeaderPair] = (),
    ) -> None:
        request = transaction.request
        extra = (self._core.contact(transaction.flow), ALLOW, ACCEPT, *headers)
        response = self._core.respond(
            transaction, 200, now, to_tag=self.local_tag, extra=extra, body=sdp
        )
        offered = find_sdp(request) is None
        self._awaited = _AwaitedAck(
            request.cseq.number, transaction.flow, write(response), offered, reinvite
        )
        self._core.deadlines.set((self, "2xx"), now + T1, self._repeat_ok)
        self._core.deadlines.set((self, "ACK"), now + LIFETIME, self._ack_missing)

    def _repeat_ok(self, now: float) -> None:
        # RFC 3261 13.3.1.4: on reliable transports too, the next hop may be UDP.
        if self._awaited is None:
            return
        self._core.send(self._awaited.flow, self._awaited.data)
        self._awaited.interval = min(2 * self._awaited.interval, T2)
        self._core.deadlines.set((self, "2xx"), now + self._awaited.interval, self._repeat_ok)

    def _ack_missing(self, now: float) -> None:
        self._stop_awaiting()
        self._send_bye(self._bye_after_ack or [], now)
        if self.phase is not Phase.ENDED:
            self._end(Cause(EndKind.TIMEOUT, None, "no ACK"), now)

    def _stop_awaiting(self) -> None:
        self._awaited = None
        self._core.deadlines.cancel((self, "2xx"))
        self._core.deadlines.cancel((self, "ACK"))

    def _send_bye(self, extra: list[HeaderPair], now: float) -> None:
        self._bye_after_ack = None
        request, flow = self._core.build_in_dialog(
            self.dialog, "BYE", self.dialog.next_cseq(), extra
        )
        self._core.start_plain(request, flow, self._release, now)

    def _release(self, status: int, now: float) -> None:
        if self.released is not None:
            self.released(self)

    def _end(self, cause: Cause, now: float) -> None:
        """The one way into ENDED."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        if self._reinvite_out is not None:
            self._reinvite_out.abandon()
        if self._reinvite_in is not None:
            self._core.respond(self._reinvite_in, 487, now)
            self._reinvite_in = None
        self._core.emit(Terminated(self, cause))


def require_refusal(status: int) -> None:
    """Raises: SipStateError, if `status` would not refuse anything."""
    if not 300 <= status < 700:
        raise SipStateError("a refusal takes a status of 300 to 699")
