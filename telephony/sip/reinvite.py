"""Our own re-INVITE: ACK of its 2xx, and the back-off after a 491 (RFC 3261 14.1)."""

from typing import Final, Protocol

from telephony.sip.core import ALLOW, Core
from telephony.sip.dialog import Dialog
from telephony.sip.flow import Flow
from telephony.sip.message import Response

REQUEST_PENDING: Final = 491
# RFC 3261 12.2.1.2: these say that the dialog is gone on the other side.
_DIALOG_GONE: Final = frozenset({408, 481})


class ReinviteUser(Protocol):
    """The session a re-INVITE belongs to. `settled`: no re-INVITE of the other side is open."""

    @property
    def settled(self) -> bool: ...
    def reinvite_answered(self, response: Response, now: float) -> None: ...
    def reinvite_rejected(self, status: int, reason: str, now: float) -> None: ...
    def reinvite_lost_dialog(self, status: int, now: float) -> None: ...


class OutgoingReinvite:
    """One attempt to change the session, 491 retries included."""

    def __init__(
        self, core: Core, dialog: Dialog, user: ReinviteUser, sdp: bytes, *, owns_call_id: bool
    ) -> None:
        self._core = core
        self._dialog = dialog
        self._user = user
        self._sdp = sdp
        self._owns_call_id = owns_call_id
        self._cseq = 0
        self.in_flight = False  # False too while a 491 lets the other side go first
        self._ack: tuple[Flow, bytes] | None = None

    def start(self, now: float) -> None:
        self._cseq = self._dialog.next_cseq()
        extra = (self._core.contact(self._dialog.next_flow()), ALLOW)
        request, flow = self._core.build_in_dialog(
            self._dialog, "INVITE", self._cseq, extra, self._sdp
        )
        self._core.start_invite(request, flow, self, now)
        self.in_flight = True

    def abandon(self) -> None:
        """The session has ended: no retry. A 2xx still on its way is ACKed all the same."""
        self._core.deadlines.cancel((self, "491"))

    def responded(self, response: Response, now: float) -> None:
        if response.status < 200:
            return
        if response.status < 300:
            self._accepted(response, now)
        elif response.status == REQUEST_PENDING:
            self.in_flight = False
            self._back_off(now)
        elif response.status in _DIALOG_GONE:
            self._user.reinvite_lost_dialog(response.status, now)
        else:
            self._user.reinvite_rejected(response.status, response.reason, now)

    def _back_off(self, now: float) -> None:
        fraction = self._core.ids.fraction()
        wait = 2.1 + 1.9 * fraction if self._owns_call_id else 0.01 + 1.99 * fraction
        self._core.deadlines.set((self, "491"), now + round(wait, 2), self._retry)

    def _retry(self, now: float) -> None:
        if self._user.settled:
            self.start(now)
        else:
            self._back_off(now)

    def failed(self, status: int, now: float) -> None:
        self._user.reinvite_lost_dialog(status, now)

    def _accepted(self, response: Response, now: float) -> None:
        if self._ack is not None:
            self._core.send(*self._ack)
            return
        self._dialog.refresh_target(response)
        self._ack = self._core.send_ack(self._dialog, self._cseq)
        self._user.reinvite_answered(response, now)
