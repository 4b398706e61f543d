"""The desk: supervisors listen by a WebRTC leg of their own, take the floor with it, give it back, or pass it on.

Who may do what was checked by the web process; here only what the call's state allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from telephony.call.commands import (
    AddLeg,
    CallCommand,
    CancelTransfer,
    CompleteTransfer,
    EndCall,
    HandBack,
    RemoveLeg,
    RequestTransfer,
    StartListening,
    TakeFloor,
)
from telephony.call.errors import CallError, IllegalTransitionError, RequestError
from telephony.call.ids import LegId, TransferId, UserName
from telephony.call.transfer_events import TransferMode
from telephony.gateway.dial_order import DialRefusedError
from telephony.gateway.switchboard import LiveCall, Switchboard
from telephony.gateway.transfer import Transfers
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.media.errors import MediaError
from telephony.webrtc.errors import WebRtcError


class DeskGateway:
    """The requests `desk.*` (docs/wire.md). `new_leg_id`: names are never used twice in a call."""

    def __init__(
        self,
        board: Switchboard,
        make_leg: Callable[[LegId], WebRtcLeg],
        new_leg_id: Callable[[], LegId],
        transfers: Transfers,
    ) -> None:
        self._board = board
        self._transfers = transfers
        self._make_leg = make_leg
        self._new_leg_id = new_leg_id

    async def listen(self, call: str, who: str, sdp: str, key: str) -> tuple[LegId, str]:
        """The leg and its answer. Listening twice, even at once, replaces the connection of the first."""
        live, user = self._board.find(call), UserName(who)
        async with live.turns.setdefault(user, asyncio.Lock()):
            leg, answer = await self._joined(live, user, sdp)
            await live.session.submit(StartListening(actor=who, id=key, leg=leg.id, who=user))
        return leg.id, answer

    async def _joined(self, live: LiveCall, user: UserName, sdp: str) -> tuple[WebRtcLeg, str]:
        held = self._leg_of(live, user)
        leg = live.supervisors[held] if held is not None else self._make_leg(self._new_leg_id())
        try:
            answer = await leg.take_offer(sdp)
        except (WebRtcError, MediaError) as error:
            code = error.code if isinstance(error, WebRtcError) else "busy"
            raise RequestError(code, error.user_message) from error
        if held is None:
            await self._add(live, leg, user)
        return leg, answer

    async def _add(self, live: LiveCall, leg: WebRtcLeg, user: UserName) -> None:
        live.session.attach_leg(leg.id, leg)
        leg.bind(live.session, live.media)
        live.supervisors[leg.id] = leg
        add = AddLeg(actor=user, leg=leg.id, role="supervisor", transport="webrtc", who=user)
        try:
            await live.session.submit(add)
        except CallError:
            leg.close("refused")
            del live.supervisors[leg.id]
            raise

    async def stop(self, call: str, who: str, key: str) -> int:
        """The leg leaves; if it holds the floor, the floor returns to the agent first."""
        live, user = self._board.find(call), UserName(who)
        async with live.turns.setdefault(user, asyncio.Lock()):
            leg = self._leg_of(live, user)
            if leg is None:
                return live.session.state.seq
            seq = await live.session.submit(RemoveLeg(actor=who, id=key, leg=leg, reason="stopped"))
            live.supervisors.pop(leg, None)
            return seq

    async def take(self, call: str, who: str, force_reason: str, key: str) -> int:
        live, user = self._board.find(call), UserName(who)
        leg = self._leg_of(live, user)
        if leg is None:
            raise IllegalTransitionError("listen first")
        command = TakeFloor(actor=who, id=key, leg=leg, who=user, force_reason=force_reason)
        return await live.session.submit(command)

    async def give_back(self, call: str, who: str, brief: str, key: str) -> int:
        return await self._submit(call, HandBack(actor=who, id=key, who=UserName(who), brief=brief))

    async def end(self, call: str, who: str, key: str) -> int:
        command = EndCall(
            actor=who, id=key, cause="ended_by_supervisor", by="supervisor", who=UserName(who)
        )
        return await self._submit(call, command)

    # ------------------------------------------------------------------------------- transfers

    def check_transfer(self, call: str, destination: str) -> None:
        """Before a person at the desk decides, and before the caller hears anything of it. Raises: RequestError."""
        self._check(self._board.find(call), destination)

    def _check(self, live: LiveCall, destination: str) -> None:
        try:
            self._transfers.check(live, destination)
        except DialRefusedError as refused:
            raise RequestError(refused.reason, refused.user_message) from refused

    async def transfer(
        self, call: str, who: str, destination: str, mode: TransferMode, brief: str, key: str
    ) -> tuple[TransferId, int]:
        """Its name, by which the events tell how it goes. Where it may lead is judged now, and again when it is dialled.

        A repetition has the name and the answer of the first, whatever became of that.
        """
        live = self._board.find(call)
        name = live.asked.get(key)
        if name is None:
            # While there is another transfer, the call itself says no.
            if live.session.state.transfer is None:
                self._check(live, destination)
            name = live.asked[key] = self._transfers.new_id()
        command = RequestTransfer(
            actor=who,
            id=key,
            transfer=name,
            mode=mode,
            method=self._transfers.method_of(live, destination, mode),
            by="supervisor",
            who=UserName(who),
            destination=destination,
            brief=brief,
        )
        return name, await live.session.submit(command)

    async def complete_transfer(self, call: str, who: str, key: str) -> int:
        """Caller and target speak; by the caller's own trunk, without us, where that is set up."""
        release = self._transfers.takes_refer(self._board.find(call))
        command = CompleteTransfer(actor=who, id=key, who=UserName(who), release=release)
        return await self._submit(call, command)

    async def cancel_transfer(self, call: str, who: str, key: str) -> int:
        return await self._submit(call, CancelTransfer(actor=who, id=key, who=UserName(who)))

    async def _submit(self, call: str, command: CallCommand) -> int:
        return await self._board.find(call).session.submit(command)

    def _leg_of(self, live: LiveCall, user: UserName) -> LegId | None:
        """The supervisor's leg that is still there; legs that have left are tidied away."""
        for name in list(live.supervisors):
            leg = live.session.state.legs.get(name)
            if leg is None or leg.phase.value == "removed":
                live.supervisors.pop(name).close("gone")
            elif leg.who == user:
                return name
        return None
