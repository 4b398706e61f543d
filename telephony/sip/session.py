"""What a leg may do with a SIP session: the interfaces of `invite`, `invite_server` and `invite_client`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.message import HeaderPair, Request


class Phase(Enum):
    """Life of a session; nothing leaves ENDED."""

    INCOMING = auto()  # INVITE received, no response but 100
    CALLING = auto()  # INVITE sent, no response but 100
    RINGING = auto()  # a provisional response has passed
    CANCELLING = auto()  # we want to end an INVITE that is not answered yet
    ANSWERED = auto()  # 2xx sent, no ACK yet
    CONFIRMED = auto()  # 2xx and ACK
    ENDED = auto()


class EndKind(Enum):
    """Why a session ended."""

    LOCAL = auto()  # our bye()
    REMOTE = auto()  # their BYE
    CANCELLED = auto()  # their CANCEL, or ours
    REJECTED = auto()  # a final response of 300 or more, theirs or ours
    TIMEOUT = auto()  # no response, or no ACK
    TRANSPORT = auto()  # the request could not be sent


@dataclass(frozen=True, slots=True)
class Cause:
    """`status`: SIP status where there is one; `reason`: Reason header or reason phrase, as received."""

    kind: EndKind
    status: int | None = None
    reason: str = ""


class Session(Protocol):
    """One INVITE dialog, whoever began it. A verb the phase does not allow raises `SipStateError`."""

    call_id: str
    flow: Flow
    phase: Phase
    request: Request

    @property
    def local(self) -> NameAddr: ...
    @property
    def remote(self) -> NameAddr: ...
    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None: ...
    def reinvite(self, sdp: bytes, now: float) -> None: ...
    def accept_reinvite(self, sdp: bytes, now: float) -> None: ...
    def reject_reinvite(
        self, status: int, now: float, *, headers: Sequence[HeaderPair] = ()
    ) -> None: ...


class IncomingSession(Session, Protocol):
    """A session that began with their INVITE."""

    def ring(
        self,
        now: float,
        *,
        status: int = 180,
        sdp: bytes | None = None,
        headers: Sequence[HeaderPair] = (),
    ) -> None: ...
    def answer(self, sdp: bytes, now: float, *, headers: Sequence[HeaderPair] = ()) -> None: ...
    def reject(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()
    ) -> None: ...


class OutgoingSession(Session, Protocol):
    """A session that began with our INVITE."""

    def cancel(self, now: float, *, reason: str = "") -> None: ...
    def ack(self, sdp: bytes, now: float) -> None: ...
