"""What offers and answers of real phones have in them, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.sdp.codecs import CODECS, G722, OPUS, PCMA, PCMU
from telephony.sdp.description import Direction, parse
from telephony.sdp.offer_answer import (
    Agreed,
    Capabilities,
    NotAcceptable,
    accept_answer,
    answer,
    offer,
)
from tests.unit.test_sdp_offer_answer import offered

NARROW = Capabilities("192.0.2.1", 12000, session_id=70)
WIDE = replace(NARROW, codecs=(OPUS, G722, PCMU, PCMA))
DESK_PHONE = offered(
    "m=audio 4000 RTP/AVP 9 8 0 114 101 102 13",
    "rtpmap:114 opus/48000/2",
    "fmtp:114 useinbandfec=1; maxaveragebitrate=24000",
    "rtpmap:101 telephone-event/8000",
    "rtpmap:102 telephone-event/48000",
    "fmtp:101 0-16",
)


def agreed(found: Agreed | NotAcceptable) -> Agreed:
    assert isinstance(found, Agreed), found
    return found


# ------------------------------------------------------------------------------- pitfalls of the design


def test_hold_sendonly_is_answered_recvonly():
    up = agreed(answer(offered(), NARROW))
    held = agreed(answer(offered("m=audio 4000 RTP/AVP 0", "sendonly"), NARROW, up))
    assert b"a=recvonly" in held.sdp
    assert held.held
    back = agreed(answer(offered(), NARROW, held))
    assert b"a=sendrecv" in back.sdp
    assert not back.held
    assert (up.version, held.version, back.version) == (70, 71, 72)


def test_hold_inactive_is_answered_inactive():
    found = agreed(answer(offered("m=audio 4000 RTP/AVP 0", "inactive"), NARROW))
    assert b"a=inactive" in found.sdp
    assert found.held


def test_sdp_without_last_newline():
    text = offered("m=audio 4000 RTP/AVP 0", "sendonly").rstrip()
    assert agreed(answer(text, NARROW)).direction is Direction.RECVONLY
    assert agreed(answer(text.replace(b"\r\n", b"\n"), NARROW)).held


@pytest.mark.parametrize(("address", "ours"), [("0.0.0.0", "192.0.2.1"), ("::", "2001:db8::1")])
def test_c_line_zero_and_double_colon(address: str, ours: str):
    capabilities = replace(NARROW, address=ours)
    held = agreed(answer(offered(address=address), capabilities))
    assert (held.direction, held.held) == (Direction.RECVONLY, True)
    inactive = offered("m=audio 4000 RTP/AVP 0", "inactive", address=address)
    assert agreed(answer(inactive, capabilities)).direction is Direction.INACTIVE


def test_reinvite_changes_codec_both_ways():
    up = agreed(answer(offered("m=audio 4000 RTP/AVP 0"), WIDE))
    other = agreed(answer(offered("m=audio 4000 RTP/AVP 9"), WIDE, up))
    back = agreed(answer(offered("m=audio 4000 RTP/AVP 8 0"), WIDE, other))
    assert [a.codec.name for a in (up, other, back)] == ["PCMU", "G722", "PCMU"]
    for found, number in ((up, 0), (other, 9), (back, 0)):
        assert (found.send_payload_type, found.receive_payload_type) == (number, number)
        assert f"m=audio 12000 RTP/AVP {number}\r\n".encode() in found.sdp


def test_empty_reinvite_gets_offer():
    """All we can do, numbered as this session has it, with a version that grew; their answer then decides."""
    up = agreed(answer(DESK_PHONE, WIDE))
    again = offer(WIDE, up)
    assert [m.formats for m in parse(again.sdp).media] == [("114", "9", "0", "8", "101", "102")]
    assert again.version == up.version + 1
    found = accept_answer(
        again, offered("m=audio 4004 RTP/AVP 8 101", "rtpmap:101 telephone-event/8000")
    )
    assert (agreed(found).codec, agreed(found).remote_port) == (PCMA, 4004)
    assert agreed(found).dtmf_receive_type == 101


def test_changed_c_line_moves_rtp():
    up = agreed(answer(offered(), NARROW))
    moved = agreed(answer(offered(address="198.51.100.7"), NARROW, up))
    assert (moved.remote_address, moved.version) == ("198.51.100.7", up.version)
    deeper = offered() + b"c=IN IP4 198.51.100.8\r\n"
    assert agreed(answer(deeper, NARROW, moved)).remote_address == "198.51.100.8"


# ------------------------------------------------------------------------------- codecs


def test_our_order_or_theirs_decides():
    assert agreed(answer(DESK_PHONE, WIDE)).codec == OPUS
    assert agreed(answer(DESK_PHONE, replace(WIDE, their_order=True))).codec == G722
    assert agreed(answer(DESK_PHONE, NARROW)).codec == PCMU


def test_opus_is_answered_with_their_number_and_told_of_their_wishes():
    found = agreed(answer(DESK_PHONE, WIDE))
    assert (found.send_payload_type, found.fec, found.max_bitrate) == (114, True, 24000)
    text = found.sdp.decode()
    assert "m=audio 12000 RTP/AVP 114 13 102" in text
    assert "a=rtpmap:114 opus/48000/2\r\n" in text
    assert f"a=fmtp:114 {OPUS.fmtp}\r\n" in text


def test_opus_without_wishes_and_without_the_two():
    text = offered("m=audio 4000 RTP/AVP 96", "rtpmap:96 OPUS/48000", "fmtp:96 maxaveragebitrate=x")
    found = agreed(answer(text, WIDE))
    assert (found.codec, found.fec, found.max_bitrate) == (OPUS, False, None)


def test_digits_beside_opus_run_at_48000_if_offered_and_at_8000_otherwise():
    found = agreed(answer(DESK_PHONE, WIDE))
    assert (found.dtmf_receive_type, found.dtmf_rate_hz) == (102, 48000)
    assert b"a=rtpmap:102 telephone-event/48000" in found.sdp
    only = offered(
        "m=audio 4000 RTP/AVP 96 101", "rtpmap:96 opus/48000/2", "rtpmap:101 telephone-event/8000"
    )
    found = agreed(answer(only, WIDE))
    assert (found.dtmf_send_type, found.dtmf_rate_hz) == (101, 8000)


def test_a_wide_offer_names_both_clocks_of_digits():
    ours = offer(WIDE)
    text = ours.sdp.decode()
    assert "m=audio 12000 RTP/AVP 111 9 0 8 101 110\r\n" in text
    assert "a=rtpmap:9 G722/8000\r\n" in text
    assert ours.event_types == ((101, 8000), (110, 48000))
    answered = offered(
        "m=audio 6000 RTP/AVP 96 97", "rtpmap:96 opus/48000/2", "rtpmap:97 telephone-event/48000"
    )
    found = agreed(accept_answer(ours, answered))
    assert (found.dtmf_send_type, found.dtmf_receive_type, found.dtmf_rate_hz) == (97, 110, 48000)
    assert (found.send_payload_type, found.receive_payload_type) == (96, 111)
    assert dict(found.accepted) == {96: OPUS, 111: OPUS}


def test_an_answer_with_several_codecs_lets_all_of_them_come():
    found = agreed(accept_answer(offer(WIDE), offered("m=audio 6000 RTP/AVP 8 0 9")))
    assert found.codec == PCMA
    assert dict(found.accepted) == {8: PCMA, 0: PCMU, 9: G722}


def test_an_answer_need_not_explain_the_numbers_of_our_offer():
    found = agreed(accept_answer(offer(WIDE), offered("m=audio 6000 RTP/AVP 111 110")))
    assert (found.codec, found.dtmf_receive_type) == (OPUS, 110)


def test_a_number_never_means_something_else_in_one_session():
    """They call telephone-event what we would call Opus, and Opus what we would call telephone-event."""
    theirs = offered(
        "m=audio 4000 RTP/AVP 110 111",
        "rtpmap:110 opus/48000/2",
        "rtpmap:111 telephone-event/48000",
    )
    up = agreed(answer(theirs, WIDE))
    again = offer(WIDE, up)
    maps = parse(again.sdp).media[0].rtpmaps()
    assert (maps[110].name, maps[111].name) == ("OPUS", "TELEPHONE-EVENT")
    other = offered("m=audio 4000 RTP/AVP 0 101", "rtpmap:101 G729/8000")
    numbers = [
        int(text) for text in parse(offer(WIDE, agreed(answer(other, WIDE))).sdp).media[0].formats
    ]
    assert len(numbers) == len(set(numbers))


def test_comfort_noise_is_answered_where_offered():
    found = agreed(answer(DESK_PHONE, NARROW))
    assert (found.comfort_noise, found.comfort_noise_type) == (True, 13)
    assert b"m=audio 12000 RTP/AVP 0 13 101\r\n" in found.sdp
    assert not agreed(answer(offered(), NARROW)).comfort_noise


def test_every_codec_has_its_name():
    assert set(CODECS) == {"PCMU", "PCMA", "G722", "OPUS"}


# ------------------------------------------------------------------------------- lines beside


def test_ice_dtls_and_bundle_lines_on_plain_rtp_are_left_aside():
    text = offered(
        "m=audio 4000 RTP/AVP 0",
        "ice-ufrag:x",
        "ice-pwd:yyyyyyyyyyyyyyyyyyyyyy",
        "candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host",
        "fingerprint:sha-256 00:11",
        "setup:actpass",
        "mid:0",
        session=["a=group:BUNDLE 0", "a=ice-lite"],
    )
    found = agreed(answer(text, NARROW))
    assert found.remote_address == "192.0.2.9"
    for word in (b"ice", b"candidate", b"fingerprint", b"setup", b"BUNDLE", b"mid"):
        assert word not in found.sdp


def test_dtls_media_is_refused_with_a_reason():
    found = answer(offered("m=audio 4000 UDP/TLS/RTP/SAVPF 0"), NARROW)
    assert isinstance(found, NotAcceptable)
    assert found.warning.startswith("302 ")


def test_video_beside_audio_is_refused_in_its_place_also_later():
    text = offered("m=video 4002 RTP/AVP 31") + b"m=audio 4000 RTP/AVP 0\r\n"
    up = agreed(answer(text, NARROW))
    assert [media.port for media in parse(up.sdp).media] == [0, 12000]
    assert [media.port for media in parse(offer(NARROW, up).sdp).media] == [0, 12000]


def test_the_audio_section_of_before_stays_the_one():
    both = offered("m=audio 4000 RTP/AVP 18") + b"m=audio 4002 RTP/AVP 0\r\n"
    up = agreed(answer(both, NARROW))
    later = offered("m=audio 4000 RTP/AVP 0") + b"m=audio 4002 RTP/AVP 0\r\n"
    assert (up.remote_port, agreed(answer(later, NARROW, up)).remote_port) == (4002, 4002)


def test_muxed_rtcp_is_answered_and_kept_and_never_asked_for():
    found = agreed(answer(offered("m=audio 4000 RTP/AVP 0", "rtcp-mux"), NARROW))
    assert found.rtcp_mux
    assert b"a=rtcp-mux\r\n" in found.sdp
    again = offer(NARROW, found)
    assert b"a=rtcp-mux\r\n" in again.sdp
    assert not agreed(accept_answer(again, offered())).rtcp_mux
    assert b"rtcp-mux" not in offer(NARROW).sdp


@pytest.mark.parametrize(
    ("line", "remote"),
    [
        ("rtcp:4009", ("192.0.2.9", 4009)),
        ("rtcp:4009 IN IP4 198.51.100.1", ("198.51.100.1", 4009)),
        ("rtcp:4009 IN IP4 host.test", ("192.0.2.9", 4009)),
        ("rtcp:x", None),
        ("rtcp:70000", None),
        ("sendrecv", None),
    ],
)
def test_their_rtcp_port_is_read(line: str, remote: tuple[str, int] | None):
    assert agreed(answer(offered("m=audio 4000 RTP/AVP 0", line), NARROW)).remote_rtcp == remote


@pytest.mark.parametrize(
    ("lines", "ptime"),
    [(["ptime:60", "maxptime:40"], 40), (["maxptime:10"], 10), (["ptime:30", "maxptime:150"], 30)],
)
def test_maxptime_bounds_ptime(lines: list[str], ptime: int):
    assert agreed(answer(offered("m=audio 4000 RTP/AVP 0", *lines), NARROW)).ptime_ms == ptime


def test_an_ipv6_offer_is_read_and_answered_in_kind():
    text = offered(address="2001:db8::9").replace(b"IN IP4 2001", b"IN IP6 2001")
    found = agreed(answer(text, replace(NARROW, address="2001:db8::1")))
    assert found.remote_address == "2001:db8::9"
    assert b"c=IN IP6 2001:db8::1" in found.sdp
    refused = answer(text, NARROW)
    assert isinstance(refused, NotAcceptable)
    assert refused.warning == '301 192.0.2.1 "network address format not available"'


def test_a_refused_reoffer_of_ours_does_not_turn_the_version_back():
    up = agreed(answer(offered(), NARROW))
    hold = offer(NARROW, up, Direction.SENDONLY)
    later = agreed(answer(offered(), NARROW, hold))
    assert (up.version, hold.version, later.version) == (70, 71, 72)
