"""A session that began with their INVITE (RFC 3261 13.3, RFC 3262 3)."""

from collections.abc import Sequence
from typing import Final

from telephony.sip.bodies import find_sdp
from telephony.sip.changes import require_refusal
from telephony.sip.core import (
    ALLOW,
    RELIABLE,
    SUPPORTED_HEADER,
    Core,
    EngineSettings,
    require_writable,
)
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipStateError
from telephony.sip.events import InviteAcked, ProvisionalAnswered
from telephony.sip.headers import NameAddr
from telephony.sip.invite import InviteSession
from telephony.sip.message import HeaderPair, Request
from telephony.sip.prack import Provisionals, Ringing, wants_reliable
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Cause, EndKind, Phase
from telephony.sip.session_timer import TOO_SMALL, refusal_of_interval
from telephony.sip.uas_checks import Refusal
from telephony.sip.update import refusal_of_offer
from telephony.sip.usage import InviteUsage, OfferState

_OPEN: Final = (Phase.INCOMING, Phase.RINGING)
# RFC 3261 13.3.1.1: a provisional response is repeated so that proxies do not give up (Timer C > 3 min).
_REMIND_SECONDS: Final = 60.0
_NO_PRACK: Final = 504


class ServerSession(InviteSession):
    """UAS side: ring, answer or reject. An answer waits until the description in a 18x has its PRACK."""

    def __init__(self, core: Core, transaction: ServerTransaction) -> None:
        request = transaction.request
        super().__init__(core, request, transaction.flow, transaction.to_tag, Phase.INCOMING)
        self.username: str | None = None
        self._invite = transaction
        self._late_offer = True
        self._answer: tuple[bytes, Sequence[HeaderPair]] | None = None
        self._usage = InviteUsage(Dialog.from_invite(request, self.local_tag, transaction.flow))
        self._usage.learn(request)
        sdp = find_sdp(request)
        if sdp is not None:
            self._usage.was_offered(sdp)
            self._late_offer = False
        self._provisionals: Provisionals | None = None

    @property
    def local(self) -> NameAddr:
        return self.request.to

    @property
    def remote(self) -> NameAddr:
        return self.request.from_

    # ------------------------------------------------------------------ verbs

    def ring(
        self,
        now: float,
        *,
        status: int = 180,
        sdp: bytes | None = None,
        headers: Sequence[HeaderPair] = (),
        reliable: bool | None = None,
    ) -> None:
        if not 100 < status < 200:
            raise SipStateError("ring takes a status of 101 to 199")
        self._require_open("ring")
        allowed = self._core.settings.reliable != "no"
        if allowed and wants_reliable(reliable, self.request, sdp):
            self._ring_reliably(status, sdp or b"", headers, now)
        else:
            # Unreliably sent, a description cannot be an offer (RFC 3261 13.2.1).
            body = b"" if self._late_offer else sdp or b""
            extra = self._early_headers(headers)
            self._core.respond(self._invite, status, now, extra=extra, body=body)
        self.phase = Phase.RINGING
        self._core.deadlines.set((self, "remind"), now + _REMIND_SECONDS, self._remind)

    def answer(self, sdp: bytes, now: float, *, headers: Sequence[HeaderPair] = ()) -> None:
        self._require_open("answer")
        if self._answer is not None:
            raise SipStateError("the session is answered already")
        if self._provisionals is not None and self._provisionals.sdp_unheard:
            require_writable(headers)
            self._answer = (sdp, headers)
        else:
            self._accept(sdp, headers, now)

    def reject(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()
    ) -> None:
        self._require_open("reject")
        require_refusal(status)
        self._refuse(status, now, Cause(EndKind.REJECTED, status, reason), reason, headers)

    def _ring_reliably(
        self, status: int, sdp: bytes, headers: Sequence[HeaderPair], now: float
    ) -> None:
        usage = self._current
        if self._provisionals is None:
            self._provisionals = Provisionals(self._core, self._invite, self)
        require_writable(headers)
        body = b"" if usage.answered_early else sdp
        offers = bool(body) and self._late_offer
        ringing = Ringing(status, body, self._early_headers(headers), offers)
        self._provisionals.send(ringing, now)
        if body:
            usage.answered_early = True
            usage.local_sdp = body
            if offers:
                usage.offered(body)

    def _early_headers(self, headers: Sequence[HeaderPair]) -> tuple[HeaderPair, ...]:
        return (self._core.contact(self.flow), ALLOW, SUPPORTED_HEADER, *headers)

    def _accept(self, sdp: bytes, headers: Sequence[HeaderPair], now: float) -> None:
        usage = self._current
        # RFC 6337 2.3: after an exchange in reliable responses the 200 holds no description.
        body = b"" if usage.answered_early else sdp
        self._send_ok(self._invite, usage, body, now, reinvite=False, headers=headers)
        self._stop_ringing()
        self.phase = Phase.ANSWERED

    # ------------------------------------------------------------------ from the engine

    def cancelled(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        if transaction is self._invite and self.phase in _OPEN:
            self._refuse(487, now, Cause(EndKind.CANCELLED, 487, reason))
        else:
            super().cancelled(transaction, reason, now)

    def provisional_unheard(self, now: float) -> None:
        if self.phase in _OPEN:
            self._refuse(_NO_PRACK, now, Cause(EndKind.TIMEOUT, _NO_PRACK, "no PRACK"))

    def _receive_bye(self, transaction: ServerTransaction, usage: InviteUsage, now: float) -> None:
        if self.phase in _OPEN:  # RFC 3261 15.1.2: a BYE in an early dialog ends the INVITE too
            self._core.respond(self._invite, 487, now)
            self._stop_ringing()
        super()._receive_bye(transaction, usage, now)

    def _receive_prack(
        self, transaction: ServerTransaction, usage: InviteUsage, now: float
    ) -> None:
        provisionals = self._provisionals
        heard = None if provisionals is None else provisionals.acknowledge(transaction.request)
        if heard is None:
            super()._receive_prack(transaction, usage, now)
            return
        sdp = find_sdp(transaction.request)
        if heard.offers:
            usage.answer_came(sdp)
        elif heard.sdp and usage.offer is OfferState.THEIRS:
            usage.answer_went(heard.sdp)
        if sdp and not heard.offers:
            self._receive_offer_in_prack(transaction, usage, sdp, now)
            return
        self._answer_plain(transaction, now)
        if heard.offers:
            self._core.emit(ProvisionalAnswered(self, sdp))
        self._change_settled(now)

    def _receive_offer_in_prack(
        self, transaction: ServerTransaction, usage: InviteUsage, sdp: bytes, now: float
    ) -> None:
        refusal = refusal_of_offer(self._busy(), usage.offer)
        if self._refuse_change(transaction, refusal, now):
            self._change_settled(now)
        else:
            self._hold_change(transaction, usage, sdp, now)

    def _change_settled(self, now: float) -> None:
        """A PRACK or UPDATE is answered: what waited for it goes now."""
        if self.phase not in _OPEN or self._provisionals is None:
            return
        self._provisionals.go_on(now)
        if self._answer is not None and not self._provisionals.sdp_unheard:
            (sdp, headers), self._answer = self._answer, None
            self._accept(sdp, headers, now)

    # ------------------------------------------------------------------ inside

    def _abandon(self, now: float, extra: list[HeaderPair]) -> None:
        self._refuse(603, now, Cause(EndKind.LOCAL, 603), headers=extra)

    def _refuse(
        self,
        status: int,
        now: float,
        cause: Cause,
        reason: str = "",
        headers: Sequence[HeaderPair] = (),
    ) -> None:
        self._core.respond(self._invite, status, now, reason=reason, extra=headers)
        self._stop_ringing()
        self._end(cause, now)
        self._release(status, now)

    def _confirmed(self, sdp: bytes | None) -> None:
        self._core.emit(InviteAcked(self, sdp))

    def _stop_ringing(self) -> None:
        self._core.deadlines.cancel((self, "remind"))
        if self._provisionals is not None:
            self._provisionals.stop()

    def _remind(self, now: float) -> None:
        self._invite.repeat(now)
        self._core.deadlines.set((self, "remind"), now + _REMIND_SECONDS, self._remind)

    def _require_open(self, verb: str) -> None:
        if self.phase not in _OPEN:
            raise SipStateError(f"{verb} in phase {self.phase.name}")


def refusal_of_invite(request: Request, settings: EngineSettings) -> Refusal | None:
    """What a new INVITE gets if it does not go with our settings.

    RFC 3262 3 (420, 421), RFC 4028 9 (422). A caller who requires what we know at all was let through before.
    """
    if settings.reliable == "no" and RELIABLE in request.tokens("require"):
        return Refusal(420, (("Unsupported", RELIABLE),))
    if settings.reliable == "required" and not _knows_reliable(request):
        return Refusal(421, (("Require", RELIABLE),))
    min_se = refusal_of_interval(request, settings)
    return None if min_se is None else Refusal(TOO_SMALL, (("Min-SE", str(min_se)),))


def _knows_reliable(request: Request) -> bool:
    return RELIABLE in (*request.tokens("supported"), *request.tokens("require"))
