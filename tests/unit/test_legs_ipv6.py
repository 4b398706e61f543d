"""Legs over IPv6: which port and address each gets, and what its media may come from."""

from __future__ import annotations

from ipaddress import IPv6Network

import pytest

from telephony.call.ids import LegId
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.sip_media import (
    Addresses,
    LegPolicy,
    UnacceptableOfferError,
    is_held,
    policy_of,
    reserve,
    rtp_parameters,
)
from telephony.media.commands import Remove
from telephony.sdp.offer_answer import Agreed, answer
from telephony.trunks import Trunk
from tests.fakes.plane import FakePlane
from tests.fakes.sip_session import FakeWire
from tests.unit.test_sdp_families import sdp

OURS = Addresses("192.0.2.5", "2001:db8::5")
BOTH = LegPolicy(address=OURS.v4, other_address=OURS.v6)
SIXTH = "2001:db8::9"


@pytest.mark.parametrize(
    ("theirs", "port", "line"),
    [("192.0.2.9", 40_000, b"IP4 192.0.2.5\r\n"), (SIXTH, 46_000, b"IP6 2001:db8::5\r\n")],
)
def test_a_call_gets_a_port_and_an_address_of_its_offers_family(
    theirs: str, port: int, line: bytes
):
    place, agreed = reserve(FakePlane(), BOTH, sdp(theirs), theirs)
    assert agreed is not None
    assert place.port == port
    assert b"c=IN " + line in agreed.sdp
    assert b"m=audio %d " % port in agreed.sdp


def test_a_call_that_has_begun_keeps_its_family():
    place, _ = reserve(FakePlane(), BOTH, sdp(SIXTH), SIXTH)
    assert not isinstance(answer(sdp("192.0.2.9"), place.capabilities), Agreed)
    assert isinstance(answer(sdp("2001:db8::a"), place.capabilities), Agreed)


def test_an_invite_without_an_offer_is_offered_the_family_it_came_by():
    policy = policy_of(None, OURS.towards(SIXTH), secure=False)
    place, agreed = reserve(FakePlane(), policy, None, SIXTH)
    assert agreed is None
    assert (place.port, place.capabilities.address) == (46_000, OURS.v6)


def test_an_offer_of_ipv6_to_a_node_without_it_is_refused():
    with pytest.raises(UnacceptableOfferError, match="network address format") as refused:
        reserve(FakePlane(), LegPolicy(address=OURS.v4), sdp(SIXTH), SIXTH)
    assert refused.value.warning.startswith("301 ")


def test_what_a_trunk_advertises_stands_for_our_address_of_its_family():
    fourth = policy_of(Trunk(name="t", advertised="203.0.113.1"), OURS.towards(""), secure=False)
    sixth = policy_of(Trunk(name="t", advertised="2001:db8::f"), OURS.towards(""), secure=False)
    assert (fourth.address, fourth.other_address) == ("203.0.113.1", OURS.v6)
    assert (sixth.address, sixth.other_address) == (OURS.v4, "2001:db8::f")


def test_audio_may_come_from_where_the_signalling_came_from():
    place, agreed = reserve(FakePlane(), BOTH, sdp(SIXTH), "2001:db8::77")
    assert agreed is not None
    parameters = rtp_parameters(agreed, place.policy, "2001:db8::77")
    assert parameters.remote == (SIXTH, 5000)
    assert parameters.media_networks == (IPv6Network("2001:db8::77/128"),)


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
@pytest.mark.parametrize("source", [SIXTH, "192.0.2.9"])
def test_the_unspecified_address_is_hold_and_neither_audio_nor_reports_have_a_place(
    nowhere: str, source: str
):
    held = sdp(nowhere) + b"a=rtcp:5001\r\n"
    place, agreed = reserve(FakePlane(), BOTH, held, source)
    assert agreed is not None
    parameters = rtp_parameters(agreed, place.policy, source)
    assert is_held(agreed)
    assert not parameters.sending
    assert parameters.remote == (nowhere, 0)
    assert parameters.remote_rtcp is None


# ------------------------------------------------------------------------------------------------- calls out


def test_a_call_out_offers_the_family_of_the_way_it_goes():
    plane = FakePlane()
    leg = DialledLeg(LegId("target"), FakeWire(), plane, OURS)
    trunk = Trunk(name="carrier")
    assert b"c=IN IP4 192.0.2.5\r\n" in leg.offer(trunk, towards="192.0.2.9")
    assert plane.commands == []

    offered = leg.offer(trunk, towards=SIXTH)
    assert b"c=IN IP6 2001:db8::5\r\n" in offered
    assert b"m=audio 46000 " in offered
    assert [type(command) for command in plane.commands] == [Remove]
    assert len(plane.live) == 1

    assert b"c=IN IP4 192.0.2.5\r\n" in leg.offer(trunk, towards="192.0.2.9")
    assert len(plane.live) == 1


def test_a_call_out_without_a_port_of_the_family_goes_the_next_way():
    plane = FakePlane(capacity=1)
    leg = DialledLeg(LegId("target"), FakeWire(), plane, OURS)
    with pytest.raises(UnacceptableOfferError):
        leg.offer(Trunk(name="carrier"), towards=SIXTH)
    assert b"c=IN IP4 192.0.2.5\r\n" in leg.offer(Trunk(name="carrier"), towards="192.0.2.9")


def test_a_node_of_ipv6_alone_calls_out_by_it():
    leg = DialledLeg(LegId("target"), FakeWire(), FakePlane(), Addresses(v6=OURS.v6))
    assert leg.place.port == 46_000
    assert b"c=IN IP6 2001:db8::5\r\n" in leg.offer(Trunk(name="carrier"), towards=SIXTH)


def test_only_a_caller_on_this_machine_has_its_audio_on_loopback():
    place, agreed = reserve(FakePlane(), BOTH, sdp("127.0.0.1"), "127.0.0.1")
    assert agreed is not None
    assert isinstance(answer(sdp("127.0.0.2"), place.capabilities), Agreed)
    with pytest.raises(UnacceptableOfferError):
        reserve(FakePlane(), BOTH, sdp("127.0.0.1"), "192.0.2.9")


@pytest.mark.parametrize(("towards", "local"), [("192.0.2.9", False), ("127.0.0.1", True)])
def test_only_a_phone_on_this_machine_may_answer_with_loopback(towards: str, local: bool):
    leg = DialledLeg(LegId("target"), FakeWire(), FakePlane(), OURS)
    leg.offer(Trunk(name="carrier"), towards=towards)
    assert leg.place.capabilities.local is local
