"""Changes they ask for by re-INVITE, UPDATE (RFC 3311) or PRACK: which are refused at once, and which wait for us."""

from dataclasses import dataclass
from typing import Final

from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Phase
from telephony.sip.usage import REFUSAL_OF_OFFER, InviteUsage, OfferState

GLARE: Final = 491
LATER: Final = 500
TOO_EARLY: Final = (Phase.INCOMING, Phase.CALLING, Phase.RINGING, Phase.CANCELLING)
# RFC 3311 5.2, RFC 3261 14.2: 0 to 10 seconds, chosen at random.
_LONGEST_WAIT: Final = 10


@dataclass(frozen=True, slots=True)
class IncomingChange:
    """A request of theirs that waits for `accept_reinvite` or `reject_reinvite`."""

    transaction: ServerTransaction
    usage: InviteUsage

    @property
    def method(self) -> str:
        return self.transaction.request.method


@dataclass(frozen=True, slots=True)
class Busy:
    """What is under way in a session. `changing`: a request of ours whose answer decides the session."""

    phase: Phase
    waiting: bool  # a change of theirs waits for us
    acks: bool  # a 2xx of ours has no ACK yet
    changing: bool


def refusal_of_reinvite(busy: Busy, offer: OfferState) -> int | None:
    """RFC 3261 14.2, RFC 6337 2.2."""
    if busy.phase in TOO_EARLY or busy.waiting:
        return LATER
    if busy.acks or busy.changing:
        return GLARE
    return REFUSAL_OF_OFFER[offer]


def refusal_of_offer(busy: Busy, offer: OfferState) -> int | None:
    """An offer in an UPDATE or a PRACK (RFC 3311 5.2)."""
    if busy.waiting:
        return LATER
    return GLARE if busy.changing else REFUSAL_OF_OFFER[offer]


def retry_after(fraction: float) -> tuple[str, str]:
    """The header of a 500 that says when."""
    return ("Retry-After", str(int(_LONGEST_WAIT * fraction)))
