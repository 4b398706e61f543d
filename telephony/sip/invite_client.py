"""A session that began with our INVITE (RFC 3261 13.2, 9.1; RFC 3262 4), forks included."""

from collections.abc import Iterator, Sequence
from typing import Final

from telephony.sip.attempt import Attempt, request_in_dialog
from telephony.sip.auth import ClientAuth
from telephony.sip.bodies import find_sdp
from telephony.sip.client_transaction import TIMEOUT_STATUS
from telephony.sip.core import ACCEPT, ALLOW, RELIABLE, SUPPORTED, Core, Done, require_writable
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipStateError
from telephony.sip.events import Answered, Provisional
from telephony.sip.extensions import write_replaces
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.invite import InviteSession
from telephony.sip.message import HeaderPair, Headers, Request, Response
from telephony.sip.prack import is_expected, rack_header, rseq_of
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import DEFAULT_OPTIONS, Cause, EndKind, InviteOptions, Phase
from telephony.sip.session_timer import TIMER, TOO_SMALL, first_headers
from telephony.sip.transaction import LIFETIME, State
from telephony.sip.usage import InviteUsage, OfferState

_OPEN: Final = (Phase.CALLING, Phase.RINGING)
# A proxy forks to a handful of phones; more early dialogs are told of, but not kept, and more answers are ignored.
_MOST_FORKS: Final = 16


class ClientSession(InviteSession):
    """UAC side: each fork is an early dialog; the first 2xx wins, every other one is ACKed and ended with BYE."""

    owns_call_id = True

    def __init__(
        self, core: Core, request: Request, flow: Flow, options: InviteOptions = DEFAULT_OPTIONS
    ) -> None:
        auth = ClientAuth(options.credentials, core.ids) if options.credentials else None
        super().__init__(
            core,
            request,
            flow,
            request.from_.tag,
            Phase.CALLING,
            auth=auth,
            session_expires=options.session_expires,
        )
        self._options = options
        self._offer = request.body
        self._forks: dict[str, InviteUsage] = {}
        self._prack: tuple[InviteUsage, int] | None = None  # waits for our answer to their offer
        self._acks: dict[str, tuple[Flow, bytes]] = {}  # by remote tag, for repeated 2xx
        self._cancel: list[HeaderPair] | None = None
        self._cseq = request.cseq.number
        self._invite = Attempt(core, self, auth, self._next_cseq, self._resent)

    def start(self, now: float) -> None:
        self._invite.start(self.request, self.flow, now, self._options.reply_s)

    @property
    def local(self) -> NameAddr:
        return self.request.from_

    @property
    def remote(self) -> NameAddr:
        return self.request.to

    # ------------------------------------------------------------------ verbs

    def cancel(self, now: float, *, reason: str = "") -> None:
        if self.phase not in _OPEN:
            raise SipStateError(f"cancel in phase {self.phase.name}")
        extra = [("Reason", reason)] if reason else []
        require_writable(extra)
        self._abandon(now, extra)

    def ack(self, sdp: bytes, now: float) -> None:
        if self._prack is not None and self.phase is Phase.RINGING:
            (usage, rseq), self._prack = self._prack, None
            self._send_prack(usage, rseq, now, sdp)
            usage.answer_went(sdp)
        elif self.phase is Phase.ANSWERED:
            self._acknowledge_ok(self._current, sdp)
            self._current.answer_went(sdp)
        else:
            super().ack(sdp, now)

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None:
        if self.phase is Phase.ANSWERED:  # our ACK is due, not theirs
            self._acknowledge_ok(self._current)
        super().bye(now, reason=reason, headers=headers)

    # ------------------------------------------------------------------ responses to the INVITE

    def responded(self, response: Response, now: float) -> None:
        if response.status < 200:
            self._progressed(response, now)
        elif response.status < 300:
            self._accepted_by(response, now)
        elif response.status == TOO_SMALL and self.phase in _OPEN and self._timer.raised(response):
            self._invite.again(self._timer.request_headers(), now)
        else:
            cancelled = self.phase is Phase.CANCELLING
            kind = EndKind.CANCELLED if cancelled else EndKind.REJECTED
            contacts = _redirections(response) if response.status < 400 else ()
            self._end(Cause(kind, response.status, response.reason, contacts), now)
            self._release(response.status, now)

    def failed(self, status: int, now: float) -> None:
        kind = EndKind.TIMEOUT if status == TIMEOUT_STATUS else EndKind.TRANSPORT
        if self.phase is Phase.CANCELLING:
            kind = EndKind.CANCELLED
        self._end(Cause(kind, status), now)
        self._release(status, now)

    def _progressed(self, response: Response, now: float) -> None:
        if self.phase is Phase.CANCELLING:
            self._send_cancel(now)
        elif response.status > 100 and self.phase in _OPEN:
            usage = self._fork_of(response)
            rseq = None if usage is None else rseq_of(response, self._core.counters)
            if usage is not None and rseq is not None and not is_expected(rseq, usage.rseq):
                return  # repeated, or one before it is missing and will be repeated
            self.phase = Phase.RINGING
            sdp = find_sdp(response)
            if usage is not None:
                self._usage = usage
                self._learn_early(usage, response, sdp, rseq, now)
            tag = response.to.tag
            self._core.emit(Provisional(self, response.status, response.reason, sdp, tag))

    def _learn_early(
        self,
        usage: InviteUsage,
        response: Response,
        sdp: bytes | None,
        rseq: int | None,
        now: float,
    ) -> None:
        usage.learn(response)
        usage.dialog.refresh_target(response)
        if rseq is None:
            if sdp and not usage.answered_early:
                usage.remote_sdp = sdp  # early media; the answer is still to come
            return
        usage.rseq = rseq
        if sdp and not usage.answered_early:
            usage.answered_early = True
            if not self._offer:
                usage.was_offered(sdp)
                self._prack = (usage, rseq)
                return
            usage.answer_came(sdp)
        self._send_prack(usage, rseq, now)

    def _accepted_by(self, response: Response, now: float) -> None:
        tag = response.to.tag
        if tag in self._acks:
            self._core.send(*self._acks[tag])
            return
        if self.phase is Phase.ANSWERED and self.dialog.remote_tag == tag:
            return  # repeated while our answer is being made
        if len(self._acks) >= _MOST_FORKS:
            self._core.counters["too_many_answers"] += 1
            return
        usage = self._forks.get(tag) or self._make_fork(response)
        usage.dialog.confirm(response)
        if self.phase not in _OPEN:
            self._end_unwanted(usage, now)
            return
        self._usage, self._forks, self._prack = usage, {tag: usage}, None
        usage.learn(response)
        sdp = self._agree(usage, find_sdp(response))
        self._timer.answered(response, now)
        if usage.offer is OfferState.THEIRS:
            self.phase = Phase.ANSWERED
        else:
            self._acknowledge_ok(usage)
        self._core.emit(Answered(self, sdp))

    def _agree(self, usage: InviteUsage, sdp: bytes | None) -> bytes | None:
        """The description that counts: after an early answer the one in the 2xx is ignored (RFC 3261 13.2.1)."""
        if usage.answered_early:
            return usage.remote_sdp
        if not self._offer:
            if sdp:
                usage.was_offered(sdp)
            return sdp
        usage.answer_came(sdp)
        return usage.remote_sdp or None  # a 200 without one goes by the early media

    def _end_unwanted(self, usage: InviteUsage, now: float) -> None:
        """A 2xx that lost the race with our CANCEL, or of another fork: ACK, then BYE (RFC 3261 15)."""
        self._send_first_ack(usage.dialog)
        request_in_dialog(self._core, usage.dialog, self.auth, "BYE", Done(_nothing_follows), now)
        if self.phase is Phase.CANCELLING:
            self._end(Cause(EndKind.CANCELLED, 200), now)
            self._release(200, now)

    def _acknowledge_ok(self, usage: InviteUsage, sdp: bytes = b"") -> None:
        self._send_first_ack(usage.dialog, sdp)
        self.phase = Phase.CONFIRMED

    def _send_first_ack(self, dialog: Dialog, sdp: bytes = b"") -> None:
        self._acks[dialog.remote_tag] = self._core.send_ack(dialog, self.request, sdp)

    def _send_prack(self, usage: InviteUsage, rseq: int, now: float, sdp: bytes = b"") -> None:
        request_in_dialog(
            self._core,
            usage.dialog,
            self.auth,
            "PRACK",
            Done(_nothing_follows),
            now,
            extra=(rack_header(rseq, self.request.cseq),),
            body=sdp,
        )

    # ------------------------------------------------------------------ forks

    def _fork_of(self, response: Response) -> InviteUsage | None:
        """The early dialog of a response; None for one without a tag, or one too many."""
        tag = response.to.tag
        usage = self._forks.get(tag)
        if usage is None and tag and len(self._forks) < _MOST_FORKS:
            usage = self._forks[tag] = self._make_fork(response)
        return usage

    def _make_fork(self, response: Response) -> InviteUsage:
        usage = InviteUsage(Dialog.from_response(self.request, response, self.flow))
        usage.offered(self._offer)
        return usage

    def _usages(self) -> Iterator[InviteUsage]:
        yield from self._forks.values()

    def _usage_of(self, request: Request) -> InviteUsage | None:
        return self._forks.get(request.from_.tag)

    def _receive_bye(self, transaction: ServerTransaction, usage: InviteUsage, now: float) -> None:
        others = [fork for fork in self._forks.values() if fork is not usage]
        if self.phase not in _OPEN or not others:
            super()._receive_bye(transaction, usage, now)
            return
        del self._forks[usage.dialog.remote_tag]  # one phone of several has given up
        self._usage = others[-1] if self._usage is usage else self._usage
        self._core.respond(transaction, 200, now)

    # ------------------------------------------------------------------ the INVITE again

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _resent(self, request: Request) -> None:
        """With credentials, or another Session-Expires: what forks of the first one said is void."""
        self.request = request
        self._forks.clear()
        self._usage = self._prack = None
        if self.phase is Phase.RINGING:
            self.phase = Phase.CALLING

    # ------------------------------------------------------------------ CANCEL

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        if self.phase is Phase.CANCELLING:
            return
        self.phase = Phase.CANCELLING
        self._cancel = extra
        self._invite.stop_answering()
        invite = self._invite.invite
        if invite is not None and invite.state is State.PROCEEDING:
            self._send_cancel(now)  # RFC 3261 9.1: not before a provisional response

    def _send_cancel(self, now: float) -> None:
        if self._cancel is None or self._invite.invite is None:
            return
        extra, self._cancel = self._cancel, None
        kept = ("Via", "Max-Forwards", "Route", "From", "To", "Call-ID")
        items = [pair for pair in self.request.headers.items if pair[0] in kept]
        items += [("CSeq", f"{self.request.cseq.number} CANCEL"), *extra, ("Content-Length", "0")]
        request = Request(Headers(items), b"", "CANCEL", self.request.uri_text)
        self._core.start_plain(request, self.flow, Done(_nothing_follows), now)
        self._invite.invite.give_up_at(now + LIFETIME)

    def _confirmed(self, sdp: bytes | None) -> None:
        """Our first 2xx of a session we began is always one for a re-INVITE."""


def invite_headers(core: Core, flow: Flow, options: InviteOptions) -> list[HeaderPair]:
    """What our INVITE says of us and of `options`, beside the headers every request has."""
    unwanted = [RELIABLE] if options.reliable == "no" else []
    unwanted += [TIMER] if options.session_expires == 0 else []
    supported = [tag for tag in SUPPORTED if tag not in unwanted]
    headers = [
        *(("Route", route) for route in options.routes),
        core.contact(flow),
        ALLOW,
        ACCEPT,
        ("Supported", ", ".join(supported)),
        *first_headers(core.settings, options.session_expires),
    ]
    required = [RELIABLE] if options.reliable == "required" else []
    if options.replaces is not None:
        headers.append(("Replaces", write_replaces(options.replaces)))
        required.append("replaces")
    if required:
        headers.append(("Require", ", ".join(required)))
    return headers


def _redirections(response: Response) -> tuple[str, ...]:
    """The Contact URIs of a 3xx, by their q value (RFC 3261 8.1.3.4)."""
    found = response.name_addrs("contact")
    return tuple(str(c.uri) for c in sorted(found, key=lambda c: -_q(c.param("q"))))


def _q(value: str | None) -> float:
    try:
        return min(max(float(value or "1"), 0.0), 1.0)
    except ValueError:
        return 0.0


def _nothing_follows(status: int, now: float) -> None:
    """From the answer to a PRACK, to a CANCEL, or to the BYE of a fork; the INVITE itself tells how it ended."""
