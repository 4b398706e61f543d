"""Reading and writing session descriptions."""

import pytest

from telephony.sdp.description import Direction, Origin, RtpMap, parse, write
from telephony.sdp.errors import SdpError

TEXT = (
    b"v=0\r\no=rao 20 3 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 224.2.1.1/127\r\nb=AS:64\r\nt=0 0\r\n"
    b"a=group:BUNDLE 0\r\nz=unknown line\r\nm=audio 4000/2 RTP/AVP 0 97\r\ni=title\r\na=rtpmap:97 opus/48000/2\r\n"
    b"a=mid:0\r\na=sendonly\r\nm=video 0 RTP/AVP 31\r\nc=IN IP4 192.0.2.3\r\n"
)


def test_a_description_is_read_and_written():
    found = parse(TEXT)

    assert found.origin == Origin("rao", 20, 3, "192.0.2.1")
    audio, video = found.media
    assert (audio.kind, audio.port, audio.formats) == ("audio", 4000, ("0", "97"))
    assert audio.rtpmaps() == {0: RtpMap("PCMU", 8000), 97: RtpMap("OPUS", 48000, 2)}
    assert audio.attribute("mid") == "0"
    assert audio.attribute("sendonly") == ""
    assert audio.attribute("absent") is None
    assert found.address_of(audio) == "224.2.1.1"
    assert found.address_of(video) == "192.0.2.3"
    assert (found.direction_of(audio), found.direction_of(video)) == (
        Direction.SENDONLY,
        Direction.SENDRECV,
    )
    assert write(found) == TEXT.replace(b"4000/2", b"4000")


def test_what_a_section_says_cannot_be_changed_from_outside():
    media = parse(TEXT).media[0]

    assert media.attributes("rtpmap") == ("97 opus/48000/2",)
    assert media.attributes("absent") == ()


def test_sdp_without_last_newline_and_with_line_feeds_only():
    expected = parse(b"v=0\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n")

    assert parse(b"v=0\ns=-\nm=audio 4000 RTP/AVP 0") == expected
    assert parse(b"v=0\r\ns=-\r\n\r\nm=audio 4000 RTP/AVP 0\r\n\r\n") == expected


def test_missing_lines_are_tolerated():
    found = parse(b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n")

    assert found.origin is None
    assert found.address_of(found.media[0]) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", 1),
        (b"v=1\r\n", 1),
        (b"o=- 1 1 IN IP4 1.1.1.1\r\nv=0\r\n", 1),
        (b"v=0\r\no=- x 1 IN IP4 1.1.1.1\r\n", 2),
        (b"v=0\r\no=-\r\n", 2),
        (b"v=0\r\ns=-\r\nm=audio RTP/AVP 0\r\n", 3),
        (b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n", 2),
        (b"v=0\r\nm=audio -1 RTP/AVP 0\r\n", 2),
        ("v=0\r\nm=audio ١ RTP/AVP 0\r\n".encode(), 2),
        (b"v=0\r\nhello\r\n", 2),
        (b"v=0\r\n=x\r\n", 2),
        (b"v=0\r\ns=a\rb\r\n", 2),
        (b"v=0\r\ns=a\x00b\r\n", 2),
        (b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 9, 10),
        (b"v=0\r\nm=audio 1 RTP/AVP" + b" 0" * 65 + b"\r\n", 2),
    ],
)
def test_what_cannot_be_read_says_where(text, line):
    with pytest.raises(SdpError) as caught:
        parse(text)

    assert caught.value.line == line
    assert caught.value.sip_status == 488


@pytest.mark.parametrize("direction", list(Direction))
def test_mirroring_twice_is_the_same(direction):
    assert direction.mirrored().mirrored() is direction
    assert direction.mirrored().sends is direction.receives


def test_payload_types_out_of_range_or_unknown_are_left_out():
    text = b"v=0\r\nm=audio 1 RTP/AVP 0 77 128 999 x 8\r\na=rtpmap:128 PCMU/8000\r\na=rtpmap:8 L16/44100/2\r\n"

    assert parse(text).media[0].rtpmaps() == {0: RtpMap("PCMU", 8000), 8: RtpMap("L16", 44100, 2)}
