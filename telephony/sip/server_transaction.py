"""INVITE and non-INVITE server transactions (RFC 3261 17.2, RFC 6026 7.1, RFC 4320 4.1)."""

from telephony.sip.message import Response, write
from telephony.sip.transaction import LIFETIME, T1, T2, T4, State, Transaction


class ServerTransaction(Transaction):
    """Absorbs retransmissions of its request and repeats the last response."""

    to_tag: str = ""
    _last: bytes = b""
    _interval: float = T1

    @property
    def last_sent(self) -> bytes:
        """The last response as it went out."""
        return self._last

    @property
    def answered(self) -> bool:
        """True once a final response has been sent."""
        return self.state not in (State.TRYING, State.PROCEEDING)

    def respond(self, response: Response, now: float) -> None:
        """Send a response; after the final one, later ones are not sent (RFC 3261 17.2)."""
        raise NotImplementedError

    def repeat(self, now: float) -> None:
        """The request came again."""
        if self._last and self.state in (State.PROCEEDING, State.COMPLETED):
            self.wire.send(self.flow, self._last)

    def _send(self, response: Response) -> None:
        self._last = write(response)
        self.wire.send(self.flow, self._last)


class InviteServerTransaction(ServerTransaction):
    """PROCEEDING -> ACCEPTED (2xx, kept for retransmitted INVITEs) or COMPLETED -> CONFIRMED (ACK)."""

    TIMERS = "GHIL"

    def respond(self, response: Response, now: float) -> None:
        if self.answered:
            return
        self._send(response)
        if response.status < 200:
            self.state = State.PROCEEDING
        elif response.status < 300:
            self.state = State.ACCEPTED
            self.start_timer("L", now + LIFETIME, self.terminate)
        else:
            self.state = State.COMPLETED
            self.start_timer("H", now + LIFETIME, self.terminate)
            if not self.flow.reliable:
                self.start_timer("G", now + self._interval, self._retransmit)

    def acknowledge(self, now: float) -> None:
        """An ACK for the final response that was not a 2xx."""
        if self.state is not State.COMPLETED:
            return
        self.state = State.CONFIRMED
        self.stop_timers("G", "H")
        self.start_timer("I", now + (0 if self.flow.reliable else T4), self.terminate)

    def _retransmit(self, now: float) -> None:
        self.wire.send(self.flow, self._last)
        self._interval = min(2 * self._interval, T2)
        self.start_timer("G", now + self._interval, self._retransmit)


class PlainServerTransaction(ServerTransaction):
    """TRYING -> COMPLETED; no provisional responses are sent (RFC 4320 4.1)."""

    TIMERS = "J"

    def respond(self, response: Response, now: float) -> None:
        if self.answered:
            return
        self._send(response)
        self.state = State.COMPLETED
        self.start_timer("J", now + (0 if self.flow.reliable else LIFETIME), self.terminate)
