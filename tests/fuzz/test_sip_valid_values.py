"""Valid but unusual messages: not only accepted, but read right. Ours, and the RFC's where they are given."""

import pytest

from telephony.sip.headers import parse_via, split_commas
from telephony.sip.message import Response, write
from telephony.sip.parser import Parsed, parse
from telephony.sip.uri import equivalent, parse_uri
from tests.fuzz.sip_corpus import own_messages, rfc4475_messages

OWN = {message.name: message.data for message in own_messages()}
RFC = {message.name: message.data for message in rfc4475_messages()}


def read(data):
    verdict = parse(data)
    assert isinstance(verdict, Parsed), verdict
    return verdict.message


def test_folded_and_compact_headers_are_unfolded_and_named():
    message = read(OWN["folded_compact_invite"])

    assert message.from_.display == 'K. \\ "Q"'
    assert message.from_.tag == "k1"
    assert (message.cseq.number, message.cseq.method) == (7, "INVITE")
    assert message.via.sent_by == "peer.test"
    assert message.via.branch == "z9hG4bK-folded"
    second = parse_via(split_commas(message.headers.first("via"))[1])
    assert (second.transport, second.branch) == ("TCP", "z9hG4bK-two")
    assert message.headers.first("x-odd-header") == "of three lines : with colons"
    assert message.headers.first("subject") == ""
    assert message.contacts[0].param("newparam") == "x"
    assert message.contacts[0].param("secparam") == ""


def test_odd_characters_are_kept_and_controls_not_shown():
    message = read(OWN["odd_legal_characters"])

    assert message.method == "Odd-!%*_+`'~.9"
    assert message.uri.user == "a-_.!~*'()&=+$,;?/x:p&=+$,"
    assert message.to.display == "bell:\ufffd nul:\ufffd del:\ufffd"
    assert message.headers.first("x-!.%*_+`'~") == "नमस्ते दुनिया"
    assert b"\\\x00" in write(message)


def test_escaped_octets_stay_and_compare_equal_to_the_letters():
    message = read(OWN["escaped_user"])

    assert message.uri.user == "sips%3Adesk%40peer.test"
    assert message.uri.number == "sips:desk@peer.test"
    contact = message.contacts[0].uri
    assert equivalent(contact, parse_uri("sip:caller@198.51.100.7:5070;user=a"))


def test_escaped_nul_keeps_two_contacts_apart():
    one, two = read(OWN["escaped_nul"]).contacts

    assert one.uri.number == "nul-%00"
    assert not equivalent(one.uri, two.uri)


def test_a_percent_sign_in_a_name_is_no_escape():
    message = read(OWN["percent_is_no_escape"])

    assert message.method == "OPT%49ONS"
    assert message.contacts == ()
    assert message.headers.first("c%6fntact") == "<sip:no@peer.test>"


def test_name_addr_without_space():
    assert read(OWN["name_addr_without_space"]).from_.display == "kiran"


def test_user_part_with_parameters():
    message = read(OWN["semicolon_in_user"])

    assert message.uri.user == "desk;par=u%40peer.test"
    assert message.uri.params == ()


def test_octets_beyond_the_length_are_not_read():
    message = read(OWN["two_requests_in_one"])

    assert message.method == "REGISTER"
    assert message.body == b""


def test_multipart_body_is_untouched():
    body = read(OWN["multipart_with_binary"]).body

    assert body in OWN["multipart_with_binary"]
    assert b"bare\x00nul" in body
    assert body.endswith(b"--edge--\r\n")


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("utf8_reason", 200, "= 2**3 * 5**2 सब ठीक"),
        ("empty_reason", 100, ""),
        ("no_reason_no_space", 180, ""),
    ],
)
def test_reason_phrases(name, status, reason):
    message = read(OWN[name])

    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


def test_header_and_uri_parameters_of_a_contact_are_told_apart():
    bare = read(OWN["parameter_after_bare_contact"]).contacts[0]
    inside = read(OWN["parameter_inside_brackets"]).contacts[0]

    assert (bare.params, bare.uri.params) == ((("unknownparam", None),), ())
    assert (inside.params, inside.uri.params) == ((), (("unknownparam", None),))


def test_headers_inside_a_contact_are_kept_with_it():
    contact = read(OWN["route_inside_contact"]).contacts[0]

    assert contact.uri.headers == "Route=%3Csip:x.test%3E"


EXPECTED = {
    "wsinv": lambda m: (
        m.to.tag == "1918181833n"
        and m.from_.display == 'J Rosenberg \\"'
        and m.cseq.number == 9
        and m.headers.first("max-forwards") == "0068"
        and m.via.branch == "390skdjuw"
        and len(m.headers.all("via")) == 2
        and m.headers.first("newfangledheader") == "newfangled value continued newfangled value"
        and m.headers.first("unknownheaderwithunusualvalue") == ";;,,;;,;"
        and m.contacts[0].display == 'Quoted string ""'
        and m.contacts[0].param("q") == "0.33"
        and len(m.body) == 150
    ),
    "intmeth": lambda m: (
        m.method == "!interesting-Method0123456789_*+`.%indeed'~"
        and m.to.display == "BEL:\ufffd NUL:\ufffd DEL:\ufffd"
        and m.from_.tag == "_token~1'+`*%!-."
        and m.cseq.number == 139122385
        and m.headers.first("extensionheader-!.%*+_`'~") == "\ufeff大停電"
    ),
    "esc01": lambda m: (
        m.uri.number == "sips:user@example.com"
        and equivalent(m.to.uri, parse_uri("sip:user@example.com"))
        and m.contacts[0].uri.number == "caller"
    ),
    "escnull": lambda m: (
        [c.uri.user for c in m.contacts] == ["%00", "%00%00"] and m.to.uri.user == "null-%00-null"
    ),
    "esc02": lambda m: (
        m.method == "RE%47IST%45R"
        and m.to.display == "%Z%45"
        and [str(c.uri) for c in m.contacts]
        == ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]
    ),
    "lwsdisp": lambda m: m.from_.display == "caller",
    "longreq": lambda m: m.cseq.number == 3882340 and len(m.headers.all("via")) == 34,
    "dblreq": lambda m: m.method == "REGISTER" and m.body == b"",
    "semiuri": lambda m: m.uri.user == "user;par=u%40example.net",
    "transports": lambda m: m.via.transport == "UDP" and len(m.headers.all("via")) == 5,
    "mpart01": lambda m: len(m.body) == 553,
    "unreason": lambda m: m.status == 200 and m.reason.startswith("= 2**3 * 5**2 но сто"),
    "noreason": lambda m: m.status == 100 and m.reason == "",
    "cparam01": lambda m: m.contacts[0].params == (("unknownparam", None),),
    "cparam02": lambda m: m.contacts[0].uri.params == (("unknownparam", None),),
}


def test_the_valid_messages_of_the_rfc_are_read_right():
    wrong = [
        name for name, data in RFC.items() if name in EXPECTED and not EXPECTED[name](read(data))
    ]

    assert wrong == []
