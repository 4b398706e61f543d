"""What the dialler refuses by rule, and what it counts of that."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from telephony.call.ids import LegId
from telephony.dialplan import EMPTY
from telephony.gateway.dial_order import DialOrder, DialRefusedError
from telephony.gateway.dialler import Dialler, DiallerParts
from telephony.gateway.trunk_room import TrunkRooms
from telephony.outbound_usage import UsageBook
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeWire

UNUSED = cast(Any, None)


@pytest.fixture
def dialler() -> Dialler:
    """It knows no trunk, so that no rule allows anything."""
    return Dialler(
        DiallerParts(
            plan=lambda: EMPTY,
            invite=UNUSED,
            wire=FakeWire(),
            plane=FakePlane(),
            scheduler=ManualClock(),
            spawn=UNUSED,
            sessions=UNUSED,
            watch=cast(Any, SimpleNamespace(down=frozenset())),
            rooms=TrunkRooms(),
            book=UsageBook(),
            phones=UNUSED,
            identity=UNUSED,
            addresses=UNUSED,
        )
    )


@pytest.fixture
def order() -> DialOrder:
    return DialOrder(
        call=cast(Any, SimpleNamespace(id="c1")),
        media=UNUSED,
        leg=LegId("target-1"),
        destination="+15550123",
        purpose="transfer",
    )


def test_an_order_that_is_refused_is_counted_and_logged(
    dialler: Dialler, order: DialOrder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(DialRefusedError) as refused:
        dialler.dial(order, UNUSED)
    assert dialler.counters == {refused.value.reason: 1}
    assert "dial_refused" in caplog.text


def test_a_question_is_refused_for_the_same_reason_and_neither_counted_nor_logged(
    dialler: Dialler, order: DialOrder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(DialRefusedError) as asked:
        dialler.check(order)
    assert (dict(dialler.counters), caplog.text) == ({}, "")
    with pytest.raises(DialRefusedError) as refused:
        dialler.dial(order, UNUSED)
    assert asked.value.reason == refused.value.reason
