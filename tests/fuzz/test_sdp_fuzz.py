"""Random and mutated session descriptions: a value or our refusal; written text reads the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.sdp.crypto import SrtpPolicy, parse_crypto
from telephony.sdp.description import parse, write
from telephony.sdp.errors import SdpError
from telephony.sdp.offer_answer import (
    G722,
    OPUS,
    PCMA,
    PCMU,
    Agreed,
    Capabilities,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)

PLAIN = Capabilities("192.0.2.1", 12000)
SECURE = Capabilities(
    "192.0.2.1",
    12000,
    codecs=(OPUS, G722, PCMU, PCMA),
    srtp=SrtpPolicy.OPTIONAL,
    new_key=bytes,
)
OURS = st.sampled_from([PLAIN, SECURE])
KEY = b"A" * 40
LINES = [
    b"v=0", b"o=- 1 1 IN IP4 192.0.2.9", b"o=x", b"s=-", b"c=IN IP4 192.0.2.9", b"c=IN IP4 0.0.0.0",
    b"c=IN IP6 ::", b"c=", b"t=0 0", b"m=audio 4000 RTP/AVP 0 8 101", b"m=audio 0 RTP/AVP 0",
    b"m=video 9 RTP/SAVPF 96", b"m=audio 4000 RTP/AVP x 300 96", b"a=rtpmap:101 telephone-event/8000",
    b"a=rtpmap:96 PCMA/8000", b"a=rtpmap:", b"a=rtpmap:0", b"a=sendonly", b"a=inactive", b"a=ptime:30",
    b"a=ptime:\xd9\xa1", b"a", b"=", b"", b"a=\xff\xfe", b"k=prompt", b"y=0", b"a=maxptime:40", b"a=rtcp-mux",
    b"a=rtcp:4009 IN IP4 192.0.2.8", b"a=rtcp:\xd9\xa1", b"m=audio 4000 RTP/AVP 9 96 97 101 13", b"a=rtpmap:97 opus/48000/2",
    b"a=rtpmap:101 opus/48000/2", b"a=rtpmap:97 telephone-event/48000", b"a=fmtp:97 useinbandfec=1;maxaveragebitrate=\xd9\xa1",
    b"m=audio 4000 RTP/SAVP 0 97 101", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY, b"a=crypto:",
    b"a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:" + b"B" * 62 + b"|2^20|1:4", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + KEY + b" KDR=1",
]  # fmt: skip
descriptions = st.lists(st.sampled_from(LINES), max_size=14).map(
    lambda lines: b"\r\n".join((b"v=0", *lines))
)
texts = st.one_of(st.binary(max_size=200), descriptions)
fast = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@given(texts)
@fast
def test_any_text_is_a_description_or_an_sdp_error(text):
    try:
        found = parse(text)
    except SdpError:
        return
    assert parse(write(found)) == found


@given(OURS, texts, texts)
@fast
def test_any_offer_is_answered_or_refused_and_every_answer_can_be_read(ours, first, second):
    found = answer(first, ours)
    later = answer(second, ours, found if isinstance(found, Agreed) else None)

    for outcome in (found, later):
        assert isinstance(outcome, Agreed | NotAcceptable)
        if isinstance(outcome, Agreed):
            assert any(media.port == 12000 for media in parse(outcome.sdp).media)
            formats = parse(offer(ours, outcome).sdp).media[outcome.others.index(None)].formats
            assert len(formats) == len(set(formats))
    if isinstance(found, Agreed) and isinstance(later, Agreed):
        assert later.version == found.version + (later.sdp != found.sdp)


@given(OURS, texts)
@fast
def test_any_answer_is_accepted_or_refused(ours, text):
    assert isinstance(accept_answer(offer(ours), text), Agreed | NotAcceptable)


@given(st.text(max_size=120))
@fast
def test_any_crypto_line_is_a_key_or_none(text):
    line = parse_crypto(text)
    assert line is None or len(line.key) == line.suite.key_octets
