"""IPv6 in SIP, case by case as RFC 5118 lists them (messages of ours): what is understood, and what is refused."""

import pytest

from telephony.sdp.description import parse as parse_sdp
from telephony.sdp.offer_answer import Agreed, Capabilities, NotAcceptable, answer
from telephony.sip.flow import Flow
from telephony.sip.message import Request
from telephony.sip.parser import Parsed, Refuse, parse
from telephony.sip.uri import parse_uri
from tests.unit.sip_line import make_engine

BOTH = Capabilities("192.0.2.5", 4000, other_address="2001:db8::5")
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


def offered(address: str) -> bytes:
    """One stream of PCMU at this address."""
    family = "IP6" if ":" in address else "IP4"
    return (
        f"v=0\r\no=user 53655765 2353687637 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n"
        "t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
    ).encode()


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


def test_4_6_an_offer_over_ipv6_is_answered_with_our_ipv6_address():
    found = answer(offered("2001:db8::20"), BOTH)

    assert isinstance(found, Agreed)
    assert (found.remote_address, found.remote_port) == ("2001:db8::20", 6000)
    assert b"c=IN IP6 2001:db8::5\r\n" in found.sdp
    assert b" IN IP6 2001:db8::5\r\ns=" in found.sdp


def test_4_6_addresses_of_sdp_stand_without_brackets():
    assert isinstance(answer(offered("[2001:db8::20]"), BOTH), NotAcceptable)


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


def test_4_8_each_stream_has_the_address_of_its_own_line():
    text = offered("192.0.2.1") + b"m=audio 6024 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n"
    fourth, sixth = (
        answer(text, Capabilities(ours, 4000)) for ours in ("192.0.2.5", "2001:db8::5")
    )

    assert isinstance(fourth, Agreed)
    assert isinstance(sixth, Agreed)
    assert fourth.remote_address == "192.0.2.1"
    assert sixth.remote_address == "2001:db8::1"
    assert b"m=audio 0 " in fourth.sdp
    assert b"m=audio 0 " in sixth.sdp


def test_4_9_a_mapped_address_is_a_host_of_a_uri():
    data = message(
        via="[::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
        contact='"T. desk phone" <sip:ted@[::ffff:192.0.2.2]>',
    )
    found = understood(data)

    assert (found.via.host, found.via.port) == ("[::ffff:192.0.2.10]", 19823)
    assert found.contacts[0].uri.host == "[::ffff:192.0.2.2]"


def test_4_9_a_mapped_address_in_sdp_is_the_ipv4_address_that_it_maps():
    found = answer(offered("::ffff:192.0.2.2"), BOTH)

    assert isinstance(found, Agreed)
    assert found.remote_address == "192.0.2.2"
    assert b"c=IN IP4 192.0.2.5\r\n" in found.sdp


@pytest.mark.parametrize("host", ["[2001:db8:::192.0.2.1]", "[2001:db8::192.0.2.1]"])
def test_4_10_with_the_colon_too_many_of_rfc_3261_and_without_it(host):
    """Both are answered: what the grammar of RFC 3261 made peers write, and what it meant."""
    engine = make_engine()
    engine.receive(message(uri=f"sip:user@{host}", method="OPTIONS"), FLOW, 0.0)
    [(_, reply)] = engine.to_send()

    assert reply.startswith(b"SIP/2.0 200 ")


@pytest.mark.parametrize("host", ["[2001:DB8::1]", "[::]", "[::1]"])
def test_however_it_is_written_it_is_a_host(host):
    assert parse_uri(f"sip:user@{host}:5060").host == host


@pytest.mark.parametrize(
    "host", ["[2001:db8::1", "2001:db8::1]", "[]", "[gw.test]", "[2001:db8::1]x"]
)
def test_a_broken_reference_is_refused(host):
    assert isinstance(parse(message(uri=f"sip:user@{host}")), Refuse)
