"""Where a node serves IPv6 beside IPv4, and what it calls itself, on a machine that has both."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from telephony.legs.sip_media import Addresses, UnacceptableOfferError, policy_of, reserve
from tests.fakes.plane import FakePlane
from tests.unit.test_sdp_families import sdp
from voiceapp import node_parts
from voiceapp.checkup import _ports
from voiceapp.configuration import Address, ConfigurationError, load
from voiceapp.ipv6 import beside, refusal
from voiceapp.node_parts import addresses_for_peers, ports_of
from voiceapp.runtime import StartError, check_addresses


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
        (
            {"VOICEAPP_SIP": "192.0.2.5:5060", "VOICEAPP_IPV6": "2001:db8::5"}
            | {"VOICEAPP_PUBLIC_ADDRESS": "2001:db8::7"},
            Addresses("192.0.2.5", "2001:db8::7"),
        ),
    ],
)
def test_what_peers_are_told(given: dict[str, str], found: Addresses):
    assert addresses_for_peers(load(given)) == found


@pytest.mark.parametrize(
    "given",
    [
        {"VOICEAPP_PUBLIC_ADDRESS": "2001:db8::7", "VOICEAPP_IPV6": "off"},
        {"VOICEAPP_PUBLIC_ADDRESS": "2001:db8::7", "VOICEAPP_SIP": "192.0.2.5:5060"},
        {"VOICEAPP_PUBLIC_ADDRESS": "203.0.113.1", "VOICEAPP_SIP": "[::1]:5060"},
    ],
)
def test_a_public_address_of_a_family_that_is_not_open_stops_the_start(given: dict[str, str]):
    configuration = load(given)
    for reads in (addresses_for_peers, check_addresses):
        with pytest.raises(ConfigurationError, match=r"VOICEAPP_PUBLIC_ADDRESS=.*is not open"):
            reads(configuration)
    found = {one.name: one for one in _ports(configuration)}
    assert not found["public address"].ok


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


def started(given: dict[str, str]) -> None:
    """What a start checks, with ports that nobody has but where `given` says so."""
    check_addresses(load({"VOICEAPP_HTTP": "127.0.0.1:0", "VOICEAPP_SIP": "127.0.0.1:0"} | given))


def taken(host: str, kind: socket.SocketKind) -> socket.socket:
    other = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if ":" in host:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    other.bind((host, 0))
    if kind is socket.SOCK_STREAM:
        other.listen()
    return other


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_both_families_of_the_ipv6_wildcard_are_tried_before_the_start(kind: socket.SocketKind):
    with taken("0.0.0.0", kind) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"{port}.*VOICEAPP_SIP="):
            started({"VOICEAPP_SIP": f"[::]:{port}"})
        assert refusal(Address("::", port), kind, beside=True) is None


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_the_address_beside_is_tried_as_it_will_be_opened(kind: socket.SocketKind):
    with taken("::1", kind) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match="VOICEAPP_IPV6=off"):
            started({"VOICEAPP_SIP": f"127.0.0.1:{port}"})


def test_an_ipv6_port_for_audio_that_is_taken_is_named():
    with taken("::1", socket.SOCK_DGRAM) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"UDP port {port}.*at ::1"):
            started({"VOICEAPP_RTP_PORTS": f"{port}-{port}"})


def test_a_kernel_without_ipv6_is_named_and_breaks_nothing(monkeypatch: pytest.MonkeyPatch):
    def without(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, *rest)

    real = socket.socket
    monkeypatch.setattr(socket, "socket", without)
    error = refusal(Address("2001:db8::1", 5060), socket.SOCK_DGRAM)
    assert error is not None
    assert error.errno == errno.EAFNOSUPPORT
    found = {one.name: one for one in _ports(load({"VOICEAPP_IPV6": "2001:db8::1"}))}
    assert found["port SIP over UDP, IPv6"].remedy == "set VOICEAPP_IPV6=off"
    with pytest.raises(StartError, match=r"has no IPv6.*VOICEAPP_IPV6=off"):
        started({"VOICEAPP_IPV6": "2001:db8::1"})
    with pytest.raises(StartError, match=r"has no IPv6.*VOICEAPP_SIP="):
        started({"VOICEAPP_SIP": "[::]:0"})
