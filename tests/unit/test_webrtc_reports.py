from __future__ import annotations

import struct

import pytest

from telephony.webrtc.reports import StreamReports


def rtp(sequence: int, timestamp: int, ssrc: int = 5) -> bytes:
    return (
        struct.pack("!BBHII", 0x80, 111, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
        + b"x" * 40
    )


def test_two_sides_measure_the_round_trip_between_them() -> None:
    one, two = StreamReports("one"), StreamReports("two")
    one.sent(rtp(1, 960), 10.0)
    two.received(rtp(1, 960), 10.03)

    assert two.take(one.compound(1, 11.0), 11.03)
    assert one.take(two.compound(2, 12.0), 12.03)

    assert one.round_trip == pytest.approx(0.06, abs=0.001)


def test_loss_is_reported_across_the_wrap_of_the_sequence() -> None:
    reports = StreamReports("us")
    for n in range(65530, 65550):
        if n != 65537:
            reports.received(rtp(n, n * 960), n * 0.02)

    block = reports.compound(9, 0.0)[8:32]
    ssrc, lost, highest = struct.unpack("!III", block[:12])

    assert (ssrc, lost & 0xFFFFFF, lost >> 24) == (5, 1, 256 // 20)
    assert highest == 65549


def test_steady_packets_have_no_jitter_and_late_ones_have() -> None:
    steady, shaky = StreamReports("a"), StreamReports("b")
    for n in range(100):
        steady.received(rtp(n, n * 960), n * 0.02)
        shaky.received(rtp(n, n * 960), n * 0.02 + (n % 2) * 0.01)

    def jitter(r: StreamReports) -> int:
        return int.from_bytes(r.compound(1, 9.0)[20:24], "big")

    assert jitter(steady) <= 1
    assert jitter(shaky) == pytest.approx(480, rel=0.1)


def test_a_listener_sends_receiver_reports() -> None:
    assert StreamReports("us").compound(1, 0.0)[1] == 201


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x00" * 8, b"\x81\xc8\xff\xff" + bytes(24), bytes(range(64))]
)
def test_a_malformed_compound_is_dropped_whole(data: bytes) -> None:
    reports = StreamReports("us")
    assert not reports.take(data, 1.0)
    assert reports.round_trip is None


def test_a_short_packet_counts_for_nothing() -> None:
    reports = StreamReports("us")
    reports.received(b"\x80\x6f", 0.0)
    assert reports.compound(1, 0.0)[0] & 0x1F == 0
