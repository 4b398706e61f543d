"""Offer and answer: what is agreed, held, refused, and how the o= line grows."""

import pytest

from telephony.sdp.description import Direction, parse
from telephony.sdp.offer_answer import (
    PCMA,
    PCMU,
    Agreed,
    Capabilities,
    Codec,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)

OURS = Capabilities("192.0.2.1", 12000, session_id=70)


def offered(media="m=audio 4000 RTP/AVP 0 8 101", *attributes, address="192.0.2.9", session=()):
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.9",
        "s=-",
        f"c=IN IP4 {address}",
        "t=0 0",
        *session,
        media,
    ]
    return "\r\n".join((*lines, *(f"a={a}" for a in attributes), "")).encode()


def agreed(text, capabilities=OURS, previous=None):
    found = answer(text, capabilities, previous)
    assert isinstance(found, Agreed), found
    return found


def test_an_answer_names_one_codec_and_the_digits():
    found = agreed(
        offered("m=audio 4000 RTP/AVP 8 0 96", "rtpmap:96 telephone-event/8000", "ptime:30")
    )

    assert (found.remote_address, found.remote_port) == ("192.0.2.9", 4000)
    assert found.codec == PCMU
    assert (found.send_payload_type, found.receive_payload_type) == (0, 0)
    assert (found.dtmf_send_type, found.dtmf_receive_type) == (96, 96)
    assert (found.direction, found.ptime_ms) == (Direction.SENDRECV, 30)
    assert found.sdp.decode().split("\r\n") == [
        "v=0",
        "o=- 70 70 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 12000 RTP/AVP 0 96",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:96 telephone-event/8000",
        "a=fmtp:96 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]


def test_our_preference_decides_between_codecs():
    first = Capabilities("192.0.2.1", 12000, codecs=(PCMA, PCMU))

    assert agreed(offered(), first).codec == PCMA


def test_a_dynamic_payload_type_of_theirs_is_used_both_ways():
    opus_like = Capabilities("192.0.2.1", 12000, codecs=(Codec("G722", 8000, 9), PCMU))

    found = agreed(offered("m=audio 4000 RTP/AVP 110 0", "rtpmap:110 g722/8000"), opus_like)

    assert (found.codec.name, found.send_payload_type, found.receive_payload_type) == (
        "G722",
        110,
        110,
    )
    assert found.dtmf_send_type is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sendrecv", Direction.SENDRECV),
        ("sendonly", Direction.RECVONLY),
        ("recvonly", Direction.SENDONLY),
        ("inactive", Direction.INACTIVE),
    ],
)
def test_direction_is_mirrored_at_media_and_session_level(theirs, ours):
    assert agreed(offered("m=audio 4000 RTP/AVP 0", theirs)).direction is ours
    assert agreed(offered(session=[f"a={theirs}"])).direction is ours


def test_hold_of_ours_meets_theirs():
    holding = Capabilities("192.0.2.1", 12000, direction=Direction.SENDONLY)

    assert agreed(offered(), holding).direction is Direction.SENDONLY
    assert (
        agreed(offered("m=audio 4000 RTP/AVP 0", "sendonly"), holding).direction
        is Direction.INACTIVE
    )


def test_the_version_grows_only_when_the_text_changes():
    first = agreed(offered())
    same = agreed(offered(), previous=first)
    held = agreed(offered("m=audio 4000 RTP/AVP 0 8 101", "sendonly"), previous=same)
    back = agreed(offered(), previous=held)

    assert [a.version for a in (first, same, held, back)] == [70, 70, 71, 72]
    assert {a.session_id for a in (first, same, held, back)} == {70}
    assert b"o=- 70 72 IN IP4" in back.sdp


def test_a_later_answer_is_computed_not_replayed():
    first = agreed(offered())

    moved = agreed(offered("m=audio 4444 RTP/AVP 8", address="192.0.2.77"), previous=first)

    assert (moved.remote_address, moved.remote_port, moved.codec) == ("192.0.2.77", 4444, PCMA)
    assert b"RTP/AVP 8\r\n" in moved.sdp


def test_extra_media_is_rejected_with_port_zero_in_its_place():
    text = offered("m=video 4002 RTP/AVP 31") + (
        b"m=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 0\r\nm=application 9 UDP/BFCP *\r\n"
    )

    found = agreed(text)
    again = offer(OURS, found)

    for sdp in (found.sdp, again.sdp):
        assert [(m.kind, m.port) for m in parse(sdp).media] == [
            ("video", 0),
            ("audio", 0),
            ("audio", 12000),
            ("application", 0),
        ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", 399),
        (b"nonsense", 399),
        (b"v=0\r\nm=audio x RTP/AVP 0\r\n", 399),
        (offered("m=video 4000 RTP/AVP 31"), 304),
        (offered("m=audio 0 RTP/AVP 0"), 304),
        (offered("m=audio 4000 RTP/SAVP 0"), 302),
        (offered("m=audio 4000 RTP/AVP 18 3"), 305),
        (offered("m=audio 4000 RTP/AVP 96", "rtpmap:96 PCMU/16000"), 305),
        (offered(address="media.test"), 301),
        (offered(address="2001:db8::9"), 301),
        (offered(address=""), 301),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_warning(text, code):
    found = answer(text, OURS)

    assert isinstance(found, NotAcceptable)
    assert found.warning == f'{code} 192.0.2.1 "{found.reason}"'


@pytest.mark.parametrize(
    ("line", "ptime"), [("ptime:10", 10), ("ptime:60", 60), ("ptime:0", 20), ("ptime:9999", 20),
                        ("ptime:25", 20), ("ptime:x", 20), ("sendrecv", 20)]
)  # fmt: skip
def test_ptime_absent_or_odd_is_20(line, ptime):
    assert agreed(offered("m=audio 4000 RTP/AVP 0", line)).ptime_ms == ptime


def test_our_offer_and_their_answer_with_other_numbers():
    ours = offer(OURS)
    theirs = offered(
        "m=audio 6000 RTP/AVP 8 97", "rtpmap:97 telephone-event/8000", "recvonly", "ptime:20"
    )

    found = accept_answer(ours, theirs)

    assert isinstance(found, Agreed)
    assert (found.codec, found.send_payload_type, found.receive_payload_type) == (PCMA, 8, 8)
    assert (found.dtmf_send_type, found.dtmf_receive_type) == (97, 101)
    assert found.direction is Direction.SENDONLY
    assert found.sdp == ours.sdp


def test_their_order_decides_in_their_answer():
    found = accept_answer(offer(OURS), offered("m=audio 6000 RTP/AVP 8 0"))

    assert isinstance(found, Agreed)
    assert found.codec == PCMA


def test_an_answer_that_takes_nothing_is_not_acceptable():
    assert isinstance(accept_answer(offer(OURS), offered("m=audio 0 RTP/AVP 0")), NotAcceptable)
    assert isinstance(accept_answer(offer(OURS), b"v=1"), NotAcceptable)


def test_a_later_offer_keeps_the_digits_number_and_grows_the_version():
    first = agreed(offered("m=audio 4000 RTP/AVP 0 96", "rtpmap:96 telephone-event/8000"))

    hold = offer(OURS, first, Direction.SENDONLY)

    assert hold.event_types == ((96, 8000),)
    assert hold.version == first.version + 1
    assert b"a=sendonly" in hold.sdp
    assert b"a=rtpmap:96 telephone-event/8000" in hold.sdp


def test_without_digits_none_are_offered_nor_agreed():
    mute = Capabilities("192.0.2.1", 12000, dtmf=False)

    assert b"telephone-event" not in offer(mute).sdp
    found = agreed(offered("m=audio 4000 RTP/AVP 0 96", "rtpmap:96 telephone-event/8000"), mute)
    assert found.dtmf_receive_type is None
