"""Random and mutated session descriptions: a value or our refusal; written text reads the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.sdp.description import parse, write
from telephony.sdp.errors import SdpError
from telephony.sdp.offer_answer import (
    Agreed,
    Capabilities,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)

OURS = Capabilities("192.0.2.1", 12000)
LINES = [
    b"v=0", b"o=- 1 1 IN IP4 192.0.2.9", b"o=x", b"s=-", b"c=IN IP4 192.0.2.9", b"c=IN IP4 0.0.0.0",
    b"c=IN IP6 ::", b"c=", b"t=0 0", b"m=audio 4000 RTP/AVP 0 8 101", b"m=audio 0 RTP/AVP 0",
    b"m=video 9 RTP/SAVPF 96", b"m=audio 4000 RTP/AVP x 300 96", b"a=rtpmap:101 telephone-event/8000",
    b"a=rtpmap:96 PCMA/8000", b"a=rtpmap:", b"a=rtpmap:0", b"a=sendonly", b"a=inactive", b"a=ptime:30",
    b"a=ptime:\xd9\xa1", b"a", b"=", b"", b"a=\xff\xfe", b"k=prompt", b"y=0",
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


@given(texts, texts)
@fast
def test_any_offer_is_answered_or_refused_and_every_answer_can_be_read(first, second):
    found = answer(first, OURS)
    later = answer(second, OURS, found if isinstance(found, Agreed) else None)

    for outcome in (found, later):
        assert isinstance(outcome, Agreed | NotAcceptable)
        if isinstance(outcome, Agreed):
            assert any(media.port == 12000 for media in parse(outcome.sdp).media)
    if isinstance(found, Agreed) and isinstance(later, Agreed):
        assert later.version == found.version + (later.sdp != found.sdp)


@given(texts)
@fast
def test_any_answer_is_accepted_or_refused(text):
    assert isinstance(accept_answer(offer(OURS), text), Agreed | NotAcceptable)
