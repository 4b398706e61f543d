"""Transfers carried out: whom is dialled or referred, what is cancelled, and what phones may ask by REFER."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from telephony.call.commands import (
    CancelTransfer,
    CompleteTransfer,
    ConnectLeg,
    RemoveLeg,
)
from telephony.call.errors import RequestError
from telephony.call.ids import AGENT, CALLER, LegId
from telephony.call.state import Phase
from telephony.gateway.desk import DeskGateway
from telephony.media.notices import Digit
from telephony.sip.errors import SipStateError
from telephony.sip.events import (
    ReferEnded,
    ReferProgress,
)
from telephony.sip.session import ReferOutcome, Replaces
from tests.fakes.calls import settle
from tests.fakes.transfer_house import ATTENDED, BLIND, REFER, House
from tests.unit.test_legs_sip import sdp


@pytest.fixture
async def house() -> Any:
    house = House()
    await settle()
    yield house
    await house.end()


# ---------------------------------------------------------------------------------------------------- by a bridge


async def test_a_target_is_dialled_rings_answers_and_speaks_with_the_caller(house: House) -> None:
    await house.do(BLIND)
    order = house.dialler.last.order
    assert (order.destination, order.purpose, order.agent) == ("+15550123", "transfer", "tone")
    house.dialler.last.rings()
    await settle()
    assert house.state.transfer is not None
    assert house.state.transfer.stage == "ringing"
    house.dialler.last.answers()
    await settle()
    assert (house.state.floor, house.ended[0]) == (order.leg, "answered")
    assert house.dialler.last.cancelled == 0


async def test_the_context_goes_out_with_the_call(house: House) -> None:
    await house.do(BLIND)
    headers = dict(house.dialler.last.order.headers)
    assert headers["X-Call-Reference"] == house.state.id
    assert headers["x-account"] == "7"
    assert headers["User-to-User"].endswith(";encoding=hex")
    assert "secret" not in headers


@pytest.mark.parametrize(
    ("reason", "status", "outcome"),
    [
        ("busy", 486, "declined"),
        ("declined", 603, "declined"),
        ("no_answer", None, "timeout"),
        ("unavailable", 503, "failed"),
        ("no_route", None, "failed"),
    ],
)
async def test_what_became_of_the_target_is_told_and_the_agent_goes_on(
    house: House, reason: str, status: int | None, outcome: str
) -> None:
    await house.do(BLIND)
    house.dialler.last.fails(reason, status)
    await settle()
    assert house.ended == (outcome, reason)
    assert (house.state.floor, house.state.agent_has_floor) == (AGENT, True)


async def test_a_destination_that_rules_do_not_allow_is_refused_before_anything_rings(
    house: House,
) -> None:
    house.dialler.refused = "not_allowed"
    await house.do(BLIND)
    assert house.ended == ("refused", "not_allowed")
    assert house.dialler.dialled == []


async def test_a_transfer_that_is_asked_for_twice_has_its_first_answer_even_after_it_has_failed() -> (
    None
):
    house = House(trunk="closed")
    await settle()

    def unused(*_: Any) -> Any:
        raise AssertionError("nobody listens here")

    desk = DeskGateway(house.board, unused, unused, house.transfers)
    asked = partial(desk.transfer, house.state.id, "ann", "+15550123", "blind", "")
    first = await asked("key1")
    await settle()
    house.dialler.last.fails("busy", 486)
    await settle()
    house.dialler.refused = "not_allowed"
    assert await asked("key1") == first
    with pytest.raises(RequestError):
        await asked("key2")
    assert len(house.dialler.dialled) == 1
    await house.end()


async def test_whoever_is_rung_sees_the_caller(house: House) -> None:
    await house.do(BLIND)
    assert house.dialler.last.order.shown == "+15550100"


async def test_whoever_is_rung_for_a_call_of_ours_sees_whom_we_called() -> None:
    house = House(placed=True)
    await settle()
    await house.do(ConnectLeg(leg=CALLER, codec="PCMU"), BLIND)
    assert house.dialler.last.order.shown == "+4930777"
    await house.end()


async def test_a_full_plane_fails_the_transfer_and_not_the_call(house: House) -> None:
    house.plane.capacity = 0
    await house.do(BLIND)
    assert house.ended[0] == "failed"
    assert house.state.phase is Phase.ACTIVE


async def test_the_caller_hangs_up_and_the_target_is_not_rung_any_longer(house: House) -> None:
    await house.do(BLIND)
    dialled = house.dialler.last
    house.live.session.post(RemoveLeg(leg=CALLER, reason="caller_hung_up"))
    await house.live.session.wait_closed()
    assert dialled.leg.closed
    assert dialled.session.done[0][0] == "bye"
    assert dialled.cancelled == 1


async def test_a_transfer_that_is_cancelled_stops_the_ringing(house: House) -> None:
    await house.do(BLIND, CancelTransfer())
    assert house.dialler.last.cancelled == 1
    house.dialler.last.fails("cancelled", 487)
    await settle()
    assert house.ended == ("cancelled", "cancelled")


async def test_a_key_pressed_while_people_speak_is_for_the_other_one(house: House) -> None:
    await house.do(BLIND)
    assert house.dialler.last.leg.answered(sdp(), None)
    house.dialler.last.listener.on_answered()
    await settle()
    slots = house.live.media.slots
    target = LegId("target-1")
    house.board.deliver([Digit(slots[CALLER], "5", 0.0), Digit(slots[target], "#", 0.0)])
    sent = [c for c in house.plane.commands if type(c).__name__ == "SendDigits"]
    assert [(c.slot, c.digits) for c in sent] == [  # type: ignore[union-attr]
        (slots[target], "5"),
        (slots[CALLER], "#"),
    ]


# ------------------------------------------------------------------------------------------------ by the caller's trunk


async def test_the_trunk_is_asked_and_our_call_ends_when_it_has_put_them_through(
    house: House,
) -> None:
    await house.do(REFER)
    verb, uri, replaces = house.session.done[-1]
    assert (verb, replaces) == ("refer", None)
    assert uri.startswith("sip:+15550123@carrier.example?X-Call-Reference=")
    assert house.dialler.referred[0].trunk == "carrier"
    house.leg.handle(ReferProgress(house.session, 100, "Trying"))
    house.leg.handle(ReferProgress(house.session, 180, "Ringing"))
    await settle()
    assert house.state.transfer is not None
    assert house.state.transfer.stage == "ringing"
    house.leg.handle(ReferEnded(house.session, ReferOutcome.ANSWERED, 200))
    await house.live.session.wait_closed()
    assert house.state.end_cause == "transferred"
    assert house.verbs[-1] == "bye"


async def test_refer_603_falls_back_to_bridge(house: House) -> None:
    """livekit/sip#234: a trunk that refuses the REFER is no reason to lose the caller."""
    await house.do(REFER)
    house.leg.handle(ReferEnded(house.session, ReferOutcome.REFUSED, 603))
    await settle()
    assert house.ended[0] == "fell_back"
    house.dialler.last.answers()
    await settle()
    assert (house.state.floor, house.ended[0]) == (house.dialler.last.order.leg, "answered")


@pytest.mark.parametrize(
    ("told", "outcome"), [(ReferOutcome.DECLINED, "declined"), (ReferOutcome.TIMEOUT, "timeout")]
)
async def test_a_target_that_declined_a_refer_is_not_rung_again(
    house: House, told: ReferOutcome, outcome: str
) -> None:
    await house.do(REFER)
    house.leg.handle(ReferEnded(house.session, told, 486))
    await settle()
    assert (house.ended[0], house.dialler.dialled) == (outcome, [])
    assert house.state.agent_has_floor


async def test_a_refer_that_rules_do_not_allow_never_leaves(house: House) -> None:
    house.dialler.refused = "not_allowed"
    await house.do(REFER)
    assert house.ended == ("refused", "not_allowed")
    assert "refer" not in house.verbs


async def test_a_dialog_that_cannot_refer_is_bridged(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise SipStateError("refer in RINGING")

    monkeypatch.setattr(house.session, "refer", refuses)
    await house.do(REFER)
    assert house.ended[0] == "fell_back"
    assert len(house.dialler.dialled) == 1


async def test_a_consulted_target_is_released_by_a_refer_with_replaces(house: House) -> None:
    await house.do(ATTENDED)
    house.dialler.last.answers()
    await settle()
    await house.do(CompleteTransfer(release=True))
    verb, uri, replaces = house.session.done[-1]
    assert (verb, uri) == ("refer", "sip:ann@127.0.0.1")
    assert replaces == Replaces("target-1@x", "theirs", "ours")
    house.leg.handle(ReferEnded(house.session, ReferOutcome.REFUSED, 603))
    await settle()
    assert (house.state.floor, house.ended) == (LegId("target-1"), ("answered", "bridged"))
