"""What phones may ask by REFER and Replaces, and persons who are rung for a caller."""

from __future__ import annotations

from typing import Any

import pytest

from telephony.call.ids import CALLER
from telephony.call.state import Phase
from telephony.gateway.replacement import ReplacementParts, Replacements
from telephony.gateway.ringing import PAUSE_S, Ringing, RingOrder
from telephony.legs.sip_media import LegPolicy
from telephony.sip.events import (
    IncomingInvite,
    ReferReceived,
    Terminated,
)
from telephony.sip.message import Headers
from telephony.sip.session import Cause, EndKind, IncomingRefer, Replaces
from tests.fakes.calls import settle
from tests.fakes.sip_session import FakeSession
from tests.fakes.transfer_house import BLIND, House
from tests.unit.test_legs_sip import sdp


@pytest.fixture
async def house() -> Any:
    house = House()
    await settle()
    yield house
    await house.end()


# --------------------------------------------------------------------------------------------------- REFERs of phones


def refer(house: House, target: str = "sip:+15550177@x", replaces: Replaces | None = None) -> None:
    request = IncomingRefer(target, replaces, "", Headers())
    house.leg.handle(ReferReceived(house.session, request))


async def test_a_caller_who_refers_is_replaced_by_the_target_and_told_so(house: House) -> None:
    refer(house)
    await settle()
    assert house.verbs[-1] == "accept_refer"
    dialled = house.dialler.last
    assert (dialled.order.destination, dialled.order.agent) == ("+15550177", "")
    assert "User-to-User" not in dict(dialled.order.headers)
    dialled.rings()
    dialled.answers()
    await settle()
    notified = [verb[1] for verb in house.session.done if verb[0] == "notify_refer"]
    assert notified == [180, 200]
    assert house.verbs[-1] == "bye"
    assert house.live.caller is dialled.leg
    assert (house.state.phase, dialled.leg.id) == (Phase.ACTIVE, CALLER)


async def test_transferor_bye_keeps_survivor(house: House) -> None:
    """siphon-sip#220: the phone that asked hangs up while the target rings; who is left stays on the call."""
    refer(house)
    await settle()
    house.leg.handle(Terminated(house.session, Cause(EndKind.REMOTE)))
    await settle()
    assert house.state.phase == "reconnecting"
    house.dialler.last.answers()
    await settle()
    assert house.state.phase is Phase.ACTIVE
    assert house.state.agent_has_floor


async def test_a_refer_in_vain_is_reported_and_changes_nothing(house: House) -> None:
    refer(house)
    await settle()
    house.dialler.last.fails("busy", 486)
    await settle()
    assert house.session.done[-1] == ("notify_refer", 486)
    assert house.state.agent_has_floor


@pytest.mark.parametrize("trunk", ["closed", "", "unknown"])
async def test_a_refer_is_denied_where_no_rule_allows_it(trunk: str) -> None:
    house = House(trunk=trunk)
    await settle()
    refer(house)
    await settle()
    assert house.session.done[-1] == ("reject_refer", 403)
    assert house.dialler.dialled == []
    await house.end()


async def test_a_phone_of_ours_may_refer(house: House) -> None:
    own = House(trunk="")
    own.session.username = "200"
    await settle()
    refer(own, "sip:201@x", Replaces("a", "b", "c"))
    await settle()
    assert own.dialler.last.order.destination == "201"
    assert own.dialler.last.order.replaces == Replaces("a", "b", "c")
    await own.end()


async def test_a_refer_to_nowhere_and_one_too_many_are_told_so(house: House) -> None:
    refer(house, "mailto:nobody")
    await settle()
    assert house.session.done[-1] == ("reject_refer", 400)
    await house.do(BLIND)
    refer(house)
    await settle()
    assert house.session.done[-1] == ("notify_refer", 480)


# ------------------------------------------------------------------------------------------------------ for persons


async def test_persons_ring_at_once_and_the_first_has_the_call() -> None:
    house = House(agent=False)
    orders = tuple(RingOrder(name) for name in ("200", "201"))
    house.transfers.ring(house.live, Ringing(name="desk", orders=orders))
    await settle()
    first, second = house.dialler.dialled
    assert (first.order.purpose, house.state.phase) == ("person", Phase.RINGING)
    first.rings()
    await settle()
    assert house.session.done[-1][:2] == ("ring", 180)
    second.answers()
    await settle()
    assert house.verbs[-1] == "answer"
    assert (house.state.phase, house.state.floor) == (Phase.ACTIVE, second.order.leg)
    assert first.cancelled + len(first.session.done) >= 1
    await house.end()


async def test_a_queue_answers_rings_again_and_gives_up_in_the_end() -> None:
    house = House(agent=False)
    ringing = Ringing(name="q", orders=(RingOrder("200"),), wait_s=10.0, answer_first=True)
    house.transfers.ring(house.live, ringing)
    await settle()
    assert house.state.phase is Phase.ACTIVE
    house.dialler.last.fails("no_answer")
    await settle()
    house.bench.clock.advance(PAUSE_S)
    await settle()
    assert len(house.dialler.dialled) == 2
    house.bench.clock.advance(7.0)
    house.dialler.last.fails("no_answer")
    await house.live.session.wait_closed()
    assert house.state.end_cause == "no_answer"


async def test_persons_of_a_queue_may_ring_one_after_the_other() -> None:
    house = House(agent=False)
    orders = (RingOrder("200"), RingOrder("201"))
    ringing = Ringing(name="q", orders=orders, one_by_one=True, wait_s=60.0)
    house.transfers.ring(house.live, ringing)
    await settle()
    for number, name in enumerate(("200", "201", "200"), 1):
        assert len(house.dialler.dialled) == number
        assert house.dialler.last.order.destination == name
        house.dialler.last.fails("no_answer")
        await settle()
        house.bench.clock.advance(PAUSE_S if name == "201" else 0.0)
        await settle()
    house.dialler.last.answers()
    await settle()
    assert house.state.floor == house.dialler.last.order.leg
    await house.end()


async def test_the_agent_answers_if_nobody_else_does() -> None:
    house = House(first=True)
    house.transfers.ring(house.live, Ringing(name="200", orders=(RingOrder("200"),)))
    await settle()
    assert (house.state.phase, house.verbs) == (Phase.RINGING, [])
    house.dialler.last.fails("busy", 486)
    await settle()
    assert (house.state.phase, house.verbs) == (Phase.ACTIVE, ["answer"])
    assert house.state.agent_has_floor
    await house.end()


async def test_persons_whom_nobody_may_ring_are_as_good_as_none() -> None:
    house = House(agent=False)
    house.dialler.refused = "not_registered"
    house.transfers.ring(house.live, Ringing(name="200", orders=(RingOrder("200"),)))
    await house.live.session.wait_closed()
    assert house.session.done[-1][0] == "reject"


# ------------------------------------------------------------------------------------------------- another phone instead


async def test_a_phone_takes_the_callers_place_in_the_same_call(house: House) -> None:
    sessions: dict[Any, Any] = {}
    doors = Replacements(
        ReplacementParts(
            board=house.board,
            transfers=house.transfers,
            wire=house.wire,
            sessions=sessions,
            new_id=lambda: "9",
        )
    )
    other = FakeSession()
    policy = LegPolicy(address="127.0.0.1")
    assert doors.take_over(IncomingInvite(other, sdp(codec=8), house.session), policy)
    await settle()
    assert (other.done[-1][0], house.verbs[-1]) == ("answer", "bye")
    assert (house.state.legs[CALLER].codec, house.state.phase) == ("PCMA", Phase.ACTIVE)
    sessions[other](Terminated(other, Cause(EndKind.REMOTE)))
    await house.live.session.wait_closed()
    assert (house.state.end_cause, sessions) == ("caller_hung_up", {})

    assert not doors.take_over(IncomingInvite(FakeSession(), sdp(), FakeSession()), policy)
    assert house.transfers.legs_of(house.live) == {}


async def test_a_phone_whose_sdp_cannot_be_used_replaces_nobody(house: House) -> None:
    doors = Replacements(
        ReplacementParts(
            board=house.board,
            transfers=house.transfers,
            wire=house.wire,
            sessions={},
            new_id=lambda: "9",
        )
    )
    other = FakeSession()
    invite = IncomingInvite(other, sdp(codec=18), house.session)
    assert doors.take_over(invite, LegPolicy(address="127.0.0.1"))
    assert other.done == [("reject", 488)]
    assert house.state.phase is Phase.ACTIVE
