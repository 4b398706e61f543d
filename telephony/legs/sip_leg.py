"""What all legs by SIP have in common: one dialog, one RTP slot, hold, re-INVITE, digits, and the end.

The hold state is ours: it follows the direction that our own last answer gave, not the words of their offer. Incoming
and dialled legs (`incoming_leg`, `dialled_leg`) differ in how their dialog begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from telephony.call.commands import (
    CallCommand,
    ConnectLeg,
    HoldCall,
    RemoveLeg,
    Report,
    ResumeCall,
)
from telephony.call.ids import CALLER, LegId
from telephony.call.transfer_events import TrunkMeasured
from telephony.legs.call_audio import CallMedia
from telephony.legs.info_digits import digit_of, info_of
from telephony.legs.plane_port import Plane
from telephony.legs.sip_media import RtpPlace, is_held, rtp_parameters
from telephony.media.commands import ChangeRtp, Remove, SendDigits, StartRtp
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, NotAcceptable, Offer
from telephony.sip.errors import SipError, reason_header
from telephony.sip.events import (
    InfoReceived,
    ReferEnded,
    ReferProgress,
    ReferReceived,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    SipEvent,
    Terminated,
)
from telephony.sip.session import Cause, EndKind, Phase, Session

_Q850_NORMAL: Final = 16
_NOT_ACCEPTABLE: Final = 488

ReferEvent = ReferReceived | ReferProgress | ReferEnded


class Wire(Protocol):
    """The sockets behind the engine: `telephony.sip.transport.SipTransport`."""

    def now(self) -> float: ...
    def flush(self) -> None:
        """Sends what the engine wants sent; after each verb of a session."""


class Calls(Protocol):
    """Where the leg's facts go: the mailbox of its call."""

    def post(self, command: CallCommand) -> None: ...


class SipLeg:
    """A leg (`LegControl`). `on_refer` gets what concerns transfers; without one a REFER is refused."""

    direction: Literal["inbound", "outbound"] = "inbound"

    def __init__(self, leg: LegId, wire: Wire, plane: Plane, place: RtpPlace) -> None:
        self.id = leg
        self.on_refer: Callable[[SipLeg, ReferEvent], None] | None = None
        self._wire = wire
        self._plane = plane
        self._place = place
        self._session: Session | None = None
        self._last: Agreed | Offer | None = None
        self._started = False
        self._attached = False
        self._connected = False
        self._held = False
        self._gone = False
        self._measured = False
        self._returned = False
        self._call: Calls | None = None
        self._media: CallMedia | None = None

    @property
    def session(self) -> Session | None:
        """The dialog behind the leg; None before the INVITE of a dialled one."""
        return self._session

    @property
    def username(self) -> str | None:
        """Who proved by digest to be calling; None where nobody was asked, and for phones that we call."""
        return None

    @property
    def place(self) -> RtpPlace:
        return self._place

    @property
    def trunk(self) -> str:
        return self._place.policy.trunk

    @property
    def closed(self) -> bool:
        return self._gone

    def answer(self) -> None:
        """Nothing to do where the other side answers."""

    def ring(self, *, early_media: bool) -> None:
        """Nothing to do where the other side rings."""

    def become(self, leg: LegId) -> None:
        self.id = leg

    def close(self, cause: str) -> None:
        """BYE, CANCEL or a final refusal, whichever the phase asks for. Idempotent."""
        if not self._gone:
            self._gone = True
            self._hang_up(cause)
        self._give_back()

    def _hang_up(self, cause: str) -> None:
        if self._session is not None:
            self._session.bye(self._wire.now(), reason=reason_header(_Q850_NORMAL, cause))
            self._wire.flush()

    def _give_back(self) -> None:
        if self._returned:
            return
        self._returned = True
        if self._attached and self._media is not None:
            self._media.detach(self.id)
        else:
            self._plane.apply(Remove(self._place.slot))

    # ------------------------------------------------------------------------------- digits

    def send_digits(self, digits: str) -> bool:
        """As the trunk wants them: RFC 4733, or INFO. False if the other side takes neither."""
        policy = self._place.policy
        agreed = self._last
        if not isinstance(agreed, Agreed) or self._session is None or not self._connected:
            return False
        if policy.dtmf != "info" and agreed.dtmf_send_type is not None:
            self._plane.apply(SendDigits(self._place.slot, digits))
            return True
        if policy.dtmf not in ("info", "auto"):
            return False
        try:
            for digit in digits:
                self._session.info(*info_of(digit), self._wire.now())
        except SipError:
            return False
        self._wire.flush()
        return True

    # ------------------------------------------------------------------------------- from the engine

    def handle(self, event: SipEvent) -> None:
        """One event of the leg's session."""
        match event:
            case ReinviteReceived(sdp=sdp):
                self._reinvited(sdp)
            case ReinviteAcked(sdp=sdp) | ReinviteAnswered(sdp=sdp):
                self._their_answer(sdp)
            case InfoReceived(content_type=kind, body=body):
                self._informed(kind, body)
            case ReferReceived() | ReferProgress() | ReferEnded():
                self._refer(event)
            case Terminated(cause=cause):
                self.terminated(cause)
            case ReinviteRejected():
                pass  # the session goes on as it was
            case _:
                self._handle_own(event)

    def _handle_own(self, event: SipEvent) -> None:
        """Events of one kind of leg only."""

    def terminated(self, cause: Cause) -> None:
        """The dialog is over."""
        if not self._gone:
            self._leave(_cause_word(cause, self.id))

    def _reinvited(self, sdp: bytes | None) -> None:
        """Hold, a changed address, another codec: answered at once; what we cannot use is 488 and changes nothing."""
        session, now = self._session, self._wire.now()
        if session is None:
            return
        capabilities = self._place.capabilities
        if sdp is None:
            self._last = offer_answer.offer(capabilities, self._last)
            session.accept_reinvite(self._last.sdp, now)
        else:
            result = offer_answer.answer(sdp, capabilities, self._last)
            if isinstance(result, NotAcceptable):
                warning = (("Warning", result.warning),)
                session.reject_reinvite(_NOT_ACCEPTABLE, now, headers=warning)
            else:
                session.accept_reinvite(result.sdp, now)
                self._changed(result)
        self._wire.flush()

    def _their_answer(self, sdp: bytes | None) -> None:
        """The answer to an offer of ours: one that an empty re-INVITE asked for, or a refresh that changed something."""
        if sdp is None or self._last is None:
            return
        ours = self._last
        if isinstance(ours, Agreed):
            ours = offer_answer.offer(self._place.capabilities, ours)
        result = offer_answer.accept_answer(ours, sdp)
        if isinstance(result, Agreed):
            self._changed(result)

    def _informed(self, kind: str, body: bytes) -> None:
        digit = digit_of(kind, body)
        if digit is not None and self._media is not None:
            self._media.pressed(self.id, digit)

    def _refer(self, event: ReferEvent) -> None:
        if self.on_refer is not None:
            self.on_refer(self, event)
        elif isinstance(event, ReferReceived):
            event.session.reject_refer(403, self._wire.now())
            self._wire.flush()

    # ------------------------------------------------------------------------------- audio

    def _start_media(self, agreed: Agreed) -> None:
        """The audio path, at the rate of the codec agreed on first, which the slot keeps."""
        self._last = agreed
        if self._started:
            self._plane.apply(ChangeRtp(self._place.slot, self._parameters(agreed)))
            return
        self._started = True
        self._plane.apply(StartRtp(self._place.slot, self._parameters(agreed)))
        if self._media is not None:
            self._attached = True
            rate_hz = MediaCodec(agreed.codec.name).rate_hz
            self._media.attach(self.id, self._place.slot, rate_hz, phone=True)

    def _connect(self, agreed: Agreed) -> None:
        self._connected = True
        self._post(ConnectLeg(leg=self.id, codec=agreed.codec.name))
        self._follow_hold(agreed)

    def _changed(self, agreed: Agreed) -> None:
        """Before the answer of a call (UPDATE) it is the path that changes, not the call."""
        self._start_media(agreed)
        if self._connected:
            self._connect(agreed)

    def _parameters(self, agreed: Agreed) -> RtpParameters:
        source = self._session.flow.remote[0] if self._session is not None else ""
        return rtp_parameters(agreed, self._place.policy, source)

    def _follow_hold(self, agreed: Agreed) -> None:
        held = is_held(agreed)
        if held != self._held:
            self._held = held
            self._post(HoldCall(leg=self.id) if held else ResumeCall(leg=self.id))

    # ------------------------------------------------------------------------------- facts

    def measured(
        self, status: int, cause: str, pdd_ms: float | None = None, *, answered: bool = False
    ) -> None:
        """How an attempt at the trunk went; an answer is told once."""
        if self._measured:
            return
        self._measured = answered
        codec = self._last.codec.name if isinstance(self._last, Agreed) and answered else ""
        fact = TrunkMeasured(
            leg=self.id,
            trunk=self.trunk,
            direction=self.direction,
            status=status,
            answered=answered,
            cause=cause,
            codec=codec,
            pdd_ms=pdd_ms,
        )
        self._post(Report(actor="sip", events=(fact,)))

    def _leave(self, cause: str) -> None:
        self._gone = True
        self._post(RemoveLeg(leg=self.id, reason=cause))

    def _post(self, command: CallCommand) -> None:
        if self._call is not None:
            self._call.post(command)

    @property
    def is_answered(self) -> bool:
        return self._session is not None and self._session.phase in {
            Phase.ANSWERED,
            Phase.CONFIRMED,
        }


def _cause_word(cause: Cause, leg: LegId) -> str:
    return {
        EndKind.REMOTE: "caller_hung_up" if leg == CALLER else "target_hung_up",
        EndKind.CANCELLED: "cancelled",
        EndKind.TIMEOUT: "no_ack" if not cause.reason else "session_timer",
        EndKind.TRANSPORT: "unreachable",
        EndKind.REJECTED: "refused",
        EndKind.LOCAL: "ended",
    }[cause.kind]
