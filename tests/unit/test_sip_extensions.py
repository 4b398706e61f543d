"""Optional headers, one grammar at a time; and addresses as the peers of other projects wrote them."""

import time
from collections import Counter

import pytest

from telephony.sip.errors import SipSyntaxError
from telephony.sip.extensions import (
    RAck,
    SessionExpires,
    SubscriptionState,
    escape_uri_header,
    parse_expires,
    parse_min_se,
    parse_rack,
    parse_refer_to,
    parse_replaces,
    parse_rseq,
    parse_session_expires,
    parse_subscription_state,
    read_optional,
    uri_headers,
    write_replaces,
)
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import Headers, Request
from telephony.sip.session import Replaces
from telephony.sip.uri import unescape
from tests.unit.sip_peer import Peer, request


@pytest.mark.parametrize(
    ("text", "seconds", "refresher"),
    [
        ("1800", 1800, ""),
        ("1800;refresher=uac", 1800, "uac"),
        ("90 ; Refresher=UAS", 90, "uas"),
        ("90;refresher=me;x=y", 90, ""),
    ],
)
def test_session_expires(text, seconds, refresher):
    assert parse_session_expires(text) == SessionExpires(seconds, refresher)


def test_session_expires_is_written_as_it_was_meant():
    assert str(SessionExpires(90, "uac")) == "90;refresher=uac"
    assert str(SessionExpires(90)) == "90"


@pytest.mark.parametrize("text", ["", "soon", "-1", "1800;=x", "99999999999", "\u0661"])
def test_bad_session_expires(text):
    with pytest.raises(SipSyntaxError):
        parse_session_expires(text)


def test_min_se_and_rseq():
    assert parse_min_se("120;x=1") == 120
    assert parse_rseq("2147483647") == 2**31 - 1
    for bad in ("0", "2147483648", "", "1 2"):
        with pytest.raises(SipSyntaxError):
            parse_rseq(bad)


def test_rack():
    assert parse_rack("776656 1 INVITE") == RAck(776656, 1, "INVITE")
    assert str(RAck(1, 2, "INVITE")) == "1 2 INVITE"
    for bad in ("1 INVITE", "1 2", "1 2 IN VITE", "1 2 a@b", "1,2 INVITE", "-1 2 INVITE"):
        with pytest.raises(SipSyntaxError):
            parse_rack(bad)


def test_expires_is_read_like_other_stacks_write_it():
    assert parse_expires("120 (busy);duration=60") == 120
    assert parse_expires("123456789012") == 2**31 - 1
    for bad in ("", "soon", "-5", "1 2", "\u0661"):
        with pytest.raises(SipSyntaxError):
            parse_expires(bad)


@pytest.mark.parametrize(
    ("text", "early"),
    [
        ("98732@h;from-tag=r33;to-tag=ff87;early-only", True),
        ("98732@h ;to-tag=ff87; from-tag=r33", False),
        ("98732@h;To-Tag=ff87;From-Tag=r33;x=y", False),
    ],
)
def test_replaces(text, early):
    replaces = parse_replaces(text)

    assert replaces == Replaces("98732@h", "ff87", "r33", early)
    assert parse_replaces(write_replaces(replaces)) == replaces


@pytest.mark.parametrize(
    "text",
    ["", "a@b", "a@b;to-tag=1", "a@b;from-tag=1", ";to-tag=1;from-tag=2", "a b;to-tag=1;from-tag=2",
     "a@b;to-tag=1;from-tag=2, c@d;to-tag=1;from-tag=2", "a@b;to-tag=;from-tag=2"],
)  # fmt: skip
def test_bad_replaces(text):
    with pytest.raises(SipSyntaxError):
        parse_replaces(text)


def test_subscription_state():
    assert parse_subscription_state("Active ;Expires=60") == SubscriptionState("active", "", 60)
    assert parse_subscription_state("terminated;reason=NoResource;retry-after=5") == (
        SubscriptionState("terminated", "noresource")
    )


def test_a_refer_to_without_brackets_may_have_headers():
    assert parse_refer_to("sip:a@b.test?Subject=x").uri.headers == "Subject=x"
    assert parse_refer_to('"A" <sip:a@b.test>;tag=1').display == "A"


def test_uri_headers_come_back_unescaped_and_breaking_ones_not_at_all():
    text = "Subject=a%20b&X-Evil=1%0d%0aVia:%20x&Bad%20Name=1&flag&X-Empty="

    assert uri_headers(text) == [("Subject", "a b"), ("X-Empty", "")]


@pytest.mark.parametrize("text", ['a;b=c@d?e&f=g h"%', "\u00e9\u20ac", "", "plain-token.1"])
def test_what_is_escaped_for_a_uri_comes_back_the_same(text):
    escaped = escape_uri_header(text)

    assert unescape(escaped) == text
    assert not set(escaped) & set(';=@&<>" ')


def test_a_bad_optional_header_is_absent_and_counted():
    message = Request(Headers([("Min-SE", "soon"), ("x", "90")]), b"", "INVITE", "sip:b.test")
    counters: Counter[str] = Counter()

    assert read_optional(message, "min-se", parse_min_se, counters) is None
    assert read_optional(message, "session-expires", parse_session_expires, counters) == (
        SessionExpires(90)
    )
    assert read_optional(message, "rseq", parse_rseq, counters) is None
    assert counters == {"bad_min-se": 1}


@pytest.mark.parametrize("unit", [";a=b", "%41", "&a=b", '"', "\\", " ", "1", ";", "=", "<", "?"])
def test_hostile_optional_headers_are_cheap(unit):
    text = (unit * 8000)[:8000]
    start = time.process_time()

    for parse in (
        parse_session_expires, parse_rack, parse_replaces, parse_subscription_state, parse_refer_to,
        parse_expires,
    ):  # fmt: skip
        for value in (text, f"sip:a@b.test{text}", f"1{text}"):
            try:
                parse(value)
            except SipSyntaxError:
                continue
    uri_headers(text)
    escape_uri_header(text)

    assert time.process_time() - start < 0.15


def test_from_without_port():
    found = parse_name_addr('"Living room" <sip:100@192.168.1.5>;tag=1')

    assert (found.uri.user, found.uri.host, found.uri.port) == ("100", "192.168.1.5", None)


@pytest.mark.parametrize(
    "value",
    [
        '"Anna Lee"<sip:100@pbx.3cx.test:5060>;tag=9f1a',
        '"100"<sip:100@192.168.1.5:5060;nf=e>;tag=9f1a',
        '"Anna, Lee (3CX)" <sip:100@pbx.3cx.test:5060;user=phone>;tag=9f1a',
    ],
)
def test_from_as_sent_by_3cx(value):
    found = parse_name_addr(value)

    assert (found.uri.number, found.uri.port, found.tag) == ("100", 5060, "9f1a")
    assert found.display


@pytest.mark.parametrize(
    ("value", "display"),
    [
        ('"Anna"<sip:100@pbx.test>;tag=1', "Anna"),
        ("Anna<sip:100@pbx.test>;tag=1", "Anna"),
        ("<sip:100@pbx.test>;tag=1", ""),
    ],
)
def test_name_addr_without_space(value, display):
    found = parse_name_addr(value)

    assert (found.display, found.uri.user, found.tag) == (display, "100", "1")


@pytest.mark.parametrize("method", ["OPTIONS", "NOTIFY"])
@pytest.mark.parametrize(
    "event", ["", "Event: keep-alive\r\n", "Event: message-summary\r\n", "Event: refer\r\n"]
)
def test_options_and_notify_never_undeciphered(method, event):
    peer = Peer()

    [(_, reply)] = peer.send(request(method, extra=event))

    assert reply.status in ((200,) if method == "OPTIONS" else (481, 489))
    assert not any(name.startswith("bad_") for name in peer.engine.counters)


@pytest.mark.parametrize(
    ("method", "status", "header"),
    [
        ("SUBSCRIBE", 489, ("allow-events", "refer")),
        ("PUBLISH", 489, ("allow-events", "refer")),
        ("NOTIFY", 489, ("allow-events", "refer")),
        ("REGISTER", 405, ("allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY")),
        ("MESSAGE", 405, ("allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY")),
        ("FOO", 501, ("allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY")),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused_with_what_would_be(method, status, header):
    peer = Peer()

    [(_, reply)] = peer.send(request(method))

    assert reply.status == status
    assert reply.headers.first(header[0]) == header[1]


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "PRACK", "INFO"])
def test_requests_of_a_dialog_without_one_are_481(method):
    [(_, reply)] = Peer().send(request(method, to_tag="gone"))

    assert reply.status == 481


def test_a_subscription_inside_of_a_call_is_refused_too():
    peer = Peer()
    session, tag = peer.answered()

    [(_, reply)] = peer.send(request("SUBSCRIBE", branch="s", to_tag=tag, cseq=2))

    assert reply.status == 489
    session.bye(peer.now)
