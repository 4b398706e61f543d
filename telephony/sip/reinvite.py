"""Our re-INVITE or UPDATE: answer, ACK, back-off after a 491, refusal (RFC 3261 14.1, RFC 3311 5, RFC 4028 7.4)."""

from typing import Final, Literal, Protocol

from telephony.sip.attempt import Attempt, request_in_dialog
from telephony.sip.auth import ClientAuth
from telephony.sip.bodies import find_sdp
from telephony.sip.core import ALLOW, SUPPORTED_HEADER, Core
from telephony.sip.errors import SipStateError, SipSyntaxError
from telephony.sip.flow import Flow
from telephony.sip.headers import parse_number
from telephony.sip.message import HeaderPair, Response
from telephony.sip.session_timer import TOO_SMALL
from telephony.sip.usage import InviteUsage

REQUEST_PENDING: Final = 491
# RFC 3261 12.2.1.2: these say that the dialog is gone on the other side.
DIALOG_GONE: Final = frozenset({408, 481})
# RFC 3311 5.2: the 500 of a glare asks for a wait of up to 10 s; longer ones are for the application.
_LONGEST_WAIT: Final = 10
_MOST_RETRIES: Final = 8


class ChangeUser(Protocol):
    """The session a change belongs to. `settled`: no change of the other side is open."""

    @property
    def settled(self) -> bool: ...
    @property
    def auth(self) -> ClientAuth | None: ...
    def timer_headers(self) -> list[HeaderPair]: ...
    def timer_raised(self, response: Response) -> bool: ...
    def change_answered(self, change: "OutgoingChange", response: Response, now: float) -> None: ...
    def change_rejected(
        self, change: "OutgoingChange", status: int, reason: str, now: float
    ) -> None: ...
    def dialog_lost(self, status: int, now: float) -> None: ...


class OutgoingChange:
    """One attempt to change or refresh the session, retries included. `refresh`: the application asked for nothing."""

    def __init__(
        self,
        core: Core,
        usage: InviteUsage,
        user: ChangeUser,
        method: Literal["INVITE", "UPDATE"],
        sdp: bytes,
        *,
        owns_call_id: bool,
        refresh: bool = False,
    ) -> None:
        self._core = core
        self.usage = usage
        self._user = user
        self._method = method
        self._sdp = sdp
        self._owns_call_id = owns_call_id
        self.refresh = refresh
        self.in_flight = False  # False too while a 491 lets the other side go first
        self.owes_answer = False  # their offer came in the 2xx; `acknowledge` brings our answer
        self.worth_telling = not refresh  # or the answer to a refresh is another than the last
        self._over = False  # the session has ended
        self._retries = 0
        self._attempt: Attempt | None = None
        self._ack: tuple[Flow, bytes] | None = None

    @property
    def blocks_offers(self) -> bool:
        """Whether a re-INVITE of theirs would cross this one."""
        return self.in_flight and (self._method == "INVITE" or bool(self._sdp))

    def start(self, now: float) -> None:
        dialog = self.usage.dialog
        contact = self._core.contact(dialog.next_flow())
        self.in_flight = True
        self.usage.offered(self._sdp)
        self._attempt = request_in_dialog(
            self._core,
            dialog,
            self._user.auth,
            self._method,
            self,
            now,
            extra=(contact, ALLOW, SUPPORTED_HEADER, *self._user.timer_headers()),
            body=self._sdp,
        )

    def abandon(self) -> None:
        """The session has ended: no retry. A 2xx still on its way is ACKed all the same."""
        self._over = True
        self._core.deadlines.cancel((self, "wait"))
        if self._attempt is not None:
            self._attempt.stop_answering()
        if self.owes_answer:
            self._send_ack(b"")

    def acknowledge(self, sdp: bytes) -> None:
        """Our answer to the offer in their 2xx."""
        if not self.owes_answer:
            raise SipStateError("no offer waits for an answer")
        self._send_ack(sdp)
        self.usage.answer_went(sdp)

    # ------------------------------------------------------------------ responses

    def responded(self, response: Response, now: float) -> None:
        status = response.status
        if status < 200:
            return
        if status < 300:
            self._accepted(response, now)
        elif not self._over:
            self._refused(response, now)

    def failed(self, status: int, now: float) -> None:
        self.in_flight = False
        self.usage.withdrawn()
        if self._over:
            return
        if status in DIALOG_GONE:
            self._user.dialog_lost(status, now)
        else:  # it could not be sent: no word on the dialog
            self._user.change_rejected(self, status, "", now)

    def _refused(self, response: Response, now: float) -> None:
        status = response.status
        self.in_flight = False
        self.usage.withdrawn()
        wait = self._wait_before_retry(response)
        if wait is not None:
            self._retries += 1
            if wait:
                self._core.deadlines.set((self, "wait"), now + wait, self._retry)
            else:
                self._retry(now)
        elif status in DIALOG_GONE:
            self._user.dialog_lost(status, now)
        else:
            self._user.change_rejected(self, status, response.reason, now)

    def _wait_before_retry(self, response: Response) -> float | None:
        if self._retries >= _MOST_RETRIES:
            return None
        if response.status == REQUEST_PENDING:
            return self._back_off()
        if response.status == TOO_SMALL:
            return 0.0 if self._user.timer_raised(response) else None
        return _short_retry_after(response) if response.status == 500 else None

    def _back_off(self) -> float:
        """RFC 3261 14.1, in steps of 10 ms: who made the Call-ID waits longer."""
        fraction = self._core.ids.fraction()
        return round(2.1 + 1.9 * fraction if self._owns_call_id else 2.0 * fraction, 2)

    def _retry(self, now: float) -> None:
        if self._user.settled:
            self.start(now)
        else:
            self._core.deadlines.set((self, "wait"), now + max(self._back_off(), 0.1), self._retry)

    def _accepted(self, response: Response, now: float) -> None:
        if not self.in_flight:  # the 2xx of an INVITE again
            if self._ack is not None:
                self._core.send(*self._ack)
            return
        self.in_flight = False
        if self._over:
            if self._method == "INVITE":
                self._send_ack(b"")
            return
        self.usage.dialog.refresh_target(response)
        self.usage.learn(response)
        sdp = find_sdp(response)
        if self._method == "INVITE" and not self._sdp and sdp:
            self.usage.was_offered(sdp)
            self.owes_answer = True
        else:
            if self._sdp:
                self.worth_telling |= bool(sdp) and sdp != self.usage.remote_sdp
                self.usage.answer_came(sdp)
            if self._method == "INVITE":
                self._send_ack(b"")
        self._user.change_answered(self, response, now)

    def _send_ack(self, sdp: bytes) -> None:
        self.owes_answer = False
        if self._attempt is not None:
            self._ack = self._core.send_ack(self.usage.dialog, self._attempt.request, sdp)


def _short_retry_after(response: Response) -> float | None:
    value = response.headers.first("retry-after")
    try:
        seconds = parse_number(value.partition(";")[0].strip(), _LONGEST_WAIT) if value else None
    except SipSyntaxError:
        return None
    return None if seconds is None else max(float(seconds), 0.1)
