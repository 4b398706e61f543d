"""Transfers that cross one another, or the end of the call: each request has its own answer, and nothing is left over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from telephony.call.commands import CompleteTransfer, EndCall, HoldCall, TakeFloor
from telephony.call.ids import CALLER, TransferId
from telephony.call.state import Phase
from telephony.gateway.replacement import ReplacementParts, Replacements
from telephony.gateway.ringing import Ringing, RingOrder
from telephony.gateway.transfer_context import context_headers
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.sip_media import LegPolicy
from telephony.sip.events import IncomingInvite, ReferEnded, ReferReceived
from telephony.sip.message import Headers
from telephony.sip.session import IncomingRefer, ReferOutcome
from telephony.trunks import Trunk
from tests.fakes.calls import ANN, ANNS_LEG, desk_joins, settle
from tests.fakes.sip_session import FakeSession
from tests.fakes.transfer_house import ATTENDED, BLIND, REFER, House
from tests.unit.test_legs_sip import sdp


@pytest.fixture
async def house() -> Any:
    house = House()
    await settle()
    yield house
    await house.end()


def refer(house: House) -> None:
    request = IncomingRefer("sip:+15550177@x", None, "", Headers())
    house.leg.handle(ReferReceived(house.session, request))


def notified(house: House) -> list[int]:
    return [verb[1] for verb in house.session.done if verb[0] == "notify_refer"]


# ------------------------------------------------------------------------------------------------- who is rung


async def test_a_transfer_out_of_a_queues_call_does_not_ring_the_queue_again() -> None:
    house = House(agent=False)
    orders = (RingOrder("200"), RingOrder("201"), RingOrder("202"))
    house.transfers.ring(house.live, Ringing(name="q", orders=orders, one_by_one=True, wait_s=600))
    await settle()
    house.dialler.last.answers()
    await settle()
    await house.do(*desk_joins(), replace(BLIND, by="supervisor", who=ANN))
    house.dialler.last.fails("busy", 486)
    await settle()
    house.bench.clock.advance(30.0)
    await settle()
    assert house.ended == ("declined", "busy")
    assert [each.order.destination for each in house.dialler.dialled] == ["200", "+15550123"]
    await house.end()


async def test_the_log_says_which_rule_kept_a_phone_from_ringing() -> None:
    house = House(agent=False)
    house.dialler.refused = "destination"
    house.transfers.ring(house.live, Ringing(name="out", orders=(RingOrder("+15550123"),)))
    await house.live.session.wait_closed()
    assert house.ended == ("refused", "destination")
    assert (house.state.end_cause, house.session.done[-1]) == ("forbidden", ("reject", 403))


# ------------------------------------------------------------------------------------------------- REFERs of phones


async def test_two_refers_at_once_are_each_told_their_own_outcome(house: House) -> None:
    refer(house)
    refer(house)
    await settle()
    assert notified(house) == [480]  # one too many
    house.dialler.last.rings()
    house.dialler.last.answers()
    await settle()
    assert notified(house) == [480, 180, 200]


async def test_a_phone_that_holds_us_refers_us_on(house: House) -> None:
    await house.do(HoldCall(leg=CALLER))
    refer(house)
    await settle()
    house.dialler.last.answers()
    await settle()
    assert notified(house)[-1] == 200
    assert house.state.phase is Phase.ACTIVE


# ------------------------------------------------------------------------------------------------- REFERs of ours


@pytest.mark.parametrize("told", [ReferOutcome.DECLINED, ReferOutcome.TIMEOUT])
async def test_the_late_outcome_of_a_refer_does_not_end_another_transfer(
    house: House, told: ReferOutcome
) -> None:
    await house.do(REFER, *desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))
    other = replace(BLIND, by="supervisor", who=ANN, transfer=TransferId("t2"))
    await house.do(other)
    house.leg.handle(ReferEnded(house.session, told, 486))
    await settle()
    assert house.state.transfer is not None
    house.dialler.last.answers()
    await settle()
    assert house.ended[0] == "answered"


async def test_a_caller_whom_the_trunk_put_through_after_all_is_gone(house: House) -> None:
    await house.do(REFER, *desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))
    house.leg.handle(ReferEnded(house.session, ReferOutcome.ANSWERED, 200))
    await house.live.session.wait_closed()
    assert house.state.end_cause == "transferred"


async def test_a_target_that_the_callers_trunk_does_not_know_is_bridged(house: House) -> None:
    await house.do(ATTENDED)
    leg = house.dialler.last.leg
    assert isinstance(leg, DialledLeg)
    leg.offer(Trunk(name="another"), towards="127.0.0.1")
    house.dialler.last.answers()
    await settle()
    await house.do(CompleteTransfer(release=True))
    assert "refer" not in house.verbs
    assert (house.state.floor, house.ended) == (leg.id, ("answered", "bridged"))


# ------------------------------------------------------------------------------------------------- what goes out


async def test_a_variable_that_is_no_header_stays_here(house: House) -> None:
    await house.do(BLIND)
    transfer = house.state.transfer
    assert transfer is not None
    odd = {
        "x-a\r\nContact": "1",
        "x-b: c": "2",
        "x-d": "two\r\nlines",
        "X-Call-Reference": "not ours",
        "x-good": "3",
    }
    headers = dict(context_headers(replace(house.state, variables=odd), transfer))
    assert set(headers) == {"X-Call-Reference", "User-to-User", "x-good"}
    assert headers["X-Call-Reference"] == house.state.id


# ------------------------------------------------------------------------------------------------- the end of the call


async def test_a_phone_that_comes_instead_when_the_call_ends_is_refused_and_leaves_no_slot(
    house: House,
) -> None:
    parts = ReplacementParts(
        board=house.board,
        transfers=house.transfers,
        wire=house.wire,
        sessions={},
        new_id=lambda: "9",
    )
    other = FakeSession()
    house.live.session.post(EndCall(cause="bye", by="caller"))
    policy = LegPolicy(address="127.0.0.1")
    assert Replacements(parts).take_over(IncomingInvite(other, sdp(), house.session), policy)
    await house.live.session.wait_closed()
    await settle()
    assert other.done[-1][0] == "reject"
