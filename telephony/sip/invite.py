"""What both sides of an INVITE session share: dispatch of its requests, INFO, transfers, its usages and its end.

`invite_server` and `invite_client` add how a session begins (RFC 3261 13, 15; RFC 5057).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from telephony.sip.attempt import request_in_dialog
from telephony.sip.bodies import SDP
from telephony.sip.changes import ChangingSession
from telephony.sip.client_transaction import TransactionUser
from telephony.sip.core import ACCEPT, ALLOW, SUPPORTED_HEADER, Done, require_writable
from telephony.sip.errors import SipStateError
from telephony.sip.events import InfoReceived, Terminated
from telephony.sip.flow import Flow
from telephony.sip.info import OutgoingInfos, info_refusal
from telephony.sip.message import HeaderPair, Request
from telephony.sip.reinvite import DIALOG_GONE
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Cause, EndKind, Phase, Replaces
from telephony.sip.transfer import ReferUsages
from telephony.sip.update import TOO_EARLY
from telephony.sip.usage import InviteUsage

SNAPSHOT_VERSION: Final = 1


class InviteSession(ChangingSession):
    """One session; the engine hands it the requests of its dialog."""

    released: "Callable[[InviteSession], None] | None" = None
    _refers: ReferUsages | None = None
    _infos: OutgoingInfos | None = None
    _over = False  # the INVITE usage is; the dialog may live on for a transfer

    def matches(self, wanted: Replaces) -> bool:
        """Whether a Replaces header of an INVITE to us names this dialog (RFC 3891 3)."""
        ours = (self.call_id, self.local_tag) == (wanted.call_id, wanted.to_tag)
        return ours and any(u.dialog.remote_tag == wanted.from_tag for u in self._usages())

    # ------------------------------------------------------------------ verbs

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None:
        if self.phase is Phase.ENDED:
            return
        extra = [*headers, *([("Reason", reason)] if reason else [])]
        require_writable(extra)  # what is sent later would fail on somebody else's message
        if self.phase in TOO_EARLY:
            self._abandon(now, extra)
        elif self.phase is Phase.ANSWERED:
            # RFC 3261 15: no BYE before the ACK, or before the 2xx has timed out.
            self._bye_after_ack = extra
            self._end(Cause(EndKind.LOCAL), now)
        else:
            if self._refers is None:
                self._send_bye(extra, now)
            else:
                self._refers.before_bye(lambda then: self._send_bye(extra, then), now)
            self._end(Cause(EndKind.LOCAL), now)

    def info(self, content_type: str, body: bytes, now: float) -> None:
        if self.phase is Phase.ENDED:
            raise SipStateError("INFO in phase ENDED")
        if self._infos is None:
            _ = self.dialog  # there is one
            self._infos = OutgoingInfos(self._send_info, self._info_answered)
        self._infos.add(content_type, body, now)

    def refer(
        self, refer_to: str, now: float, *, referred_by: str = "", replaces: Replaces | None = None
    ) -> None:
        if self.phase is not Phase.CONFIRMED:
            raise SipStateError(f"REFER in phase {self.phase.name}")
        self._transfers().refer(refer_to, now, referred_by=referred_by, replaces=replaces)

    def accept_refer(self, now: float) -> None:
        self._transfers().accept_refer(now)

    def notify_refer(self, status: int, reason: str, now: float) -> None:
        self._transfers().notify_refer(status, reason, now)

    def reject_refer(self, status: int, now: float) -> None:
        self._transfers().reject_refer(status, now)

    def snapshot(self) -> dict[str, Any]:
        """`origin`: our last o= line; the next description needs a higher version."""
        if self.phase is not Phase.CONFIRMED:
            raise SipStateError(f"snapshot in phase {self.phase.name}")
        usage = self._current
        lines = usage.local_sdp.splitlines()
        origin = next((line for line in lines if line.startswith(b"o=")), b"")
        return {
            "version": SNAPSHOT_VERSION,
            "dialog": usage.dialog.snapshot(),
            "owns_call_id": self.owns_call_id,
            "allows": sorted(usage.allows),
            "origin": origin.decode("utf-8", "replace"),
            "timer": self._timer.snapshot(),
        }

    # ------------------------------------------------------------------ from the engine

    def owns(self, request: Request) -> bool:
        """True if the remote tag of a request is that of our dialog, or of a fork."""
        return self._usage_of(request) is not None

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """A new request of the dialog."""
        request = transaction.request
        usage = self._usage_of(request)
        if usage is None:
            self._core.respond(transaction, 481, now)
            return
        last = usage.dialog.remote_cseq
        if last is not None and request.cseq.number < last:
            self._core.respond(transaction, 500, now, reason="CSeq Out Of Order")
            return
        usage.dialog.remote_cseq = request.cseq.number
        if self.phase is Phase.ENDED and request.method not in _AFTER_THE_END:
            self._core.respond(transaction, 481, now)
        else:
            _RECEIVERS[request.method](self, transaction, usage, now)

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone."""
        for usage in self._usages():
            usage.dialog.flow_lost(flow)

    # ------------------------------------------------------------------ for transfers

    def send(
        self,
        method: str,
        now: float,
        user: TransactionUser,
        *,
        extra: Sequence[HeaderPair] = (),
        body: bytes = b"",
        content_type: str = SDP,
    ) -> None:
        """A request of the dialog, with the credentials of the session."""
        request_in_dialog(
            self._core, self.dialog, self.auth, method, user, now,
            extra=extra, body=body, content_type=content_type,
        )  # fmt: skip

    def usages_changed(self, now: float) -> None:
        """A subscription has ended; the dialog ends with its last usage."""
        self._release_if_over()

    def dialog_lost(self, status: int, now: float) -> None:
        """The other side no longer knows the dialog: all its usages end (RFC 5057 5.1)."""
        if self._refers is not None:
            self._refers.lost(now)
        change, self._change_out = self._change_out, None
        if self.phase is Phase.CONFIRMED:
            self._send_bye([], now)
            self._end(Cause(EndKind.TIMEOUT, status), now)
        elif self.phase is Phase.ENDED:
            self._release(status, now)  # a BYE that waited for a NOTIFY is not sent any more
        elif change is not None:
            self.change_rejected(change, status, "", now)

    # ------------------------------------------------------------------ requests of theirs

    def _receive_options(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        self._core.respond(transaction, 200, now, extra=(ALLOW, SUPPORTED_HEADER, ACCEPT))

    def _receive_bye(self, transaction: ServerTransaction, usage: InviteUsage, now: float) -> None:
        self._core.respond(transaction, 200, now)
        reason = transaction.request.headers.first("reason") or ""
        self._bye_after_ack = None
        self._accepted.stop()
        self._end(Cause(EndKind.REMOTE, None, reason), now)
        self._release(200, now)

    def _receive_prack(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        self._core.respond(transaction, 481, now)

    def _receive_info(self, transaction: ServerTransaction, usage: InviteUsage, now: float) -> None:
        request = transaction.request
        refusal = info_refusal(request)
        if refusal is not None:
            status, accept = refusal
            self._core.respond(transaction, status, now, extra=(accept,))
            return
        self._core.respond(transaction, 200, now)
        if request.body:
            kind = request.headers.first("content-type") or ""
            self._core.emit(InfoReceived(self, kind, request.body))

    def _receive_transfer(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        self._transfers().receive(transaction, now)

    # ------------------------------------------------------------------ inside

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        raise NotImplementedError

    def _usages(self) -> Iterator[InviteUsage]:
        if self._usage is not None:
            yield self._usage

    def _usage_of(self, request: Request) -> InviteUsage | None:
        usage = self._usage
        found = usage is not None and usage.dialog.remote_tag == request.from_.tag
        return usage if found else None

    def _transfers(self) -> ReferUsages:
        if self._refers is None:
            self._refers = ReferUsages(self._core, self)
        return self._refers

    def _send_info(self, content_type: str, body: bytes, user: TransactionUser, now: float) -> None:
        self.send("INFO", now, user, body=body, content_type=content_type)

    def _info_answered(self, status: int, now: float) -> None:
        if status in DIALOG_GONE:
            self.dialog_lost(status, now)

    def _send_bye(self, extra: Sequence[HeaderPair], now: float) -> None:
        self._bye_after_ack = None
        self._accepted.stop()  # nobody needs a 2xx of ours any more
        if self._change_out is not None:
            self._change_out.abandon()  # its ACK goes first
        self.send("BYE", now, Done(self._release), extra=extra)

    def _release(self, status: int, now: float) -> None:
        """The INVITE usage is over, BYE answered or not."""
        self._over = True
        self._release_if_over()

    def _release_if_over(self) -> None:
        if self._over and self.released is not None and not self._lives_on():
            self.released(self)
            self.released = None

    def _lives_on(self) -> bool:
        return self._refers is not None and self._refers.active

    def _end(self, cause: Cause, now: float) -> None:
        """The one way into ENDED."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self._timer.stop()
        if self._infos is not None:
            self._infos.stop()
        if self._change_out is not None:
            self._change_out.abandon()
        self._drop_change(487, now)
        self._core.emit(Terminated(self, cause))


_Receiver = Callable[[InviteSession, ServerTransaction, InviteUsage, float], None]
# By name, so that `invite_server` and `invite_client` may answer in their own way.
_RECEIVERS: Final[dict[str, _Receiver]] = {
    "BYE": lambda session, *given: session._receive_bye(*given),
    "INVITE": lambda session, *given: session._receive_reinvite(*given),
    "UPDATE": lambda session, *given: session._receive_update(*given),
    "PRACK": lambda session, *given: session._receive_prack(*given),
    "INFO": lambda session, *given: session._receive_info(*given),
    "OPTIONS": lambda session, *given: session._receive_options(*given),
    "REFER": lambda session, *given: session._receive_transfer(*given),
    "NOTIFY": lambda session, *given: session._receive_transfer(*given),
}
# What a dialog still serves when its INVITE usage is over: the notices of a transfer (RFC 5057 4).
_AFTER_THE_END: Final = ("BYE", "NOTIFY", "OPTIONS")
