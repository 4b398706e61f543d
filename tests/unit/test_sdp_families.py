"""Which of our addresses an offer or an answer names, and what is refused because there is none of its family."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.sdp.offer_answer import (
    Agreed,
    Capabilities,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)

FOURTH, SIXTH = Capabilities("192.0.2.5", 4000), Capabilities("2001:db8::5", 6000)
BOTH = replace(FOURTH, other_address="2001:db8::5")


def sdp(address: str, more: str = "") -> bytes:
    family = "IP6" if ":" in address else "IP4"
    return (
        f"v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
        f"m=audio 5000 RTP/AVP 0\r\n{more}"
    ).encode()


@pytest.mark.parametrize("ours", [BOTH, replace(SIXTH, other_address="192.0.2.5")])
@pytest.mark.parametrize(
    ("theirs", "line"),
    [("192.0.2.9", b"c=IN IP4 192.0.2.5\r\n"), ("2001:db8::9", b"c=IN IP6 2001:db8::5\r\n")],
)
def test_an_offer_is_answered_in_its_own_family(ours: Capabilities, theirs: str, line: bytes):
    found = answer(sdp(theirs), ours)
    assert isinstance(found, Agreed)
    assert found.remote_address == theirs
    assert line in found.sdp


@pytest.mark.parametrize(
    ("ours", "theirs", "agent"),
    [(FOURTH, "2001:db8::9", "192.0.2.5"), (SIXTH, "192.0.2.9", "[2001:db8::5]")],
)
def test_a_family_that_we_do_not_have_is_refused_with_301(
    ours: Capabilities, theirs: str, agent: str
):
    found = answer(sdp(theirs), ours)
    assert isinstance(found, NotAcceptable)
    assert found.warning == f'301 {agent} "network address format not available"'


def test_a_later_offer_does_not_move_a_call_to_the_other_family():
    first = answer(sdp("2001:db8::9"), SIXTH)
    assert isinstance(first, Agreed)
    assert isinstance(answer(sdp("192.0.2.9"), SIXTH, first), NotAcceptable)


def test_an_answer_of_the_other_family_is_refused():
    assert isinstance(accept_answer(offer(SIXTH), sdp("192.0.2.9")), NotAcceptable)
    assert isinstance(accept_answer(offer(SIXTH), sdp("2001:db8::9")), Agreed)


def test_an_ipv6_address_has_one_spelling_from_then_on():
    found = answer(sdp("2001:DB8:0:0::0009"), SIXTH)
    assert isinstance(found, Agreed)
    assert found.remote_address == "2001:db8::9"


def test_rtcp_of_the_other_family_is_taken_as_a_port_alone():
    found = answer(sdp("2001:db8::9", "a=rtcp:5555 IN IP4 192.0.2.9\r\n"), SIXTH)
    own = answer(sdp("2001:db8::9", "a=rtcp:5555 IN IP6 2001:db8::A\r\n"), SIXTH)
    assert isinstance(found, Agreed)
    assert isinstance(own, Agreed)
    assert found.remote_rtcp == ("2001:db8::9", 5555)
    assert own.remote_rtcp == ("2001:db8::a", 5555)


def test_the_unspecified_address_of_ipv6_is_hold():
    found = answer(sdp("::"), SIXTH)
    assert isinstance(found, Agreed)
    assert not found.direction.sends
