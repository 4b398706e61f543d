"""One key is one digit, whichever ways it comes."""

from __future__ import annotations

from itertools import permutations

import pytest

from telephony.call.events import DigitReceived
from telephony.call.ids import CALLER, LegId
from telephony.legs.call_audio import CallMedia
from telephony.legs.key_presses import KeyPresses, Way
from telephony.media import notices as n
from telephony.media.handles import SlotHandle
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane
from tests.unit.test_legs_call_audio import Call

ANN = LegId("desk-1")
SLOT = SlotHandle(101)


def test_one_key_by_info_and_4733_is_one_digit() -> None:
    clock, call = ManualClock(), Call()
    media = CallMedia(FakePlane(), clock, 8000)
    media.bind(call)
    media.attach(CALLER, SLOT, 8000)
    now = clock.monotonic()
    media.notice(n.Digit(SLOT, "5", now - 0.05, now - 0.15))
    media.pressed(CALLER, "5")
    assert call.reported() == [DigitReceived(leg=CALLER, digit="5")]
    clock.advance(0.5)
    media.pressed(CALLER, "5")
    assert len(call.reported()) == 2


@pytest.mark.parametrize("ways", list(permutations(("rtp", "inband", "info"))))
def test_three_ways_within_150_ms_are_one_press(ways: tuple[Way, ...]) -> None:
    presses = KeyPresses()
    times = {"rtp": (0.0, 0.1), "inband": (0.02, 0.1), "info": (0.22, 0.22)}
    assert [presses.is_new(CALLER, "5", way, *times[way]) for way in ways] == [True, False, False]


def test_long_press_told_at_its_end_by_one_way_and_at_once_by_the_other_is_one_press() -> None:
    presses = KeyPresses()
    assert presses.is_new(CALLER, "5", "info", 0.0, 0.0)
    assert not presses.is_new(CALLER, "5", "rtp", 0.1, 2.0)
    assert not presses.is_new(CALLER, "5", "inband", 0.1, 2.05)


def test_same_key_pressed_twice_by_two_ways_is_two_presses() -> None:
    presses = KeyPresses()
    new = [
        presses.is_new(CALLER, "4", way, at, at + 0.08)
        for at in (0.0, 0.2)
        for way in ("inband", "rtp")
    ]
    assert new == [True, False, True, False]


def test_another_key_another_leg_and_a_later_press_are_new() -> None:
    presses = KeyPresses()
    assert presses.is_new(CALLER, "4", "rtp", 0.0, 0.1)
    assert presses.is_new(CALLER, "5", "info", 0.1, 0.1)
    assert presses.is_new(ANN, "5", "inband", 0.1, 0.1)
    assert presses.is_new(CALLER, "5", "inband", 0.3, 0.4)
    presses.forget(CALLER)
    assert presses.is_new(CALLER, "5", "rtp", 0.3, 0.4)
