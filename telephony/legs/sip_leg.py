"""A caller by SIP: one dialog and one RTP slot. Answers, follows re-INVITEs, and says what became of the call.

The hold state is ours: it follows the direction that our own last answer gave, not the words of their offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Final, Protocol

from telephony.call.commands import CallCommand, ConnectLeg, HoldCall, RemoveLeg, ResumeCall
from telephony.call.ids import CALLER
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.media.commands import ChangeRtp, Remove, StartRtp
from telephony.media.handles import SlotHandle
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Capabilities, NotAcceptable, Offer
from telephony.sip.errors import SipError, reason_header
from telephony.sip.session import Cause, EndKind, IncomingSession, Phase

SIP_RATE_HZ: Final = 8000
_Q850_NORMAL: Final = 16


class Wire(Protocol):
    """The sockets behind the engine: `telephony.sip.transport.SipTransport`."""

    def now(self) -> float: ...
    def flush(self) -> None:
        """Sends what the engine wants sent; after each verb of a session."""


class Calls(Protocol):
    """Where the leg's facts go: the mailbox of its call."""

    def post(self, command: CallCommand) -> None: ...


class UnacceptableOfferError(Exception):
    """The SDP cannot be used; `warning` is the value of a Warning header for the 488."""

    def __init__(self, reason: str, warning: str) -> None:
        super().__init__(reason)
        self.warning = warning


@dataclass(frozen=True, slots=True)
class RtpPlace:
    """A reserved slot and what our SDP says of it."""

    slot: SlotHandle
    capabilities: Capabilities


def reserve(
    plane: Plane, address: str, offer: bytes | None, source: str
) -> tuple[RtpPlace, Agreed | None]:
    """Judges the offer and reserves a slot for it; without an offer only the slot. `source`: who sent the INVITE.

    Raises: UnacceptableOfferError, NoMediaCapacityError.
    """
    if offer is None:
        slot, port = plane.reserve_rtp(None, nat=True)
        return RtpPlace(slot, Capabilities(address, port)), None
    tried = _accepted(offer_answer.answer(offer, Capabilities(address, 9)))
    remote = (tried.remote_address, tried.remote_port)
    slot, port = plane.reserve_rtp(remote, nat=tried.remote_address != source)
    capabilities = Capabilities(address, port)
    return RtpPlace(slot, capabilities), _accepted(offer_answer.answer(offer, capabilities))


def _accepted(result: Agreed | NotAcceptable) -> Agreed:
    if isinstance(result, NotAcceptable):
        raise UnacceptableOfferError(result.reason, result.warning)
    return result


def rtp_parameters(agreed: Agreed, source: str) -> RtpParameters:
    """What the plane needs of an agreement. `source`: where the signalling came from, for phones behind NAT."""
    behind_nat = agreed.remote_address != source and _is_ipv4(source)
    networks = (IPv4Network(source),) if behind_nat else ()
    return RtpParameters(
        remote=(agreed.remote_address, agreed.remote_port),
        payload_type=agreed.send_payload_type,
        codec=MediaCodec(agreed.codec.name),
        accepted=tuple((number, MediaCodec(codec.name)) for number, codec in agreed.accepted),
        dtmf_payload_type=agreed.dtmf_receive_type,
        dtmf_send_payload_type=agreed.dtmf_send_type,
        dtmf_rate_hz=agreed.dtmf_rate_hz,
        comfort_noise_payload_type=agreed.comfort_noise_type,
        media_networks=networks,
        ptime_ms=agreed.ptime_ms,
        sending=agreed.direction.sends,
        receiving=agreed.direction.receives,
        rtcp_mux=agreed.rtcp_mux,
        remote_rtcp=agreed.remote_rtcp,
        srtp=agreed.crypto,
        fec=agreed.fec,
        max_bitrate=agreed.max_bitrate,
    )


def _is_ipv4(host: str) -> bool:
    return host.count(".") == 3 and ":" not in host


class SipLeg:
    """The caller's leg (`LegControl`). `agreed` None: a late offer, ours goes out in the 200."""

    def __init__(
        self,
        session: IncomingSession,
        wire: Wire,
        plane: Plane,
        place: RtpPlace,
        agreed: Agreed | None,
    ) -> None:
        self._session = session
        self._wire = wire
        self._plane = plane
        self._place = place
        self._last: Agreed | Offer | None = agreed
        self._started = False
        self._held = False
        self._gone = False
        self._call: Calls | None = None
        self._media: CallMedia | None = None

    def bind(self, call: Calls, media: CallMedia) -> None:
        """The call this leg belongs to; before its `StartCall`."""
        self._call, self._media = call, media
        media.attach(CALLER, self._place.slot, SIP_RATE_HZ)

    # ------------------------------------------------------------------------------- LegControl

    def answer(self) -> None:
        """200 OK with our SDP; the audio path is up from then on, or from the ACK of a late offer."""
        if self._gone:
            return
        late = self._last is None
        if self._last is None:
            self._last = offer_answer.offer(self._place.capabilities)
        try:
            self._session.answer(self._last.sdp, self._wire.now())
        except SipError:
            self._leave("cancelled")
            return
        self._wire.flush()
        if not late and isinstance(self._last, Agreed):
            self._start_media(self._last)

    def close(self, cause: str) -> None:
        """BYE, CANCEL or a final refusal, whichever the phase asks for. Idempotent."""
        if not self._gone:
            self._gone = True
            self._session.bye(self._wire.now(), reason=reason_header(_Q850_NORMAL, cause))
            self._wire.flush()
        if self._media is not None:
            self._media.detach(CALLER)
        else:
            self._plane.apply(Remove(self._place.slot))

    # ------------------------------------------------------------------------------- from the engine

    def acked(self, sdp: bytes | None) -> None:
        """The ACK of our 200: with a late offer it brings the answer."""
        if self._started or not isinstance(self._last, Offer):
            return
        result = None if sdp is None else offer_answer.accept_answer(self._last, sdp)
        if isinstance(result, Agreed):
            self._last = result
            self._start_media(result)
        else:
            self._leave("incompatible_media")
            self.close("incompatible_media")

    def reinvited(self, sdp: bytes | None) -> None:
        """Hold, a changed address, another codec: answered at once; what we cannot use is 488 and changes nothing."""
        now = self._wire.now()
        if sdp is None:
            self._last = offer_answer.offer(self._place.capabilities, self._last)
            self._session.accept_reinvite(self._last.sdp, now)
        else:
            result = offer_answer.answer(sdp, self._place.capabilities, self._last)
            if isinstance(result, NotAcceptable):
                warning = (("Warning", result.warning),)
                self._session.reject_reinvite(488, now, headers=warning)
            else:
                self._session.accept_reinvite(result.sdp, now)
                self._changed(result)
        self._wire.flush()

    def reinvite_acked(self, sdp: bytes | None) -> None:
        """The answer to the offer that an empty re-INVITE had asked for."""
        if sdp is not None and isinstance(self._last, Offer):
            result = offer_answer.accept_answer(self._last, sdp)
            if isinstance(result, Agreed):
                self._changed(result)

    def terminated(self, cause: Cause) -> None:
        """The dialog is over; the last event of it."""
        if not self._gone:
            self._leave(_cause_word(cause))

    # -------------------------------------------------------------------------------

    def _start_media(self, agreed: Agreed) -> None:
        self._started = True
        self._plane.apply(StartRtp(self._place.slot, self._parameters(agreed)))
        self._post(ConnectLeg(leg=CALLER, codec=agreed.codec.name))
        self._follow_hold(agreed)

    def _changed(self, agreed: Agreed) -> None:
        self._last = agreed
        self._plane.apply(ChangeRtp(self._place.slot, self._parameters(agreed)))
        self._post(ConnectLeg(leg=CALLER, codec=agreed.codec.name))
        self._follow_hold(agreed)

    def _parameters(self, agreed: Agreed) -> RtpParameters:
        parameters = rtp_parameters(agreed, self._session.flow.remote[0])
        if parameters.remote[0] == "0.0.0.0":  # the hold of RFC 2543: nowhere to send to
            return replace(parameters, sending=False, remote=(self._session.flow.remote[0], 9))
        return parameters

    def _follow_hold(self, agreed: Agreed) -> None:
        held = not agreed.direction.sends or agreed.remote_address == "0.0.0.0"
        if held != self._held:
            self._held = held
            self._post(HoldCall(leg=CALLER) if held else ResumeCall(leg=CALLER))

    def _leave(self, cause: str) -> None:
        self._gone = True
        self._post(RemoveLeg(leg=CALLER, reason=cause))

    def _post(self, command: CallCommand) -> None:
        if self._call is not None:
            self._call.post(command)

    @property
    def answered(self) -> bool:
        return self._session.phase in {Phase.ANSWERED, Phase.CONFIRMED}


def _cause_word(cause: Cause) -> str:
    return {
        EndKind.REMOTE: "caller_hung_up",
        EndKind.CANCELLED: "cancelled",
        EndKind.TIMEOUT: "no_ack",
        EndKind.TRANSPORT: "unreachable",
        EndKind.REJECTED: "refused",
        EndKind.LOCAL: "ended",
    }[cause.kind]
