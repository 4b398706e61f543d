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


@pytest.mark.parametrize(
    "theirs",
    [
        *("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "0.0.0.1", "127.0.0.1"),
        *("127.9.8.7", "ff02::1", "ff3e::8000:1", "::1", "::ffff:127.0.0.1", "::ffff:224.0.0.1"),
    ],
)
def test_audio_is_sent_to_no_group_and_not_to_this_machine(theirs: str):
    found = answer(sdp(theirs), BOTH)
    assert isinstance(found, NotAcceptable)
    assert found.warning.startswith("301 ")
    assert isinstance(accept_answer(offer(BOTH), sdp(theirs)), NotAcceptable)


@pytest.mark.parametrize(
    "theirs", ["fe80::1", "FE80::1%eth0", "febf::1", "2001:db8::9%eth0", "::1%lo", "::%lo"]
)
def test_an_address_that_needs_a_link_is_refused(theirs: str):
    found = answer(sdp(theirs), replace(BOTH, local=True))
    assert isinstance(found, NotAcceptable)
    assert found.warning.startswith("301 ")
    assert isinstance(accept_answer(offer(BOTH), sdp(theirs)), NotAcceptable)


@pytest.mark.parametrize("theirs", ["127.0.0.1", "::1"])
def test_who_calls_from_this_machine_may_have_its_audio_here(theirs: str):
    assert isinstance(answer(sdp(theirs), replace(BOTH, local=True)), Agreed)


@pytest.mark.parametrize("theirs", ["127.0.0.1", "::1"])
def test_an_address_of_ours_on_loopback_opens_it_to_nobody_else(theirs: str):
    ours = replace(BOTH, address="127.0.0.1", other_address="::1")
    assert isinstance(answer(sdp(theirs), ours), NotAcceptable)
    assert isinstance(answer(sdp(theirs), replace(ours, local=True)), Agreed)


@pytest.mark.parametrize("rtcp", ["224.0.0.1", "127.0.0.1", "255.255.255.255"])
def test_rtcp_for_no_single_machine_goes_where_the_audio_goes(rtcp: str):
    found = answer(sdp("192.0.2.9", f"a=rtcp:5007 IN IP4 {rtcp}\r\n"), FOURTH)
    assert isinstance(found, Agreed)
    assert found.remote_rtcp == ("192.0.2.9", 5007)


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
def test_the_unspecified_address_stays_a_hold(nowhere: str):
    found = answer(sdp(nowhere), BOTH)
    assert isinstance(found, Agreed)
    assert found.held
