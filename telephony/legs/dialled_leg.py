"""The leg of a phone that we call: offers, early media, the answer. One leg outlives several attempts at trunks."""

from __future__ import annotations

from typing import Final, Literal, Self

from telephony.call.ids import LegId
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.legs.sip_leg import Calls, SipLeg, Wire
from telephony.legs.sip_media import (
    Addresses,
    LegPolicy,
    RtpPlace,
    UnacceptableOfferError,
    policy_of,
)
from telephony.media.commands import Remove
from telephony.media.errors import NoMediaCapacityError
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Offer
from telephony.sip.events import Provisional
from telephony.sip.session import OutgoingSession
from telephony.trunks import Extension, Trunk

_OK: Final = 200


class DialledLeg(SipLeg):
    """`addresses`: what our SDP names as ours, where the trunk does not say otherwise.

    Raises: NoMediaCapacityError.
    """

    direction: Literal["inbound", "outbound"] = "outbound"

    def __init__(self, leg: LegId, wire: Wire, plane: Plane, addresses: Addresses) -> None:
        policy = LegPolicy(address=addresses.towards("")[0])
        slot, port = plane.reserve_rtp(None, nat=True, v6=policy.v6)
        super().__init__(leg, wire, plane, RtpPlace(slot, port, policy))
        self._addresses = addresses
        self._offer: Offer | None = None
        self._fork = ""

    def bind(self, call: Calls, media: CallMedia) -> Self:
        """The call this leg belongs to; before the first INVITE."""
        self._call, self._media = call, media
        return self

    # ------------------------------------------------------------------------------- attempts

    def offer(
        self,
        trunk: Trunk | None,
        *,
        secure: bool | None = None,
        phone: Extension | None = None,
        towards: str = "",
    ) -> bytes:
        """SDP for the next INVITE. `secure` None: as the trunk's transport is; `towards`: the address it is sent to.

        Raises: UnacceptableOfferError for a trunk that wants SRTP over signalling that everybody can read, and where
        our audio cannot be of the address's family.
        """
        encrypted = trunk is not None and trunk.transport == "tls" if secure is None else secure
        ours = self._addresses.towards(towards)[0]
        policy = policy_of(trunk, (ours, ""), secure=encrypted, phone=phone)
        policy = policy.heard_from(towards)
        self._take_place(policy)
        self._offer = self._last = offer_answer.offer(self._place.capabilities)
        self._fork = ""
        return self._offer.sdp

    def _take_place(self, policy: LegPolicy) -> None:
        """A port of the family of our address, in place of one of the other family."""
        slot, port = self._place.slot, self._place.port
        if policy.v6 is not self._place.policy.v6:
            warning = '301 voiceapp "network address format not available"'
            if self._started:
                raise UnacceptableOfferError("audio of the other family has begun", warning)
            try:
                slot, port = self._plane.reserve_rtp(None, nat=True, v6=policy.v6)
            except NoMediaCapacityError as error:
                raise UnacceptableOfferError("no port of this family", warning) from error
            self._plane.apply(Remove(self._place.slot))
        self._place = RtpPlace(slot, port, policy)

    def invited(self, session: OutgoingSession) -> None:
        """The INVITE with that SDP has left."""
        self._session = session

    def early(self, event: Provisional) -> bool:
        """An 18x with SDP: the first phone that sends audio is heard. True if it is this one, for the first time."""
        if self._gone or self._offer is None or event.sdp is None or self._fork:
            return False
        result = offer_answer.accept_answer(self._offer, event.sdp)
        if not isinstance(result, Agreed):
            return False
        self._fork = event.fork or "early"
        self._start_media(result)
        return True

    def answered(self, sdp: bytes | None, pdd_ms: float | None) -> bool:
        """The answer, whose SDP may have come before. False if it cannot be used: BYE was sent."""
        agreed: Agreed | None = self._last if isinstance(self._last, Agreed) else None
        if sdp is not None and self._offer is not None:
            result = offer_answer.accept_answer(self._offer, sdp)
            agreed = result if isinstance(result, Agreed) else None
        if agreed is None or self._gone:
            self._hang_up("incompatible_media")
            return False
        self._start_media(agreed)
        self.measured(_OK, "normal", pdd_ms, answered=True)
        self._connect(agreed)
        return True

    def failed(self) -> None:
        """Nobody answered. The slot is given back; whoever ordered the call says what follows."""
        self._gone = True
        self._give_back()
