"""What a leg may do with a SIP session: the interfaces of `invite`, `invite_server` and `invite_client`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Literal, Protocol

from telephony.sip.auth import Credentials
from telephony.sip.flow import Flow
from telephony.sip.headers import NameAddr
from telephony.sip.message import HeaderPair, Headers, Request


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
    TIMEOUT = auto()  # no response, no ACK, no PRACK, or no session refresh
    TRANSPORT = auto()  # the request could not be sent


@dataclass(frozen=True, slots=True)
class Cause:
    """`status`: SIP status where there is one; `reason`: Reason header or reason phrase, as received.

    `contacts`: the URIs of a 3xx, best first. Nothing is redialled here.
    """

    kind: EndKind
    status: int | None = None
    reason: str = ""
    contacts: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Replaces:
    """The dialog an INVITE shall take over (RFC 3891), named as the side that gets the INVITE knows it."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False


Reliable = Literal["no", "supported", "required"]


@dataclass(frozen=True, slots=True)
class InviteOptions:
    """How to call. `session_expires` None: as the engine is set; 0: without session timer.

    `routes`: Route values for the INVITE, such as a Service-Route. `reliable`: provisional responses (RFC 3262).
    `reply_s`: how long to wait for the first sign of life, 100 included (None: 32 s), before the next host is tried.
    """

    credentials: Credentials | None = None
    routes: tuple[str, ...] = ()
    replaces: Replaces | None = None
    session_expires: int | None = None
    reliable: Reliable = "supported"
    reply_s: float | None = None


DEFAULT_OPTIONS: Final = InviteOptions()


class ReferOutcome(Enum):
    """What became of a transfer we asked for."""

    ANSWERED = auto()
    DECLINED = auto()  # the target said no: busy, declined
    FAILED = auto()
    TIMEOUT = auto()  # nobody told us in time
    REFUSED = auto()  # the REFER itself was refused; the call is as before


@dataclass(frozen=True, slots=True)
class IncomingRefer:
    """A transfer they ask for: whom to call. `headers`: those of the Refer-To URI, escapes resolved."""

    target: str = field(repr=False)
    replaces: Replaces | None
    referred_by: str = field(repr=False)
    headers: Headers


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
    @property
    def replaces(self) -> Replaces:
        """This dialog as the other side knows it: for the Refer-To of a third party."""
        ...

    def use_credentials(self, credentials: Credentials) -> None:
        """For challenges of our requests in a dialog that the other side began."""
        ...

    def allows(self, method: str) -> bool:
        """Whether the other side said that it takes a method."""
        ...

    def bye(self, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()) -> None: ...
    def reinvite(self, sdp: bytes, now: float) -> None: ...
    def update(self, sdp: bytes | None, now: float) -> None:
        """Raises `SipStateError` too if they do not take UPDATE; `reinvite` always works in a call that is up."""
        ...

    def ack(self, sdp: bytes, now: float) -> None:
        """Our answer to an offer in a response: in the ACK of a 2xx (an empty re-INVITE asked for it)."""
        ...

    def accept_reinvite(self, sdp: bytes, now: float) -> None:
        """For `ReinviteReceived`, in 20 s; later the change was refused with 504."""
        ...

    def reject_reinvite(
        self, status: int, now: float, *, headers: Sequence[HeaderPair] = ()
    ) -> None: ...
    def info(self, content_type: str, body: bytes, now: float) -> None: ...
    def refer(
        self, refer_to: str, now: float, *, referred_by: str = "", replaces: Replaces | None = None
    ) -> None: ...
    def accept_refer(self, now: float) -> None: ...
    def notify_refer(self, status: int, reason: str, now: float) -> None: ...
    def reject_refer(self, status: int, now: float) -> None: ...
    def snapshot(self) -> dict[str, Any]:
        """What `SipEngine.restore` needs to go on with this dialog; JSON types only. CONFIRMED sessions only."""
        ...


class IncomingSession(Session, Protocol):
    """A session that began with their INVITE. `username`: who proved it by digest; None: nobody was asked."""

    username: str | None

    def ring(
        self,
        now: float,
        *,
        status: int = 180,
        sdp: bytes | None = None,
        headers: Sequence[HeaderPair] = (),
        reliable: bool | None = None,
    ) -> None: ...
    def answer(self, sdp: bytes, now: float, *, headers: Sequence[HeaderPair] = ()) -> None: ...
    def reject(
        self, status: int, now: float, *, reason: str = "", headers: Sequence[HeaderPair] = ()
    ) -> None: ...


class OutgoingSession(Session, Protocol):
    """A session that began with our INVITE."""

    def cancel(self, now: float, *, reason: str = "") -> None: ...
    def ack(self, sdp: bytes, now: float) -> None:
        """The same for the first INVITE, if it had no SDP: in the ACK of the 2xx, or the PRACK of a 18x."""
        ...
