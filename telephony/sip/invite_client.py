"""A session that began with our INVITE (RFC 3261 13.2, 9.1), forks included."""

from collections.abc import Sequence

from telephony.sip.bodies import find_sdp
from telephony.sip.client_transaction import TIMEOUT_STATUS, InviteClientTransaction
from telephony.sip.core import Core
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipStateError
from telephony.sip.events import Answered, Provisional
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.invite import InviteSession
from telephony.sip.message import HeaderPair, Headers, Request, Response
from telephony.sip.session import Cause, EndKind, Phase
from telephony.sip.transaction import LIFETIME


class ClientSession(InviteSession):
    """UAC side: the first 2xx wins; every other one is ACKed and ended with BYE."""

    owns_call_id = True

    def __init__(self, core: Core, request: Request, flow: Flow) -> None:
        super().__init__(core, request, flow, request.from_.tag, Phase.CALLING)
        self._offered = bool(request.body)
        self._acks: dict[str, tuple[Flow, bytes]] = {}  # by remote tag, for repeated 2xx
        self._cancel: list[HeaderPair] | None = None
        self._heard = False
        self._invite: InviteClientTransaction | None = None

    def start(self, now: float) -> None:
        self._invite = self._core.start_invite(self.request, self.flow, self, now)

    @property
    def local(self) -> NameAddr:
        return self.request.from_

    @property
    def remote(self) -> NameAddr:
        return self.request.to

    def cancel(self, now: float, *, reason: str = "") -> None:
        if self.phase not in (Phase.CALLING, Phase.RINGING):
            raise SipStateError(f"cancel in phase {self.phase.name}")
        self._abandon(now, [("Reason", reason)] if reason else [])

    def ack(self, sdp: bytes, now: float) -> None:
        if self.phase is not Phase.ANSWERED:
            raise SipStateError(f"ack in phase {self.phase.name}")
        self._send_first_ack(self.dialog, sdp)
        self.phase = Phase.CONFIRMED

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None:
        if self.phase is Phase.ANSWERED:  # our ACK is due, not theirs
            self._send_first_ack(self.dialog)
            self.phase = Phase.CONFIRMED
        super().bye(now, reason=reason, headers=headers)

    # ------------------------------------------------------------------ responses to the INVITE

    def responded(self, response: Response, now: float) -> None:
        if response.status < 200:
            self._provisional(response, now)
        elif response.status < 300:
            self._accepted(response, now)
        elif self.phase is Phase.CANCELLING:
            self._end(Cause(EndKind.CANCELLED, response.status, response.reason), now)
            self._release(response.status, now)
        else:
            self._end(Cause(EndKind.REJECTED, response.status, response.reason), now)
            self._release(response.status, now)

    def failed(self, status: int, now: float) -> None:
        kind = EndKind.TIMEOUT if status == TIMEOUT_STATUS else EndKind.TRANSPORT
        if self.phase is Phase.CANCELLING:
            kind = EndKind.CANCELLED
        self._end(Cause(kind, status), now)
        self._release(status, now)

    def _provisional(self, response: Response, now: float) -> None:
        self._heard = True
        if self.phase is Phase.CANCELLING:
            self._send_cancel(now)
        elif response.status > 100:
            self.phase = Phase.RINGING
            if response.to.tag:
                self._dialog = Dialog.from_response(self.request, response, self.flow)
            self._core.emit(Provisional(self, response.status, response.reason, find_sdp(response)))

    def _accepted(self, response: Response, now: float) -> None:
        tag = response.to.tag
        if tag in self._acks:
            self._core.send(*self._acks[tag])
            return
        if self.phase is Phase.ANSWERED and self.dialog.remote_tag == tag:
            return  # repeated while our answer is being made
        dialog = Dialog.from_response(self.request, response, self.flow)
        if self.phase not in (Phase.CALLING, Phase.RINGING):
            self._end_unwanted(dialog, now)
            return
        self._dialog = dialog
        if self._offered:
            self._send_first_ack(dialog)
            self.phase = Phase.CONFIRMED
        else:
            self.phase = Phase.ANSWERED
        self._core.emit(Answered(self, find_sdp(response)))

    def _end_unwanted(self, dialog: Dialog, now: float) -> None:
        """A 2xx that lost the race with our CANCEL, or of another fork: ACK, then BYE (RFC 3261 15)."""
        self._send_first_ack(dialog)
        request, flow = self._core.build_in_dialog(dialog, "BYE", dialog.next_cseq())
        self._core.start_plain(request, flow, self._fork_ended, now)
        if self.phase is Phase.CANCELLING:
            self._end(Cause(EndKind.CANCELLED, 200), now)
            self._release(200, now)

    def _fork_ended(self, status: int, now: float) -> None:
        """Nothing follows from the answer to that BYE."""

    def _send_first_ack(self, dialog: Dialog, sdp: bytes = b"") -> None:
        cseq = self.request.cseq.number
        self._acks[dialog.remote_tag] = self._core.send_ack(dialog, cseq, sdp)

    # ------------------------------------------------------------------ CANCEL

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        if self.phase is Phase.CANCELLING:
            return
        self.phase = Phase.CANCELLING
        self._cancel = extra
        if self._heard:  # RFC 3261 9.1: not before a provisional response
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        if self._cancel is None or self._invite is None:
            return
        extra, self._cancel = self._cancel, None
        kept = ("Via", "Max-Forwards", "Route", "From", "To", "Call-ID")
        items = [pair for pair in self.request.headers.items if pair[0] in kept]
        items += [("CSeq", f"{self.request.cseq.number} CANCEL"), *extra, ("Content-Length", "0")]
        request = Request(Headers(items), b"", "CANCEL", self.request.uri_text)
        self._core.start_plain(request, self.flow, self._cancel_done, now)
        self._invite.give_up_at(now + LIFETIME)

    def _cancel_done(self, status: int, now: float) -> None:
        """The INVITE itself tells how it ended."""

    def _confirmed(self, sdp: bytes | None) -> None:
        """Our first 2xx of a session we began is always one for a re-INVITE."""
