"""Calls that we place: the request `outbound.dial` makes a call with an agent, and rings the other side.

Every order passes the outbound rules in the dialler, whoever asks. What becomes of it is in the call's log: ringing,
early media, the answer, or the cause of its end; figures of the trunk in `TrunkMeasured`.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from telephony.call.commands import EndCall, RingLeg
from telephony.call.errors import CallError, NoCapacityError, RequestError
from telephony.call.ids import CALLER, CallId
from telephony.call.ports import LegControl, NodeBus
from telephony.call.session import CallSession
from telephony.gateway.arguments import Args, optional_text, optional_whole, text, variables
from telephony.gateway.dial_order import Dial, DialFailure, Dialling, DialOrder, DialRefusedError
from telephony.gateway.greeting import GreetingWatch
from telephony.gateway.switchboard import Arrival, LiveCall, Switchboard
from telephony.gateway.trunk_address import headers_of_variables
from telephony.legs.call_audio import CallMedia
from telephony.media.errors import MediaError

log = logging.getLogger(__name__)

VOICE_HZ: Final = 8000
RING_S: Final = 45
LONGEST_RING_S: Final = 80
_REMEMBERED: Final = 1000
_NUMBER: Final = 128


class OutboundGateway:
    """The request `outbound.dial` (docs/wire.md)."""

    def __init__(self, board: Switchboard, dial: Dial) -> None:
        self._board = board
        self._dial = dial
        self._placed: OrderedDict[str, CallId] = OrderedDict()

    def bind(self, bus: NodeBus) -> None:
        bus.serve("outbound.dial", self._requested)

    async def _requested(self, args: Args) -> Mapping[str, Any]:
        return {"call": self.place(args)}

    def place(self, args: Args) -> CallId:
        """The call that is being placed. A repeated `id` places no second one. Raises: RequestError."""
        key = text(args, "id")
        if key not in self._placed:
            self._placed[key] = self._place(args)
            if len(self._placed) > _REMEMBERED:
                self._placed.popitem(last=False)
        return self._placed[key]

    def _place(self, args: Args) -> CallId:
        agent = text(args, "agent")
        choice = self._board.plan.agents.get(agent)
        if choice is None:
            raise RequestError("unknown_agent", "There is no published agent of this name.")
        if self._board.registry.refusal() is not None:
            raise RequestError("busy", NoCapacityError.user_message)
        given = variables(args)
        arrival = Arrival(
            direction="outbound",
            transport="sip",
            called=text(args, "destination", _NUMBER),
            caller=optional_text(args, "caller_id", _NUMBER),
            choice=choice,
            voice_rate_hz=VOICE_HZ,
            variables=given,
        )
        order = partial(
            DialOrder,
            leg=CALLER,
            destination=arrival.called,
            agent=agent,
            trunk=optional_text(args, "trunk", _NUMBER) or None,
            caller_id=arrival.caller or None,
            headers=headers_of_variables(given),
            ring_s=float(optional_whole(args, "ring_s", RING_S, 5, LONGEST_RING_S)),
        )
        try:
            live = self._opened(arrival, order)
        except DialRefusedError as refused:
            raise RequestError(refused.reason, refused.user_message) from refused
        except (CallError, MediaError) as error:
            raise RequestError("busy", error.user_message) from error
        log.info("call_placed", extra={"call_id": live.session.id, "agent": agent})
        return live.session.id

    def _opened(self, arrival: Arrival, order: partial[DialOrder]) -> LiveCall:
        """No phone rings for a call that could not be made."""
        diallings: list[Dialling] = []

        def join(session: CallSession, media: CallMedia) -> LegControl:
            diallings.append(self._dial(order(call=session, media=media), _Placed(session)))
            session.join(GreetingWatch(session))
            return diallings[0].leg

        try:
            return self._board.open(arrival, join)
        except Exception:
            for dialling in diallings:
                dialling.cancel()
            raise


class _Placed:
    """What becomes of the dialling goes to the call (`DialListener`)."""

    def __init__(self, session: CallSession) -> None:
        self._session = session

    def on_ringing(self, status: int) -> None:
        self._session.post(RingLeg(actor="sip", leg=CALLER))

    def on_early_media(self) -> None:
        self._session.post(RingLeg(actor="sip", leg=CALLER, early_media=True))

    def on_answered(self) -> None:
        """The leg has told the call already."""

    def on_failed(self, failure: DialFailure) -> None:
        self._session.post(EndCall(actor="sip", cause=failure.reason, by="system"))
