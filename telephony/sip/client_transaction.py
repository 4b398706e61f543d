"""INVITE and non-INVITE client transactions (RFC 3261 17.1, RFC 6026 7.2)."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from telephony.sip.message import Headers, Request, Response, write
from telephony.sip.transaction import LIFETIME, T1, T2, T4, State, Transaction

TIMEOUT_STATUS: Final = 408
TRANSPORT_STATUS: Final = 503


class TransactionUser(Protocol):
    """Who sent the request. `failed` is called once, instead of a final response, with 408 or 503."""

    def responded(self, response: Response, now: float) -> None: ...
    def failed(self, status: int, now: float) -> None: ...


@dataclass(eq=False)
class ClientTransaction(Transaction):
    """Sends its request and repeats it until there is a response."""

    user: TransactionUser = field(kw_only=True, repr=False)
    _interval: float = field(default=T1, init=False)
    _data: bytes = field(default=b"", init=False, repr=False)

    def start(self, now: float) -> None:
        raise NotImplementedError

    def receive(self, response: Response, now: float) -> None:
        raise NotImplementedError

    def transport_failed(self, now: float) -> None:
        """The flow is gone: the one place where that becomes a 503 (RFC 3261 8.1.3.1)."""
        if self.state in (State.CALLING, State.TRYING, State.PROCEEDING):
            self.terminate(now)
            self.user.failed(TRANSPORT_STATUS, now)
        else:
            self.terminate(now)

    def _timed_out(self, now: float) -> None:
        self.terminate(now)
        self.user.failed(TIMEOUT_STATUS, now)

    def _first_send(self) -> None:
        self._data = write(self.request)
        self.wire.send(self.flow, self._data)


class InviteClientTransaction(ClientTransaction):
    """CALLING -> PROCEEDING -> ACCEPTED (2xx, each handed on) or COMPLETED (ACK sent here)."""

    TIMERS = "ABDM"

    _ack: bytes = b""

    def start(self, now: float) -> None:
        self.state = State.CALLING
        self._first_send()
        self.start_timer("B", now + LIFETIME, self._timed_out)
        if not self.flow.reliable:
            self.start_timer("A", now + self._interval, self._retransmit)

    def receive(self, response: Response, now: float) -> None:
        if self.state is State.COMPLETED:
            if response.status >= 300:
                self.wire.send(self.flow, self._ack)
        elif self.state is State.ACCEPTED:
            if 200 <= response.status < 300:
                self.user.responded(response, now)
        elif self.state in (State.CALLING, State.PROCEEDING):
            self._proceed(response, now)

    def _proceed(self, response: Response, now: float) -> None:
        if self.state is State.CALLING or response.status >= 200:
            self.stop_timers("A", "B")  # but not the end that `give_up_at` has set
        if response.status < 200:
            self.state = State.PROCEEDING
        elif response.status < 300:
            self.state = State.ACCEPTED
            self.start_timer("M", now + LIFETIME, self.terminate)
        else:
            self.state = State.COMPLETED
            self._ack = write(make_failure_ack(self.request, response))
            self.wire.send(self.flow, self._ack)
            self.start_timer("D", now + (0 if self.flow.reliable else LIFETIME), self.terminate)
        self.user.responded(response, now)

    def expect_reply_by(self, at: float) -> None:
        """Timer B for an INVITE that shall go to another host if this one is silent."""
        if self.state is State.CALLING:
            self.start_timer("B", at, self._timed_out)

    def give_up_at(self, at: float) -> None:
        """After a CANCEL: no final response by then counts as none at all (RFC 3261 9.1)."""
        if self.state is State.PROCEEDING:
            self.start_timer("B", at, self._timed_out)

    def _retransmit(self, now: float) -> None:
        self.wire.send(self.flow, self._data)
        self._interval *= 2
        self.start_timer("A", now + self._interval, self._retransmit)


class PlainClientTransaction(ClientTransaction):
    """TRYING -> PROCEEDING -> COMPLETED."""

    TIMERS = "EFK"

    def start(self, now: float) -> None:
        self.state = State.TRYING
        self._first_send()
        self.start_timer("F", now + LIFETIME, self._timed_out)
        if not self.flow.reliable:
            self.start_timer("E", now + self._interval, self._retransmit)

    def receive(self, response: Response, now: float) -> None:
        if self.state not in (State.TRYING, State.PROCEEDING):
            return
        if response.status < 200:
            self.state = State.PROCEEDING
            return
        self.state = State.COMPLETED
        self.stop_timers("E", "F")
        self.start_timer("K", now + (0 if self.flow.reliable else T4), self.terminate)
        self.user.responded(response, now)

    def _retransmit(self, now: float) -> None:
        self.wire.send(self.flow, self._data)
        proceeding = self.state is State.PROCEEDING
        self._interval = T2 if proceeding else min(2 * self._interval, T2)
        self.start_timer("E", now + self._interval, self._retransmit)


def make_failure_ack(request: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx (RFC 3261 17.1.1.3): same branch, To of the response."""
    kept = [
        pair
        for pair in request.headers.items
        if pair[0] in ("Via", "Max-Forwards", "From", "Call-ID", "Route")
    ]
    to = response.headers.first("to") or ""
    cseq = f"{request.cseq.number} ACK"
    items = [*kept, ("To", to), ("CSeq", cseq), ("Content-Length", "0")]
    return Request(Headers(items), b"", "ACK", request.uri_text)
