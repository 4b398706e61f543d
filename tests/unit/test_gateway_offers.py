"""Offers of browsers and desks while something else happens: twice at once, a call that ends meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import count
from typing import Any

import pytest

from telephony.call.commands import ConnectLeg, EndCall
from telephony.call.errors import CallGoneError, IllegalTransitionError, RequestError
from telephony.call.ids import CALLER, LegId
from telephony.call.state import Phase
from telephony.dialplan import AgentChoice, DialPlan, Widget
from telephony.gateway.browser import BrowserGateway
from telephony.gateway.desk import DeskGateway
from telephony.gateway.resume import ResumeTokens
from telephony.gateway.switchboard import Switchboard
from telephony.gateway.transfer import TransferParts, Transfers
from telephony.legs import webrtc_leg
from telephony.legs.webrtc_leg import WebRtcLeg
from telephony.webrtc.peer import PeerSettings, PeerState
from tests.fakes.calls import CallBench, settle
from tests.fakes.dialler import FakeDialler
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeWire

PAGE = "http://127.0.0.1:8000"


class Peer:
    """A peer connection that answers an offer as soon as `gate` is open."""

    gate: asyncio.Event
    made: list[Peer]

    def __init__(self, *_: object, **__: object) -> None:
        self.remote, self.state = None, PeerState.CONNECTING
        self.closed = 0
        Peer.made.append(self)

    async def accept(self, sdp: str) -> str:
        await Peer.gate.wait()
        return f"answer to {sdp}"

    async def close(self, reason: str) -> None:
        self.closed += 1

    def send_rtp(self, packet: bytes) -> bool:
        return True


class House:
    """A switchboard of real legs on a fake plane, with one browser call in it."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.bench = CallBench(max_calls=2)
        self.plane = FakePlane()
        self.dialler = FakeDialler(self.plane)
        clock, numbers = self.bench.clock, count(1)
        self.board = Switchboard(self.bench.registry, self.plane, clock, None)
        choice = AgentChoice("desk", 3, {})
        self.board.plan = DialPlan(1, {}, {"k": Widget("k", choice, frozenset({PAGE}))})
        tokens = ResumeTokens(lambda: f"token{next(numbers)}", life_s=30.0)
        self.browser = BrowserGateway(self.board, lambda: self.leg(CALLER), tokens, clock)
        names = (LegId(f"desk-{number}") for number in count(1))
        transfers = Transfers(
            TransferParts(
                plan=lambda: self.board.plan,
                dial=self.dialler.dial,
                check=self.dialler.check,
                refer_uri=self.dialler.refer_uri,
                wire=FakeWire(),
                plane=self.plane,
                new_id=lambda: "t1",
            )
        )
        self.board.accompany(transfers.companion)
        self.desk = DeskGateway(self.board, self.leg, lambda: next(names), transfers)
        self.call = self.token = ""

    def leg(self, name: LegId) -> WebRtcLeg:
        return WebRtcLeg(name, self.plane, PeerSettings(), self.bench.clock, self.spawn)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def begin(self) -> None:
        self.call, _, self.token = await self.browser.start("k", PAGE, "first", {})
        await self.board.find(self.call).session.submit(ConnectLeg(leg=CALLER, codec="opus"))

    async def end(self) -> None:
        session = self.board.find(self.call).session
        session.post(EndCall(cause="bye", by="caller"))
        await session.wait_closed()
        await settle()


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(webrtc_leg, "WebRtcPeer", Peer)
    Peer.gate, Peer.made = asyncio.Event(), []
    Peer.gate.set()
    yield
    Peer.made = []


@pytest.fixture
async def house(peers: None) -> House:
    house = House()
    await house.begin()
    return house


async def test_two_offers_at_once_by_one_person_make_one_leg(house: House) -> None:
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(house.desk.listen(house.call, "ann", "one", "1"))
        second = group.create_task(house.desk.listen(house.call, "ann", "two", "2"))
        await settle()
        Peer.gate.set()
    assert first.result() == ("desk-1", "answer to one")
    assert second.result() == ("desk-1", "answer to two")
    assert list(house.board.find(house.call).supervisors) == ["desk-1"]


async def test_a_browser_may_come_back_before_its_first_connection_is_up(peers: None) -> None:
    house = House()
    call, _, token = await house.browser.start("k", PAGE, "first", {})
    assert (await house.browser.resume(token, "again"))[:2] == (call, "answer to again")
    await settle()
    assert house.board.find(call).session.state.phase is Phase.RINGING


async def test_two_people_do_not_wait_for_each_other(house: House) -> None:
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(house.desk.listen(house.call, "ann", "one", "1"))
        group.create_task(house.desk.listen(house.call, "bob", "two", "2"))
        await settle()
        assert len(Peer.made) == 3
        Peer.gate.set()
    assert list(house.board.find(house.call).supervisors) == ["desk-1", "desk-2"]


async def test_a_browser_does_not_come_back_into_a_call_that_ends_meanwhile(house: House) -> None:
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        back = group.create_task(refused(house.browser.resume(house.token, "again")))
        await settle()
        await house.end()
        Peer.gate.set()
    assert back.result() == "expired"
    assert [peer.closed for peer in Peer.made] == [1, 1]
    assert await refused(house.browser.resume("token2", "again")) == "expired"


async def test_a_desk_gets_no_leg_in_a_call_that_ends_meanwhile(house: House) -> None:
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(refused(house.desk.listen(house.call, "ann", "one", "1")))
        await settle()
        await house.end()
        Peer.gate.set()
    assert listening.result() == "call_gone"
    await settle()
    assert house.plane.live == set()
    assert all(peer.closed for peer in Peer.made)


async def test_a_desk_that_comes_back_while_the_call_ends_leaves_nothing(house: House) -> None:
    await house.desk.listen(house.call, "ann", "one", "1")
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        again = group.create_task(refused(house.desk.listen(house.call, "ann", "two", "2")))
        await settle()
        await house.end()
        Peer.gate.set()
    assert again.result() == "call_gone"
    assert all(peer.closed for peer in Peer.made)
    assert house.plane.live == set()


async def test_a_browser_refused_for_want_of_a_line_leaves_no_slot(peers: None) -> None:
    house = House()
    Peer.gate.clear()
    async with asyncio.TaskGroup() as group:
        starting = group.create_task(refused(house.browser.start("k", PAGE, "first", {})))
        await settle()
        house.bench.admission.draining = True
        Peer.gate.set()
    await settle()
    assert starting.result() == "busy"
    assert house.plane.live == set()
    assert [peer.closed for peer in Peer.made] == [1]


async def refused(request: Coroutine[Any, Any, Any]) -> str:
    with pytest.raises((RequestError, CallGoneError)) as refusal:
        await request
    return str(refusal.value.code)


async def test_a_target_that_may_not_be_called_is_refused_before_the_call_knows_of_it(
    house: House,
) -> None:
    house.desk.check_transfer(house.call, "+15550123")
    house.dialler.refused = "destination"
    before = house.board.find(house.call).session.state
    with pytest.raises(RequestError) as checked:
        house.desk.check_transfer(house.call, "+15550123")
    with pytest.raises(RequestError) as asked:
        await house.desk.transfer(house.call, "ann", "+15550123", "blind", "", "k1")
    for refused in (checked.value, asked.value):
        assert (refused.code, refused.text) == ("destination", "That number may not be called.")
    assert house.board.find(house.call).session.state == before


async def test_a_supervisor_transfers_completes_nothing_too_early_and_cancels(house: House) -> None:
    name, seq = await house.desk.transfer(house.call, "ann", "+15550123", "blind", "", "k1")
    again = await house.desk.transfer(house.call, "ann", "+15550123", "blind", "", "k1")
    state = house.board.find(house.call).session.state
    assert (name, again[1], state.transfer and state.transfer.who) == ("t1", seq, "ann")
    with pytest.raises(IllegalTransitionError):
        await house.desk.complete_transfer(house.call, "ann", "k2")
    await house.desk.cancel_transfer(house.call, "ann", "k3")
    assert house.board.find(house.call).session.state.transfer is None
    await house.end()


async def test_who_has_not_taken_the_call_cannot_speak_with_the_target_first(house: House) -> None:
    with pytest.raises(IllegalTransitionError):
        await house.desk.transfer(house.call, "ann", "200", "attended", "", "k1")
    await house.end()
