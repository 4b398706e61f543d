from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.admission import (
    CALM_S,
    HOT_S,
    LEAST_CALLS,
    Admission,
    Load,
    Measured,
    TokenBucket,
    is_allowed,
    parse_networks,
)

ROOM = Load(calls=20, max_calls=200, agent_places=200, media_places=50)
HOT = Measured(late_ms=15.0)
WELL = Measured(late_ms=1.0)
SO_SO = Measured(late_ms=8.0)


def overloaded(now: float = 0.0) -> Admission:
    admission = Admission()
    admission.measure(HOT, 20, now)
    admission.measure(HOT, 20, now + HOT_S)
    assert admission.overloaded
    return admission


def test_a_node_with_room_takes_the_call() -> None:
    assert Admission().refusal(replace(ROOM, calls=199), 0.0) is None


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (replace(ROOM, calls=200), "full"),
        (replace(ROOM, media_places=0), "no_media"),
        (replace(ROOM, agent_calls=4, agent_places=4), "no_agent"),
        (replace(ROOM, agent_places=0), "no_agent"),
    ],
)
def test_a_node_without_room_says_when_to_come_back(load: Load, reason: str) -> None:
    refusal = Admission().refusal(load, 0.0)
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (503, reason)
    assert refusal.retry_after_s > 0


def test_a_draining_node_refuses_before_anything_else() -> None:
    refusal = Admission(draining=True).refusal(replace(ROOM, calls=200), 0.0)
    assert refusal is not None
    assert refusal.reason == "draining"


def test_a_call_between_people_needs_no_agent() -> None:
    busy = replace(ROOM, agent_calls=4, agent_places=4)
    assert Admission().refusal(busy, 0.0, agent=False) is None


@pytest.mark.parametrize(
    "measured",
    [HOT, Measured(overruns_per_s=40), Measured(lag_ms=400), Measured(cpu=0.98)],
)
def test_what_lasts_is_overload(measured: Measured) -> None:
    admission = Admission()
    assert not admission.measure(measured, 20, 0.0)
    assert admission.refusal(ROOM, 0.0) is None
    assert admission.measure(measured, 20, HOT_S)
    refusal = admission.refusal(ROOM, HOT_S)
    assert refusal is not None
    assert refusal.reason == "overloaded"


def test_a_single_late_second_refuses_nobody() -> None:
    admission = Admission()
    for at in (0.0, 2.0, 4.0, 6.0):
        admission.measure(HOT, 20, at)
        admission.measure(WELL, 20, at + HOT_S / 2)
    assert not admission.overloaded


def test_overload_does_not_flap() -> None:
    admission = overloaded()
    assert not admission.measure(SO_SO, 20, 10.0)
    assert not admission.measure(WELL, 20, 11.0)
    assert not admission.measure(SO_SO, 20, 11.0 + CALM_S)
    assert admission.overloaded
    assert not admission.measure(WELL, 20, 30.0)
    assert admission.measure(WELL, 20, 30.0 + CALM_S)
    assert admission.refusal(ROOM, 40.0) is None


def test_a_busy_machine_is_no_reason_for_a_node_with_few_calls() -> None:
    admission = Admission()
    for at in range(10):
        admission.measure(HOT, LEAST_CALLS - 1, float(at))
    assert not admission.overloaded


def test_calls_come_no_faster_than_the_node_can_begin_them() -> None:
    admission = Admission(max_cps=10)
    taken = 0
    while admission.refusal(ROOM, 5.0) is None:
        admission.taken(5.0)
        taken += 1
    assert taken == 5
    refusal = admission.refusal(ROOM, 5.0)
    assert refusal is not None
    assert refusal.reason == "too_fast"
    assert admission.refusal(ROOM, 5.2) is None


def test_options_of_a_full_node_say_so_until_some_places_are_free() -> None:
    admission = Admission()
    assert admission.unavailable(ROOM, 0.0) is None
    assert admission.unavailable(replace(ROOM, calls=200), 0.0) is not None
    assert admission.unavailable(replace(ROOM, calls=195), 0.0) is not None
    assert admission.unavailable(replace(ROOM, calls=190), 0.0) is None
    assert admission.unavailable(replace(ROOM, calls=195), 0.0) is None


def test_options_of_a_small_node_open_with_the_first_free_place() -> None:
    admission = Admission()
    small = Load(calls=2, max_calls=2)
    assert admission.unavailable(small, 0.0) is not None
    assert admission.unavailable(replace(small, calls=1), 0.0) is None


def test_a_burst_of_calls_does_not_take_the_node_out_of_its_dispatcher() -> None:
    admission = Admission(max_cps=2)
    admission.taken(0.0)
    assert admission.refusal(ROOM, 0.0) is not None
    assert admission.unavailable(ROOM, 0.0) is None


def test_a_bucket_of_nothing_lets_nobody_pass() -> None:
    assert not TokenBucket(0.0).take(1000.0)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.9", True),
        ("192.0.3.9", False),
        ("::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_listed_networks_are_answered(host: str, allowed: bool) -> None:
    assert is_allowed(host, parse_networks(("127.0.0.0/8", "192.0.2.1/24"))) is allowed


def test_a_wrong_network_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        parse_networks(("elsewhere",))
