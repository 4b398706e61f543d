"""What an engine tells its gateway. `sdp` is the session description of the message, None without one."""

from dataclasses import dataclass

from telephony.sip.session import Cause, IncomingSession, OutgoingSession, Session


@dataclass(frozen=True, slots=True)
class IncomingInvite:
    """A new call. Without `sdp` the caller wants our offer in the 200 (late offer)."""

    session: IncomingSession
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class InviteAcked:
    """The handshake is complete; `sdp` is the answer to our late offer."""

    session: IncomingSession
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """They want to change the session, or, without `sdp`, to have our offer."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteAcked:
    """Their re-INVITE is complete; `sdp` is the answer to our offer in the 200."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """Our re-INVITE was accepted."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReinviteRejected:
    """Our re-INVITE was refused; the session goes on as it was."""

    session: Session
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Provisional:
    """A response 101-199 to our INVITE; with `sdp` there is early media."""

    session: OutgoingSession
    status: int
    reason: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A 2xx to our INVITE. It was ACKed, unless we sent no offer: then `session.ack` takes our answer."""

    session: OutgoingSession
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class OptionsAnswered:
    """Outcome of `SipEngine.options`: the status, 408 for silence, 503 for a failed transport."""

    id: str
    status: int


@dataclass(frozen=True, slots=True)
class Terminated:
    """The last event of a session; each has exactly one."""

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
    | Answered
    | OptionsAnswered
    | Terminated
)
