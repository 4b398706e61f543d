from __future__ import annotations

import pytest

from telephony.admission import Load, admit, is_allowed, parse_networks


def test_a_node_with_room_takes_the_call() -> None:
    assert admit(Load(calls=199, max_calls=200)) is None


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (Load(calls=200, max_calls=200), "full"),
        (Load(calls=0, max_calls=200, draining=True), "draining"),
    ],
)
def test_a_node_without_room_says_when_to_come_back(load: Load, reason: str) -> None:
    refusal = admit(load)
    assert refusal is not None
    assert (refusal.status, refusal.reason) == (503, reason)
    assert refusal.retry_after_s > 0


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
