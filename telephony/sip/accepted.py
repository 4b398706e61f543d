"""A 2xx of ours to an INVITE: repeated until its ACK, given up after 64*T1 (RFC 3261 13.3.1.4)."""

from dataclasses import dataclass
from typing import Protocol

from telephony.sip.core import Core
from telephony.sip.flow import Flow
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.transaction import LIFETIME, T1, T2


@dataclass(slots=True)
class AwaitedAck:
    """`offered`: the 2xx held an offer, so the ACK holds the answer. `reinvite`: it was not the first INVITE."""

    cseq: int
    flow: Flow
    data: bytes
    offered: bool
    reinvite: bool
    interval: float = T1


class AckUser(Protocol):
    """The session that accepted."""

    def ack_missing(self, now: float) -> None: ...


class Acceptance:
    """One 2xx at a time."""

    def __init__(self, core: Core, user: AckUser) -> None:
        self._core = core
        self._user = user
        self._awaited: AwaitedAck | None = None

    @property
    def waiting(self) -> bool:
        return self._awaited is not None

    def begin(
        self,
        transaction: ServerTransaction,
        now: float,
        *,
        offered: bool,
        reinvite: bool,
    ) -> None:
        """The 2xx has just been sent by `transaction`."""
        cseq = transaction.request.cseq.number
        self._awaited = AwaitedAck(cseq, transaction.flow, transaction.last_sent, offered, reinvite)
        self._core.deadlines.set((self, "2xx"), now + T1, self._repeat)
        self._core.deadlines.set((self, "ACK"), now + LIFETIME, self._give_up)

    def acknowledge(self, cseq: int) -> AwaitedAck | None:
        """What this ACK is for; None for a repeated or foreign one."""
        awaited = self._awaited
        if awaited is None or awaited.cseq != cseq:
            return None
        self.stop()
        return awaited

    def stop(self) -> None:
        self._awaited = None
        self._core.deadlines.cancel((self, "2xx"))
        self._core.deadlines.cancel((self, "ACK"))

    def _repeat(self, now: float) -> None:
        # RFC 3261 13.3.1.4: on reliable transports too, the next hop may be UDP.
        if self._awaited is None:
            return
        self._core.send(self._awaited.flow, self._awaited.data)
        self._awaited.interval = min(2 * self._awaited.interval, T2)
        self._core.deadlines.set((self, "2xx"), now + self._awaited.interval, self._repeat)

    def _give_up(self, now: float) -> None:
        self.stop()
        self._user.ack_missing(now)
