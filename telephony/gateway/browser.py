"""Browser callers: an offer and a widget key make a call, a resume token brings one back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from telephony.call.commands import EndCall, Report
from telephony.call.errors import CallGoneError, NoCapacityError, RequestError
from telephony.call.events import LegLost, Recorded, SegmentHeard
from telephony.call.ids import CALLER, CallId
from telephony.call.ports import Clock, MediaFact
from telephony.call.state import CallState
from telephony.gateway.resume import ResumeTokens
from telephony.gateway.switchboard import Arrival, LiveCall, Switchboard
from telephony.legs.webrtc_leg import WEBRTC_RATE_HZ, WebRtcLeg
from telephony.media.errors import MediaError
from telephony.webrtc.errors import WebRtcError

log = logging.getLogger(__name__)


class BrowserGateway:
    """The requests `widget.*` (docs/wire.md). Refusals are `RequestError`s with the codes of the widget's protocol."""

    def __init__(
        self,
        board: Switchboard,
        make_leg: Callable[[], WebRtcLeg],
        tokens: ResumeTokens,
        clock: Clock,
    ) -> None:
        self._board = board
        self._make_leg = make_leg
        self._tokens = tokens
        self._clock = clock
        self._legs: dict[CallId, WebRtcLeg] = {}

    async def start(
        self, key: str, origin: str, sdp: str, variables: Mapping[str, str]
    ) -> tuple[CallId, str, str]:
        """Call, answer and resume token."""
        choice = self._board.plan.for_widget(key, origin)
        if choice is None:
            raise RequestError("origin", "This page may not place calls.")
        if self._board.registry.refusal() is not None:
            raise RequestError("busy", NoCapacityError.user_message)
        leg = self._make_leg()
        answer = await self._answered(leg, sdp)
        arrival = Arrival(
            transport="webrtc",
            called=key,
            caller="",
            choice=choice,
            voice_rate_hz=WEBRTC_RATE_HZ,
            variables=variables,
        )
        try:
            live = self._board.open(arrival, leg.bind)
        except (NoCapacityError, MediaError) as error:
            leg.close("busy")
            raise RequestError("busy", error.user_message) from error
        call = live.session.id
        self._legs[call] = leg
        live.session.join(_TokenKeeper(call, self._tokens, self._clock, self._legs))
        log.info("call_taken", extra={"call_id": call, "transport": "webrtc"})
        return call, answer, self._tokens.issue(call)

    async def resume(self, token: str, sdp: str) -> tuple[CallId, str, str]:
        """The same call on a new connection. A token whose offer could not be used is spent as well."""
        call = self._tokens.redeem(token, self._clock.monotonic())
        leg = self._legs.get(call) if call is not None else None
        if call is None or leg is None:
            raise RequestError("expired", "This call is over.")
        try:
            answer = await self._answered(leg, sdp)
        except CallGoneError as error:  # it ended while the offer was answered
            raise RequestError("expired", "This call is over.") from error
        return call, answer, self._tokens.issue(call)

    async def _answered(self, leg: WebRtcLeg, sdp: str) -> str:
        try:
            return await leg.take_offer(sdp)
        except WebRtcError as error:
            raise RequestError(error.code, error.user_message) from error
        except MediaError as error:
            raise RequestError("busy", error.user_message) from error

    def text(self, call: str, text: str) -> None:
        """Typed instead of spoken: a segment of the caller, with the widget as its actor."""
        live = self._live(call)
        now_s = live.session.now_s()
        segment = SegmentHeard(
            leg=CALLER,
            role="caller",
            turn=None,
            text=text,
            start_s=now_s,
            end_s=now_s,
            pause_before_s=0.0,
            confidence=1.0,
        )
        live.session.post(Report(actor="widget", events=(segment,)))

    def end(self, call: str) -> None:
        """The caller's button. Harmless if the call is over."""
        try:
            live = self._live(call)
        except CallGoneError:
            return
        live.session.post(EndCall(actor="widget", cause="caller_hung_up", by="caller"))

    def _live(self, call: str) -> LiveCall:
        live = self._board.find(call)
        if live.session.id not in self._legs:
            raise CallGoneError("not a browser call")
        return live


class _TokenKeeper:
    """Starts a token's life when the leg is lost, and forgets it when the call ends."""

    def __init__(
        self, call: CallId, tokens: ResumeTokens, clock: Clock, legs: dict[CallId, WebRtcLeg]
    ) -> None:
        self._call = call
        self._tokens = tokens
        self._clock = clock
        self._legs = legs

    def on_event(self, record: Recorded, state: CallState) -> None:
        if isinstance(record.event, LegLost) and record.event.leg == CALLER:
            self._tokens.lost(self._call, self._clock.monotonic())

    def on_media(self, fact: MediaFact) -> None:
        """Not of interest."""

    async def close(self) -> None:
        self._tokens.forget(self._call)
        self._legs.pop(self._call, None)
