"""IPv6 in SIP, case by case as RFC 5118 lists them (messages of ours): what is understood, and what is refused."""

import pytest

from telephony.sdp.description import parse as parse_sdp
from telephony.sip.flow import Flow
from telephony.sip.message import Request
from telephony.sip.parser import Parsed, Refuse, parse
from telephony.sip.uri import parse_uri
from tests.unit.sip_line import make_engine

FLOW = Flow("udp", ("2001:db8::1", 5060), ("2001:db8::9:1", 5070))


def message(
    uri: str = "sip:[2001:db8::10]",
    via: str = "[2001:db8::9:1];branch=z9hG4bKas3-111",
    contact: str = "<sip:caller@[2001:db8::1]>",
    method: str = "REGISTER",
    body: str = "",
) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {via}", "Max-Forwards: 70",
        "From: sip:user@example.test;tag=81x2", "To: sip:user@example.test", "Call-ID: case",
        f"CSeq: 98176 {method}", f"Contact: {contact}", f"Content-Length: {len(body)}", "", body,
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def understood(data: bytes) -> Request:
    verdict = parse(data)
    assert isinstance(verdict, Parsed), verdict
    assert isinstance(verdict.message, Request)
    return verdict.message


def test_4_1_an_ipv6_reference_is_a_host():
    assert understood(message()).uri.host == "[2001:db8::10]"


def test_4_2_without_brackets_it_is_refused():
    verdict = parse(message(uri="sip:2001:db8::10"))

    assert isinstance(verdict, Refuse)
    assert verdict.status == 400


def test_4_3_an_ambiguous_port_belongs_to_the_address_in_the_brackets():
    assert understood(message(uri="sip:[2001:db8::10:5070]")).uri.port is None


def test_4_4_a_port_behind_the_brackets_is_one():
    uri = understood(message(uri="sip:[2001:db8::10]:5070")).uri

    assert (uri.host, uri.port) == ("[2001:db8::10]", 5070)


@pytest.mark.parametrize("received", ["2001:db8::9:255", "[2001:db8::9:255]"])
def test_4_5_received_is_read_with_and_without_brackets(received):
    data = message(via=f"[2001:db8::9:1];received={received};branch=z9hG4bKas3-111", method="BYE")

    assert dict(understood(data).via.params)["received"] == received


def test_4_5_received_is_written_without_brackets():
    engine = make_engine()
    engine.receive(message(via="[2001:db8::9:2];branch=z9hG4bKas3", method="OPTIONS"), FLOW, 0.0)
    [(flow, reply)] = engine.to_send()

    assert flow == FLOW
    assert b";received=2001:db8::9:1\r\n" in reply


@pytest.mark.parametrize("address", ["2001:db8::20", "[2001:db8::20]"])
def test_4_6_addresses_of_sdp_stand_without_brackets(address):
    text = f"v=0\r\no=assistant 1 1 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 {address}\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"

    assert (
        parse_sdp(text.encode()).media[0].port == 6000
    )  # a reference is of no use, and does no harm


def test_4_7_several_addresses_in_one_request():
    data = message(
        via="[2001:db8::9:1]:6050;branch=z9hG4bKas3, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb",
        contact="<sip:caller@[2001:db8::1]:5061>, <sip:caller@192.0.2.1>",
    )
    found = understood(data)

    assert (found.via.host, found.via.port) == ("[2001:db8::9:1]", 6050)
    assert [contact.uri.host for contact in found.contacts] == ["[2001:db8::1]", "192.0.2.1"]


def test_4_8_both_families_in_one_description():
    text = (
        "v=0\r\no=bob 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 22334 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
        "m=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\n"
    )
    found = parse_sdp(text.encode())

    assert [found.address_of(media) for media in found.media] == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("host", ["[::ffff:192.0.2.10]", "[2001:DB8::1]", "[::]"])
def test_4_9_and_4_10_written_otherwise_it_is_the_same_kind_of_host(host):
    assert parse_uri(f"sip:user@{host}:5060").host == host


@pytest.mark.parametrize(
    "host", ["[2001:db8::1", "2001:db8::1]", "[]", "[gw.test]", "[2001:db8::1]x"]
)
def test_a_broken_reference_is_refused(host):
    assert isinstance(parse(message(uri=f"sip:user@{host}")), Refuse)
