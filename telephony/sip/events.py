"""What an engine tells its gateway. `sdp` is the session description of the message, None without one.

Texts of events show no description (it may hold keys) and no digits.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from telephony.sip.flow import Flow
from telephony.sip.session import (
    Cause,
    IncomingRefer,
    IncomingSession,
    OutgoingSession,
    ReferOutcome,
    Session,
)


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """A new call. Without `sdp` the caller wants our offer in the 200 (late offer).

    `replaces`: the session of ours that it shall take the place of (RFC 3891); end that one after the answer.
    """

    session: IncomingSession
    sdp: bytes | None = field(repr=False)
    replaces: Session | None = None


@dataclass(frozen=True, slots=True)
class InviteAcked:
    """The handshake is complete; `sdp` is the answer to our late offer."""

    session: IncomingSession
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """They want to change the session, or, without `sdp`, to have our offer.

    By re-INVITE, UPDATE or PRACK, perhaps before the answer: `accept_reinvite` and `reject_reinvite` answer all.
    """

    session: Session
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteAcked:
    """Their re-INVITE is complete; `sdp` is the answer to our offer in the 200."""

    session: Session
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """Our re-INVITE or UPDATE was accepted; or a session refresh brought an answer unlike the last one."""

    session: Session
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReinviteRejected:
    """Our re-INVITE or UPDATE was refused; the session goes on as it was."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Provisional:
    """A response 101-199 to our INVITE. `fork`: the phone that sent it (its tag).

    `sdp` is the answer to our offer, or early media; if we invited without SDP it is an offer: `session.ack`.
    """

    session: OutgoingSession
    status: int
    reason: str
    sdp: bytes | None = field(repr=False)
    fork: str = ""


@dataclass(frozen=True, slots=True)
class ProvisionalAnswered:
    """Their PRACK brought the answer to the offer in our reliable provisional response."""

    session: IncomingSession
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """A 2xx to our INVITE. It was ACKed, unless it holds an offer: then `session.ack` takes our answer."""

    session: OutgoingSession
    sdp: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO of the dialog (RFC 6086 legacy use: digits); answered 200 already."""

    session: Session
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """They ask us to call somebody: `accept_refer` or `reject_refer`, then `notify_refer`."""

    session: Session
    refer: IncomingRefer


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """What the transferred side tells of the call it makes."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReferEnded:
    """The outcome of `session.refer`: exactly one; it may come after `Terminated`."""

    session: Session
    outcome: ReferOutcome
    status: int


@dataclass(frozen=True, slots=True)
class OptionsAnswered:
    """Outcome of `SipEngine.options`: the status, 408 for silence, 503 for a failed transport."""

    id: str
    status: int


class RegistrationState(Enum):
    """Life of a registration of ours; nothing leaves STOPPED."""

    REGISTERING = auto()
    REGISTERED = auto()
    FAILED = auto()  # tried again at `retry_at`
    STOPPED = auto()


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A registration of ours has another state. Times are those of the engine's clock."""

    id: str
    state: RegistrationState
    status: int
    expires_at: float | None = None
    retry_at: float | None = None


class IncomingRegistration(Protocol):
    """A REGISTER from a phone: accept or reject it."""

    @property
    def aor(self) -> str: ...
    @property
    def contacts(self) -> tuple[str, ...]: ...
    @property
    def expires(self) -> int: ...
    @property
    def flow(self) -> Flow: ...
    @property
    def username(self) -> str: ...
    def accept(self, now: float, expires: int) -> None: ...
    def reject(self, status: int, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class RegisterReceived:
    """A phone wants to be reachable here."""

    registration: IncomingRegistration


@dataclass(frozen=True, slots=True)
class Terminated:
    """The end of a session; each has exactly one, and only `ReferProgress` and `ReferEnded` may follow it."""

    session: Session
    cause: Cause


SipEvent = (
    IncomingInvite
    | InviteAcked
    | ReinviteReceived
    | ReinviteAcked
    | ReinviteAnswered
    | ReinviteRejected
    | Provisional
    | ProvisionalAnswered
    | Answered
    | InfoReceived
    | ReferReceived
    | ReferProgress
    | ReferEnded
    | OptionsAnswered
    | RegistrationChanged
    | RegisterReceived
    | Terminated
)
