"""Reliable provisional responses (RFC 3262): as UAS sent until their PRACK, as UAC told from repeated ones."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, Protocol

from telephony.sip.core import RELIABLE, Core
from telephony.sip.errors import SipStateError
from telephony.sip.extensions import RAck, parse_rack, parse_rseq, read_optional
from telephony.sip.headers import CSeq
from telephony.sip.message import HeaderPair, Request, Response
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.transaction import LIFETIME, T1

# More than a call ever rings; the queue is ours, so it is a fault of the caller to fill it.
_MOST_WAITING: Final = 16


@dataclass(frozen=True, slots=True)
class Ringing:
    """One provisional response that is to arrive for sure. `offers`: its SDP is an offer of ours."""

    status: int
    sdp: bytes
    headers: tuple[HeaderPair, ...]
    offers: bool = False


class ProvisionalsUser(Protocol):
    """The session that rings."""

    def provisional_unheard(self, now: float) -> None:
        """No PRACK came in 64*T1 (RFC 3262 3)."""
        ...


class Provisionals:
    """UAS side: one on its way at a time, the next is sent after the PRACK (RFC 3262 3)."""

    def __init__(self, core: Core, invite: ServerTransaction, user: ProvisionalsUser) -> None:
        self._core = core
        self._invite = invite
        self._user = user
        # RFC 3262 3: first one between 1 and 2**31 - 1; it must not wrap.
        self._rseq = int(core.ids.fraction() * 2**16)
        self._waiting: deque[Ringing] = deque()
        self._sent: Ringing | None = None
        self._data = b""
        self._interval = T1

    @property
    def sdp_unheard(self) -> bool:
        """A session description of ours is not acknowledged: no 2xx yet (RFC 3262 3)."""
        return any(item.sdp for item in (self._sent, *self._waiting) if item is not None)

    def send(self, ringing: Ringing, now: float) -> None:
        """Raises: SipStateError, if too many wait already."""
        if self._sent is None:
            self._transmit(ringing, now)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append(ringing)
        else:
            raise SipStateError("too many provisional responses wait for a PRACK")

    def acknowledge(self, prack: Request) -> Ringing | None:
        """What a PRACK acknowledges; None: nothing of ours, which is a 481."""
        rack = read_optional(prack, "rack", parse_rack, self._core.counters)
        sent, invite = self._sent, self._invite.request.cseq
        if sent is None or rack != RAck(self._rseq, invite.number, invite.method):
            return None
        self._sent = None
        self._stop_timers()
        return sent

    def go_on(self, now: float) -> None:
        """After the answer to a PRACK: the next one that waits."""
        if self._waiting and self._sent is None:
            self._transmit(self._waiting.popleft(), now)

    def stop(self) -> None:
        """The INVITE has its final response; a late PRACK is still known."""
        self._waiting.clear()
        self._stop_timers()

    def _transmit(self, ringing: Ringing, now: float) -> None:
        self._rseq += 1
        extra = (*ringing.headers, ("Require", RELIABLE), ("RSeq", str(self._rseq)))
        self._core.respond(self._invite, ringing.status, now, extra=extra, body=ringing.sdp)
        self._sent, self._data, self._interval = ringing, self._invite.last_sent, T1
        self._core.deadlines.set((self, "repeat"), now + T1, self._repeat)
        self._core.deadlines.set((self, "give up"), now + LIFETIME, self._give_up)

    def _repeat(self, now: float) -> None:
        self._core.send(self._invite.flow, self._data)
        self._interval *= 2
        self._core.deadlines.set((self, "repeat"), now + self._interval, self._repeat)

    def _give_up(self, now: float) -> None:
        self.stop()
        self._user.provisional_unheard(now)

    def _stop_timers(self) -> None:
        self._core.deadlines.cancel((self, "repeat"))
        self._core.deadlines.cancel((self, "give up"))


def rseq_of(response: Response, counters: Counter[str]) -> int | None:
    """The number of a reliable provisional response; None for one that wants no PRACK."""
    if not 100 < response.status < 200:
        return None
    if RELIABLE not in response.tokens("require"):
        return None
    return read_optional(response, "rseq", parse_rseq, counters)


def is_expected(rseq: int, last: int | None) -> bool:
    """RFC 3262 4: the first may have any number, the next only the one that follows."""
    return last is None or rseq == last + 1


def rack_header(rseq: int, invite: CSeq) -> HeaderPair:
    """For the PRACK of a response to our INVITE with that CSeq."""
    return ("RAck", str(RAck(rseq, invite.number, invite.method)))


def wants_reliable(asked: bool | None, request: Request, sdp: bytes | None) -> bool:
    """Whether a provisional response goes reliably: as the caller requires, as we are asked, or because of its SDP.

    Raises:
        SipStateError: asked for, but the caller does not know RFC 3262.
    """
    if RELIABLE in request.tokens("require"):
        return True
    knows = RELIABLE in request.tokens("supported")
    if asked and not knows:
        raise SipStateError("the caller does not know reliable provisional responses")
    return knows and (bool(sdp) if asked is None else asked)
