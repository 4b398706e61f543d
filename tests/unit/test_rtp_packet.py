from __future__ import annotations

import pytest

from telephony.rtp.errors import RtpError
from telephony.rtp.packet import (
    RtpPacket,
    build_packet,
    is_rtcp,
    parse_packet,
    sequence_step,
    timestamp_step,
)

PLAIN = RtpPacket(0, 65535, 2**32 - 1, 0xDEADBEEF, b"payload", marker=True)


def test_packet_survives_build_and_parse():
    assert parse_packet(build_packet(PLAIN)) == PLAIN


def test_csrc_extension_and_padding_are_stripped():
    data = build_packet(PLAIN)
    extension = b"\xbe\xde\x00\x02" + bytes(8)
    changed = bytes([0xB2]) + data[1:12] + bytes(8) + extension + data[12:] + b"\0\0\0\x04"
    assert parse_packet(changed) == PLAIN


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "short"),
        (bytes(11), "short"),
        (b"\x40" + bytes(11), "version"),
        (b"\x8f" + bytes(12), "short"),
        (b"\x90" + bytes(13), "extension"),
        (b"\x90" + bytes(13) + b"\xff\xff", "short"),
        (b"\xa0" + bytes(12), "padding"),
        (b"\xa0" + bytes(11) + b"\xff", "padding"),
    ],
)
def test_malformed_packet_is_refused_with_its_kind(data: bytes, kind: str):
    with pytest.raises(RtpError) as refused:
        parse_packet(data)
    assert refused.value.kind == kind


@pytest.mark.parametrize(
    ("newer", "older", "step"),
    [(0, 65535, 1), (65535, 0, -1), (5, 5, 0), (32767, 0, 32767), (32768, 0, -32768)],
)
def test_sequence_steps_wrap(newer: int, older: int, step: int):
    assert sequence_step(newer, older) == step


def test_timestamp_steps_wrap():
    assert timestamp_step(100, 2**32 - 60) == 160
    assert timestamp_step(2**32 - 60, 100) == -160


def test_rtcp_is_told_from_rtp_by_its_second_octet():
    assert is_rtcp(b"\x80\xc8")
    assert not is_rtcp(b"\x80\x80")
    assert not is_rtcp(b"\x80")
