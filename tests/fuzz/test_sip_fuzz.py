"""Random and mutated input: a message or a verdict, nothing else; what was read is written back the same."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telephony.sip.engine import SipEngine
from telephony.sip.errors import SipSyntaxError
from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr, parse_via
from telephony.sip.message import Headers, Request, canonical_name, write
from telephony.sip.parser import Drop, Parsed, Refuse, parse
from telephony.sip.stream import StreamFramer
from telephony.sip.uri import parse_uri
from tests.fuzz.sip_corpus import own_messages
from tests.unit.sip_line import make_engine

FLOW = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
SEEDS = [message.data for message in own_messages()]
fast = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def mutations(draw):
    """One of our messages with pieces cut out, doubled, flipped or swapped for those of another one."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        kind = draw(st.sampled_from(["cut", "double", "noise", "graft"]))
        if kind == "cut":
            del data[start:end]
        elif kind == "double":
            data[start:start] = data[start:end]
        elif kind == "noise":
            data[start:end] = draw(st.binary(max_size=12))
        else:
            other = draw(st.sampled_from(SEEDS))
            data[start:end] = other[start:end]
    return bytes(data)


token = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=20)
value = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=60).map(
    lambda text: text.strip(" \t")
)
KNOWN = {
    "via", "from", "to", "call-id", "cseq", "max-forwards", "contact", "record-route", "content-length",
    "date",
}  # fmt: skip


@given(st.one_of(st.binary(max_size=400), mutations()))
@fast
def test_any_octets_give_a_message_or_a_verdict(data):
    assert isinstance(parse(data), Parsed | Refuse | Drop)


@given(st.lists(st.one_of(st.binary(max_size=200), mutations()), max_size=4))
@fast
def test_the_engine_survives_any_datagrams_and_answers_only_where_they_came_from(datagrams):
    engine: SipEngine = make_engine()

    for data in datagrams:
        engine.receive(data, FLOW, 0.0)
    engine.timer(1000.0)

    assert {flow for flow, _ in engine.to_send()} <= {FLOW}


@given(mutations())
@fast
def test_what_was_parsed_is_the_same_after_writing_and_parsing_again(data):
    verdict = parse(data)
    if isinstance(verdict, Parsed):
        again = parse(write(verdict.message))
        assert again == verdict


@given(st.lists(st.tuples(token, value), max_size=8), st.binary(max_size=100))
@fast
def test_unknown_headers_pass_through_octet_by_octet(unknown, body):
    unknown = [(name, text) for name, text in unknown if canonical_name(name) not in KNOWN]
    known = [
        ("Via", "SIP/2.0/UDP peer.test;branch=z9hG4bKx"),
        ("From", "<sip:a@peer.test>;tag=1"),
        ("To", "<sip:b@gw.test>"),
        ("Call-ID", "c"),
        ("CSeq", "1 OPTIONS"),
        ("Content-Length", str(len(body))),
    ]
    request = Request(Headers(known + unknown), body, "OPTIONS", "sip:b@gw.test")

    assert parse(write(request)) == Parsed(request)


@given(st.binary(max_size=300), st.data())
@fast
def test_foreign_octets_in_a_value_leave_as_they_came(noise, data):
    noise = bytes(o for o in noise if o not in b"\r\n\x00 \t")
    raw = SEEDS_BY_NAME["line_feeds_only"].replace(b"\n", b"\r\n")
    raw = raw.replace(b"Content-Length", b"X-Raw: " + noise + b"\r\nContent-Length")

    verdict = parse(raw)

    assert isinstance(verdict, Parsed)
    assert b"\r\nX-Raw: " + noise + b"\r\n" in write(verdict.message)


SEEDS_BY_NAME = {message.name: message.data for message in own_messages()}


@given(mutations(), st.lists(st.integers(1, 50), max_size=30))
@fast
def test_a_stream_gives_the_same_messages_however_it_is_cut(data, cuts):
    whole, pieces = StreamFramer(), StreamFramer()
    expected = whole.feed(data)
    found = []
    position = 0
    for cut in [*cuts, len(data)]:
        found += pieces.feed(data[position : position + cut])
        position += cut

    assert found == expected


@given(st.one_of(st.text(max_size=80), value))
@fast
def test_uri_name_addr_and_via_are_values_or_our_error(text):
    for read in (parse_uri, parse_name_addr, parse_via):
        try:
            found = read(text)
        except SipSyntaxError:
            continue
        assert read(str(found)) == found
