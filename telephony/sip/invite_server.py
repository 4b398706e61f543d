"""A session that began with their INVITE (RFC 3261 13.3)."""

from collections.abc import Sequence
from typing import Final

from telephony.sip.core import ALLOW, Core
from telephony.sip.dialog import Dialog
from telephony.sip.errors import SipStateError
from telephony.sip.events import InviteAcked
from telephony.sip.headers import NameAddr
from telephony.sip.invite import InviteSession, require_refusal
from telephony.sip.message import HeaderPair
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Cause, EndKind, Phase

_OPEN: Final = (Phase.INCOMING, Phase.RINGING)
# RFC 3261 13.3.1.1: a provisional response is repeated so that proxies do not give up (Timer C > 3 min).
_REMIND_SECONDS: Final = 60.0


class ServerSession(InviteSession):
    """UAS side: ring, answer or reject."""

    def __init__(self, core: Core, transaction: ServerTransaction) -> None:
        super().__init__(
            core, transaction.request, transaction.flow, transaction.to_tag, Phase.INCOMING
        )
        self._invite = transaction
        self._dialog = Dialog.from_invite(transaction.request, self.local_tag, transaction.flow)

    @property
    def local(self) -> NameAddr:
        return self.request.to

    @property
    def remote(self) -> NameAddr:
        return self.request.from_

    def ring(
        self,
        now: float,
        *,
        status: int = 180,
        sdp: bytes | None = None,
        headers: Sequence[HeaderPair] = (),
    ) -> None:
        if not 100 < status < 200:
            raise SipStateError("ring takes a status of 101 to 199")
        self._require_open("ring")
        extra = (self._core.contact(self.flow), ALLOW, *headers)
        self._core.respond(self._invite, status, now, extra=extra, body=sdp or b"")
        self.phase = Phase.RINGING
        self._core.deadlines.set((self, "remind"), now + _REMIND_SECONDS, self._remind)

    def answer(self, sdp: bytes, now: float, *, headers: Sequence[HeaderPair] = ()) -> None:
        self._require_open("answer")
        self._send_ok(self._invite, sdp, now, reinvite=False, headers=headers)
        self._core.deadlines.cancel((self, "remind"))
        self.phase = Phase.ANSWERED

    def reject(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()
    ) -> None:
        self._require_open("reject")
        require_refusal(status)
        self._refuse(status, now, Cause(EndKind.REJECTED, status, reason), reason, headers)

    def cancelled(self, transaction: ServerTransaction, reason: str, now: float) -> None:
        if transaction is self._invite and self.phase in _OPEN:
            self._refuse(487, now, Cause(EndKind.CANCELLED, 487, reason))
        else:
            super().cancelled(transaction, reason, now)

    def _receive_bye(self, transaction: ServerTransaction, now: float) -> None:
        if self.phase in _OPEN:  # RFC 3261 15.1.2: a BYE in an early dialog ends the INVITE too
            self._core.respond(self._invite, 487, now)
            self._core.deadlines.cancel((self, "remind"))
        super()._receive_bye(transaction, now)

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
        self._core.deadlines.cancel((self, "remind"))
        self._end(cause, now)
        self._release(status, now)

    def _confirmed(self, sdp: bytes | None) -> None:
        self._core.emit(InviteAcked(self, sdp))

    def _remind(self, now: float) -> None:
        self._invite.repeat(now)
        self._core.deadlines.set((self, "remind"), now + _REMIND_SECONDS, self._remind)

    def _require_open(self, verb: str) -> None:
        if self.phase not in _OPEN:
            raise SipStateError(f"{verb} in phase {self.phase.name}")
