"""The leg of a phone that called us: rung, answered, refused; with early media where somebody else is rung for it."""

from __future__ import annotations

from typing import Final, Self

from telephony.call.commands import RingLeg
from telephony.call.ids import CALLER, LegId
from telephony.legs.call_audio import CallMedia
from telephony.legs.plane_port import Plane
from telephony.legs.sip_leg import Calls, SipLeg, Wire
from telephony.legs.sip_media import RtpPlace
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Offer
from telephony.sip.errors import CAUSES, SipError, cause_of_status
from telephony.sip.events import InviteAcked, SipEvent
from telephony.sip.message import HeaderPair
from telephony.sip.session import Cause, IncomingSession, Phase

_OK: Final = 200
_RINGING: Final = 180
_PROGRESS: Final = 183
_UNANSWERED: Final = frozenset({Phase.INCOMING, Phase.RINGING})
_STATUS: Final = {row.name: row.status for row in reversed(CAUSES) if row.status >= 400}
_NOBODY: Final = 480


class IncomingLeg(SipLeg):
    """`agreed` None: a late offer, ours goes out in the 200."""

    def __init__(
        self,
        session: IncomingSession,
        wire: Wire,
        plane: Plane,
        place: RtpPlace,
        agreed: Agreed | None,
        leg: LegId = CALLER,
    ) -> None:
        super().__init__(leg, wire, plane, place)
        self._session: IncomingSession = session
        self._last = agreed
        self._refusal: int | None = None
        self._refusal_headers: tuple[HeaderPair, ...] = ()

    def bind(self, call: Calls, media: CallMedia) -> Self:
        """The call this leg belongs to; before its `StartCall`."""
        self._call, self._media = call, media
        return self

    @property
    def username(self) -> str | None:
        return self._session.username

    def refuse_with(self, status: int, retry_after_s: int | None) -> None:
        """What the caller is told if nobody takes the call; without this, why nobody did."""
        self._refusal = status
        if retry_after_s:
            self._refusal_headers = (("Retry-After", str(retry_after_s)),)

    # ------------------------------------------------------------------------------- LegControl

    def ring(self, *, early_media: bool) -> None:
        """180, or 183 with our SDP: the caller hears whom we ring for them."""
        if self._gone or self._session.phase not in _UNANSWERED:
            return
        agreed = self._last if early_media and isinstance(self._last, Agreed) else None
        sdp = None if agreed is None else agreed.sdp
        try:
            self._session.ring(
                self._wire.now(), status=_RINGING if sdp is None else _PROGRESS, sdp=sdp
            )
        except SipError:
            return  # a ringing that comes too late says nothing
        self._wire.flush()
        if agreed is not None and not self._started:
            self._start_media(agreed)
            self._post(RingLeg(leg=self.id, early_media=True))

    def answer(self) -> None:
        """200 OK with our SDP; the audio path is up from then on, or from the ACK of a late offer."""
        if self._gone or self.is_answered:
            return
        if self._last is None:
            self._last = offer_answer.offer(self._place.capabilities)
        try:
            self._session.answer(self._last.sdp, self._wire.now())
        except SipError:
            self._leave("cancelled")
            return
        self._wire.flush()
        if isinstance(self._last, Agreed):
            self._up(self._last)

    def _hang_up(self, cause: str) -> None:
        if self._session.phase not in _UNANSWERED:
            super()._hang_up(cause)
            return
        status = self._refusal or _STATUS.get(cause, _NOBODY)
        self.measured(status, cause_of_status(status).name)
        self._session.reject(status, self._wire.now(), headers=self._refusal_headers)
        self._wire.flush()

    # ------------------------------------------------------------------------------- from the engine

    def _handle_own(self, event: SipEvent) -> None:
        if isinstance(event, InviteAcked):
            self._acked(event.sdp)

    def _acked(self, sdp: bytes | None) -> None:
        """The ACK of our 200: with a late offer it brings the answer."""
        if self._started or not isinstance(self._last, Offer):
            return
        result = None if sdp is None else offer_answer.accept_answer(self._last, sdp)
        if isinstance(result, Agreed):
            self._up(result)
        else:
            self._leave("incompatible_media")
            self._session.bye(self._wire.now())
            self._wire.flush()

    def terminated(self, cause: Cause) -> None:
        if not self._connected and not self._gone:
            status = cause.status or 487
            self.measured(status, cause_of_status(status).name)
        super().terminated(cause)

    def _up(self, agreed: Agreed) -> None:
        self._start_media(agreed)
        self.measured(_OK, "normal", answered=True)
        self._connect(agreed)
