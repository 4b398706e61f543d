"""An INVITE usage of a dialog (RFC 5057): whose offer is open, what was agreed. Each fork of an INVITE has its own."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from telephony.sip.dialog import Dialog
from telephony.sip.message import Request, Response


class OfferState(Enum):
    """Whose offer waits for its answer (RFC 3264); one at a time."""

    NONE = auto()
    OURS = auto()
    THEIRS = auto()


# RFC 3311 5.2, RFC 6337 2.2: what an offer of theirs gets while another is open; None: it may be judged.
REFUSAL_OF_OFFER: Final[dict[OfferState, int | None]] = {
    OfferState.NONE: None,
    OfferState.OURS: 491,
    OfferState.THEIRS: 500,
}


@dataclass(slots=True, repr=False)
class InviteUsage:
    """`local_sdp`, `remote_sdp`: the last ones of an offer/answer exchange, or of early media. `rseq`: RFC 3262."""

    dialog: Dialog
    offer: OfferState = OfferState.NONE
    local_sdp: bytes = b""
    remote_sdp: bytes = b""
    answered_early: bool = False  # the first answer passed in a reliable 18x or its PRACK
    before: bytes = b""  # what a refused offer would have replaced
    allows: frozenset[str] = frozenset()
    rseq: int | None = None

    def learn(self, message: Request | Response) -> None:
        """What the other side can do; a message without Allow says nothing new."""
        if message.headers.first("allow") is not None:
            self.allows = frozenset(message.tokens("allow"))

    def offered(self, sdp: bytes) -> None:
        """We send an offer; nothing changes without one."""
        if sdp:
            self.offer = OfferState.OURS
            self.before, self.local_sdp = self.local_sdp, sdp

    def was_offered(self, sdp: bytes) -> None:
        self.offer = OfferState.THEIRS
        self.before, self.remote_sdp = self.remote_sdp, sdp

    def answer_came(self, sdp: bytes | None) -> None:
        self.offer = OfferState.NONE
        if sdp:
            self.remote_sdp = sdp

    def answer_went(self, sdp: bytes) -> None:
        self.offer = OfferState.NONE
        if sdp:
            self.local_sdp = sdp

    def withdrawn(self) -> None:
        """The offer was refused: all is as before."""
        if self.offer is OfferState.OURS:
            self.local_sdp = self.before
        elif self.offer is OfferState.THEIRS:
            self.remote_sdp = self.before
        self.offer = OfferState.NONE
