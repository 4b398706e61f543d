"""IPv6 in SIP, along the cases of RFC 5118."""

import pytest

from telephony.sip.errors import UriError
from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr, parse_via
from telephony.sip.message import stamp_via
from telephony.sip.parser import Parsed, Refuse, parse
from telephony.sip.uri import ip_literal, parse_uri
from tests.unit.sip_line import make_engine, read

FLOW = Flow("udp", ("2001:db8::10", 5060), ("2001:db8::9:1", 5060))


def options(
    uri="sip:[2001:db8::10]",
    via="[2001:db8::9:1]",
    params=";branch=z9hG4bKas3",
    host="[2001:db8::10]",
):
    return (
        f"OPTIONS {uri} SIP/2.0\r\nTo: <sip:user@{host}>\r\nFrom: <sip:user@example.com>;tag=81x2\r\n"
        f"Via: SIP/2.0/UDP {via}{params}\r\nCall-ID: SSG9559905523997077@hlau_4100\r\nMax-Forwards: 70\r\n"
        "Contact: <sip:caller@[2001:db8::1]>\r\nCSeq: 98176 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()  # fmt: skip


def test_a_message_of_nothing_but_ipv6_is_answered():
    engine = make_engine()
    engine.receive(options(), FLOW, 0.0)
    [(flow, data)] = engine.to_send()
    reply = read(data)

    assert (flow, reply.status) == (FLOW, 200)
    assert reply.headers.first("via") == "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3"


def test_an_address_without_brackets_is_refused():
    verdict = parse(options(uri="sip:2001:db8::10"))

    assert isinstance(verdict, Refuse)
    assert verdict.status == 400


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("sip:[2001:db8::10:5070]", "[2001:db8::10:5070]", None),  # RFC 5118 4.3: that is no port
        ("sip:[2001:db8::10]:5070", "[2001:db8::10]", 5070),
        ("sip:user@[2001:db8::192.0.2.1]", "[2001:db8::192.0.2.1]", None),
        ("sip:user@[::ffff:192.0.2.10]:19823", "[::ffff:192.0.2.10]", 19823),
        (
            "sip:user@[2001:db8:::192.0.2.1]",
            "[2001:db8:::192.0.2.1]",
            None,
        ),  # 4.10: one colon too many
    ],
)
def test_addresses_and_ports_are_told_apart(uri, host, port):
    read_uri = parse_uri(uri)

    assert (read_uri.host, read_uri.port) == (host, port)
    assert str(read_uri) == uri
    assert isinstance(parse(options(uri=uri)), Parsed)


@pytest.mark.parametrize(
    "uri", ["sip:[2001:db8::10", "sip:2001:db8::10]", "sip:[]", "sip:[2001:db8::10]x"]
)
def test_broken_brackets_are_our_error(uri):
    with pytest.raises(UriError):
        parse_uri(uri)


@pytest.mark.parametrize("received", ["[2001:db8::9:255]", "2001:db8::9:255"])
def test_received_is_read_with_and_without_brackets(received):
    via = parse_via(f"SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3")

    assert (via.host, via.branch) == ("[2001:db8::9:1]", "z9hG4bKas3")
    assert isinstance(parse(options(params=f";received={received};branch=z9hG4bKas3")), Parsed)


def test_received_is_written_without_brackets_and_only_where_it_differs():
    mapped = Flow("udp", FLOW.local, ("2001:db8::9:255", 5070))

    assert stamp_via("SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1;rport", mapped) == (
        "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1;received=2001:db8::9:255;rport=5070"
    )
    assert "received" not in stamp_via("SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1", FLOW)


def test_several_ways_to_write_an_address_are_one():
    assert ip_literal("[2001:DB8:0:0::10]") == ip_literal("[2001:db8::10]") == "2001:db8::10"
    assert parse_name_addr("<sip:user@[2001:db8::10]>;tag=1").uri.host == "[2001:db8::10]"


def test_a_call_of_ours_says_where_it_comes_from_in_brackets():
    engine = make_engine()
    engine.options("sip:[2001:db8::9:1]", from_="sip:us@[2001:db8::10]", flow=FLOW, now=0.0)
    [(_, data)] = engine.to_send()

    assert read(data).via.host == "[2001:db8::10]"
