"""Where a node serves IPv6 beside IPv4, and what it calls itself, on a machine that has both."""

from __future__ import annotations

import socket

import pytest

from telephony.legs.sip_media import Addresses, UnacceptableOfferError, policy_of, reserve
from tests.fakes.plane import FakePlane
from tests.unit.test_sdp_families import sdp
from voiceapp import node_parts
from voiceapp.configuration import Address, ConfigurationError, load
from voiceapp.ipv6 import beside, refusal
from voiceapp.node_parts import addresses_for_peers, ports_of


def test_this_machine_has_ipv6():
    """Without it the tests of IPv6 say nothing: they fail, and this one says why."""
    assert refusal(Address("::1", 0), socket.SOCK_DGRAM) is None


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, Address("::1", 5060)),
        ({"VOICEAPP_SIP": "0.0.0.0:5070"}, Address("::", 5070)),
        ({"VOICEAPP_SIP": "127.0.0.2:5060"}, None),
        ({"VOICEAPP_SIP": "[::1]:5060"}, None),
        ({"VOICEAPP_IPV6": "off"}, None),
        ({"VOICEAPP_IPV6": "2001:DB8::1"}, Address("2001:db8::1", 5060)),
        ({"VOICEAPP_SIP": "192.0.2.1:5060", "VOICEAPP_IPV6": "[::1]"}, Address("::1", 5060)),
    ],
)
def test_where_ipv6_is_served(given: dict[str, str], found: Address | None):
    configuration = load(given)
    assert beside(configuration, configuration.sip) == found


@pytest.mark.parametrize("text", ["on", "127.0.0.1", "::1:5060x"])
def test_a_value_that_cannot_be_used_is_named(text: str):
    with pytest.raises(ConfigurationError, match="VOICEAPP_IPV6"):
        load({"VOICEAPP_IPV6": text})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, Addresses("127.0.0.1", "::1")),
        ({"VOICEAPP_IPV6": "off"}, Addresses("127.0.0.1")),
        ({"VOICEAPP_SIP": "[::1]:5060"}, Addresses("", "::1")),
        ({"VOICEAPP_PUBLIC_ADDRESS": "203.0.113.1"}, Addresses("203.0.113.1", "::1")),
        ({"VOICEAPP_PUBLIC_ADDRESS": "2001:db8::7"}, Addresses("127.0.0.1", "2001:db8::7")),
    ],
)
def test_what_peers_are_told(given: dict[str, str], found: Addresses):
    assert addresses_for_peers(load(given)) == found


FOURTH, SIXTH = "192.0.2.5", "2001:db8::5"


@pytest.mark.parametrize(
    ("sip", "routes", "found"),
    [
        ("0.0.0.0:5060", (FOURTH, SIXTH), Addresses(FOURTH, SIXTH)),
        ("0.0.0.0:5060", (FOURTH, ""), Addresses(FOURTH)),
        ("0.0.0.0:5060", ("", SIXTH), Addresses("", SIXTH)),
        ("[::]:5060", (FOURTH, ""), Addresses(FOURTH)),
        ("[::]:5060", ("", SIXTH), Addresses("", SIXTH)),
        ("0.0.0.0:5060", ("", ""), Addresses("127.0.0.1")),
        ("[::]:5060", ("", ""), Addresses("", "::1")),
    ],
)
def test_a_family_without_a_route_has_no_address(
    monkeypatch: pytest.MonkeyPatch, sip: str, routes: tuple[str, str], found: Addresses
):
    monkeypatch.setattr(
        node_parts, "routed", lambda family: routes[1] if ":" in family else routes[0]
    )
    assert addresses_for_peers(load({"VOICEAPP_SIP": sip})) == found


def test_without_an_ipv6_route_no_remote_caller_has_audio_sent_to_this_machine(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(node_parts, "routed", lambda family: "" if ":" in family else FOURTH)
    ours = addresses_for_peers(load({"VOICEAPP_SIP": "0.0.0.0:5060"}))
    policy = policy_of(None, ours.towards("192.0.2.9"), secure=False)
    for theirs in ("::1", "127.0.0.1"):
        with pytest.raises(UnacceptableOfferError):
            reserve(FakePlane(), policy, sdp(theirs), "192.0.2.9")


def test_each_node_has_the_same_ports_in_both_families():
    given = {"VOICEAPP_MEDIA_NODES": "2"}
    assert [ports_of(load(given), index).sip_v6 for index in (0, 1)] == [
        Address("::1", 5060),
        Address("::1", 5061),
    ]
