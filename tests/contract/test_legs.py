"""What every kind of leg does for its call: connects when answered, tells when it is gone, ends once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from telephony.call.commands import CallCommand, ConnectLeg, LoseLeg, RemoveLeg
from telephony.call.ids import CALLER
from telephony.call.ports import LegControl
from telephony.call.timers import LoopScheduler
from telephony.legs.call_audio import CallMedia
from telephony.legs.incoming_leg import IncomingLeg
from telephony.legs.loopback_leg import LoopbackLeg
from telephony.legs.sip_media import LegPolicy, reserve
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.sip.session import Cause, EndKind
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeSession, FakeWire

OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 7000 RTP/AVP 0\r\n"
)


class Calls:
    def __init__(self) -> None:
        self.posted: list[CallCommand] = []
        self.news = asyncio.Event()

    def post(self, command: CallCommand) -> None:
        self.posted.append(command)
        self.news.set()

    async def until(self, *kinds: type[CallCommand]) -> CallCommand:
        async with asyncio.timeout(5):
            while True:
                for command in self.posted:
                    if isinstance(command, kinds):
                        return command
                self.news.clear()
                await self.news.wait()


class FarEnd(Protocol):
    @property
    def leg(self) -> LegControl: ...

    async def hang_up(self) -> None: ...


class _Loopback:
    def __init__(self, calls: Calls) -> None:
        self.leg = LoopbackLeg()
        self.leg.bind(calls)

    async def hang_up(self) -> None:
        self.leg.hang_up()


class _Sip:
    def __init__(self, calls: Calls, plane: FakePlane, media: CallMedia) -> None:
        place, agreed = reserve(plane, LegPolicy(address="127.0.0.1"), OFFER, "127.0.0.1")
        self.leg = IncomingLeg(FakeSession(), FakeWire(), plane, place, agreed)
        self.leg.bind(calls, media)

    async def hang_up(self) -> None:
        self.leg.terminated(Cause(EndKind.REMOTE))


class _WebRtc:
    """The far end is a peer of our own on loopback."""

    def __init__(self, calls: Calls, plane: FakePlane, media: CallMedia, spawn: Any) -> None:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        settings = PeerSettings(addresses=("127.0.0.1",))
        self.leg = WebRtcLeg(CALLER, plane, settings, scheduler, spawn)
        self._peer = WebRtcPeer(
            settings, scheduler, spawn, on_rtp=lambda _: None, on_state=self._state
        )
        self._connected = asyncio.Event()
        self._bind: Callable[[], object] = lambda: self.leg.bind(calls, media)

    def _state(self, state: PeerState, reason: str) -> None:
        if state is PeerState.CONNECTED:
            self._connected.set()

    async def call(self) -> None:
        answer = await self.leg.take_offer(await self._peer.offer())
        self._bind()
        self._peer.take_answer(answer)
        async with asyncio.timeout(5):
            await self._connected.wait()

    async def hang_up(self) -> None:
        await self._peer.close()


@asynccontextmanager
async def far_end(kind: str, calls: Calls, plane: FakePlane) -> AsyncIterator[FarEnd]:
    media = CallMedia(plane, LoopScheduler(asyncio.get_running_loop()), 16000)
    async with asyncio.TaskGroup() as group:

        def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
            group.create_task(work, name=name)

        if kind == "loopback":
            yield _Loopback(calls)
        elif kind == "sip":
            yield _Sip(calls, plane, media)
        else:
            end = _WebRtc(calls, plane, media, spawn)
            await end.call()
            yield end
            end.leg.close("test over")
            await end.hang_up()
    media.close()


@pytest.fixture(params=["loopback", "sip", "webrtc"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_an_answered_leg_connects_with_its_codec(kind: str) -> None:
    calls = Calls()
    async with far_end(kind, calls, FakePlane()) as end:
        end.leg.answer()
        connected = await calls.until(ConnectLeg)
    assert isinstance(connected, ConnectLeg)
    assert connected.leg == CALLER
    assert connected.codec in {"PCMU", "opus", "loopback"}


async def test_a_far_end_that_leaves_is_told(kind: str) -> None:
    calls = Calls()
    async with far_end(kind, calls, FakePlane()) as end:
        end.leg.answer()
        await calls.until(ConnectLeg)
        await end.hang_up()
        gone = await calls.until(RemoveLeg, LoseLeg)
    assert isinstance(gone, LoseLeg if kind == "webrtc" else RemoveLeg)


async def test_a_closed_leg_ends_once_and_tells_nothing(kind: str) -> None:
    calls, plane = Calls(), FakePlane()
    async with far_end(kind, calls, plane) as end:
        end.leg.answer()
        await calls.until(ConnectLeg)
        before = list(calls.posted)
        end.leg.close("done")
        end.leg.close("done")
        await asyncio.sleep(0.05)
        assert calls.posted == before
    assert plane.live == set()
