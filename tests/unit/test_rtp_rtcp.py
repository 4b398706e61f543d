from __future__ import annotations

import struct

import pytest

from telephony.rtp.errors import RtpError
from telephony.rtp.quality import G711, G722, OPUS, burst_ratio, mos, mouth_to_ear_ms
from telephony.rtp.rtcp import (
    Compound,
    Report,
    ReportBlock,
    build_compound,
    compact_ntp,
    ntp_time,
    parse_compound,
    round_trip,
)

BLOCK = ReportBlock(7, 51, -3, 70000, 12, 0x11112222, 65536)


def test_sender_report_survives_build_and_parse():
    report = Report(5, (BLOCK,), ntp_time(1_700_000_000.5), 160, 10, 1600)
    assert parse_compound(build_compound(report, "media")) == Compound((report,))


def test_receiver_report_survives_build_and_parse():
    report = Report(5, (BLOCK, BLOCK))
    assert parse_compound(build_compound(report, "media")) == Compound((report,))


def test_compound_is_a_whole_number_of_words_for_any_name():
    for length in range(1, 9):
        assert len(build_compound(Report(5), "x" * length)) % 4 == 0


def test_a_goodbye_names_the_sources_that_leave():
    farewell = build_compound(Report(5), "media", goodbye=True)
    assert parse_compound(farewell) == Compound((Report(5),), (5,))
    two = b"\x82\xcb\x00\x04" + struct.pack("!II", 5, 6) + b"\x04done\0\0\0"
    assert parse_compound(build_compound(Report(5), "media") + two).goodbyes == (5, 6)


def test_padding_is_allowed_in_the_last_packet_only():
    padded = b"\xa0\xc9\x00\x02" + struct.pack("!I", 5) + b"\0\0\0\x04"
    assert parse_compound(padded).reports == (Report(5),)
    with pytest.raises(RtpError):
        parse_compound(padded + build_compound(Report(5), "media"))


def test_round_trip_leaves_out_what_the_peer_waited():
    sent = compact_ntp(ntp_time(100.0))
    block = ReportBlock(5, 0, 0, 0, 0, sent, 2 * 65536)
    assert round_trip(block, 102.15) == pytest.approx(0.15, abs=0.001)
    assert round_trip(block, 150.0) is None
    assert round_trip(ReportBlock(5, 0, 0, 0, 0), 102.0) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\xca\x00\x00",
        b"\x40\xc9\x00\x01" + bytes(4),
        b"\x80\xc9\x00\x02" + bytes(4),
        b"\x81\xc9\x00\x01" + bytes(4),
        b"\x80\xc8\x00\x01" + bytes(4),
        build_compound(Report(5), "media") + b"\x80\xc9\x00",
        build_compound(Report(5), "media") + b"\x82\xcb\x00\x01" + bytes(4),
        b"\xa0\xc9\x00\x01" + b"\0\0\0\x09",
    ],
)
def test_malformed_compound_is_refused_whole(data: bytes):
    with pytest.raises(RtpError):
        parse_compound(data)


def test_compact_time_is_the_middle_of_ntp_time():
    assert compact_ntp(0x1122334455667788) == 0x33445566


def test_mos_of_a_perfect_call_is_4_4():
    assert mos(0.0, 0.0) == pytest.approx(4.41, abs=0.02)


def test_mos_falls_with_loss_and_delay():
    assert mos(0.01, 50) > mos(0.05, 50) > mos(0.2, 50) > 1.0
    assert mos(0.0, 50) > mos(0.0, 200) > mos(0.0, 400)


def test_mos_stays_in_its_range():
    assert mos(1.0, 2000) == 1.0


def test_mos_is_3_8_at_1_percent_and_3_3_at_5_percent_of_loss_for_every_codec():
    for codec in (G711, G722, OPUS):
        assert mos(0.01, 150, codec) >= 3.8
        assert mos(0.05, 150, codec) >= 3.3


def test_the_same_loss_in_bursts_is_worse():
    assert burst_ratio(10, 10, 1000) == 1.0
    assert burst_ratio(50, 10, 1000) == pytest.approx(4.75)
    assert mos(0.05, 50, burst=4.75) < mos(0.05, 50)
    assert burst_ratio(0, 0, 0) == 1.0


def test_delay_is_half_the_round_trip_the_buffer_and_a_packet():
    assert mouth_to_ear_ms(0.1, 2) == pytest.approx(110)
    assert mouth_to_ear_ms(None, 0) == pytest.approx(20)
