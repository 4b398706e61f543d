from __future__ import annotations

import pytest

from telephony.rtp.errors import RtpError
from telephony.rtp.quality import mos
from telephony.rtp.rtcp import (
    Report,
    ReportBlock,
    build_compound,
    compact_ntp,
    ntp_time,
    parse_compound,
)

BLOCK = ReportBlock(7, 51, -3, 70000, 12, 0x11112222, 65536)


def test_sender_report_survives_build_and_parse():
    report = Report(5, (BLOCK,), ntp_time(1_700_000_000.5), 160, 10, 1600)
    assert parse_compound(build_compound(report, "media")) == [report]


def test_receiver_report_survives_build_and_parse():
    report = Report(5, (BLOCK, BLOCK))
    assert parse_compound(build_compound(report, "media")) == [report]


def test_compound_is_a_whole_number_of_words_for_any_name():
    for length in range(1, 9):
        assert len(build_compound(Report(5), "x" * length)) % 4 == 0


def test_a_goodbye_after_a_report_is_passed_over():
    goodbye = b"\x81\xcb\x00\x01" + (5).to_bytes(4, "big")
    assert parse_compound(build_compound(Report(5), "media") + goodbye) == [Report(5)]


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
