"""Our own RTCP of one Opus stream (RFC 3550 6): aiortc's statistics never see the packets the plane takes.

No I/O: packets and `now` in, one compound datagram out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from telephony.rtp.errors import RtpError
from telephony.rtp.packet import HEADER_BYTES, sequence_step
from telephony.rtp.rtcp import (
    Report,
    ReportBlock,
    build_compound,
    compact_ntp,
    ntp_time,
    parse_compound,
    round_trip,
)

CLOCK_HZ: Final = 48_000


@dataclass(slots=True)
class _Received:
    """What RFC 3550 A.1 and A.8 keep of a source."""

    ssrc: int
    base: int
    highest: int
    packets: int = 0
    transit: float | None = None
    jitter: float = 0.0
    expected_before: int = 0
    packets_before: int = 0
    report_middle: int = 0
    report_at: float = 0.0


class StreamReports:
    """Counts one stream in each direction; the peer's reports give the round trip, and what it lost of ours."""

    def __init__(self, cname: str) -> None:
        self.round_trip: float | None = None
        self.remote_loss: float | None = None
        self._cname = cname
        self._ssrc = 0
        self._packets = 0
        self._octets = 0
        self._timestamp = 0
        self._sent_at = 0.0
        self._received: _Received | None = None

    def sent(self, packet: bytes, now: float) -> None:
        """An RTP packet of ours, before protection."""
        self._timestamp, self._ssrc = struct.unpack_from("!II", packet, 4)
        self._packets += 1
        self._octets += len(packet) - HEADER_BYTES
        self._sent_at = now

    def received(self, packet: bytes, now: float) -> None:
        """An RTP packet of the peer's, after unprotection."""
        if len(packet) < HEADER_BYTES:
            return
        sequence, timestamp, ssrc = struct.unpack_from("!HII", packet, 2)
        source = self._received
        if source is None or source.ssrc != ssrc:
            source = self._received = _Received(ssrc, sequence, sequence - 1)
        step = sequence_step(sequence, source.highest & 0xFFFF)
        if step > 0:
            source.highest += step
        source.packets += 1
        transit = now * CLOCK_HZ - timestamp
        if source.transit is not None:
            change = abs(transit - source.transit)
            if change < CLOCK_HZ:  # a new time base is not jitter
                source.jitter += (change - source.jitter) / 16
        source.transit = transit

    def take(self, data: bytes, now: float) -> bool:
        """The peer's compound; False if it is malformed, and then nothing of it was used."""
        try:
            compound = parse_compound(data)
        except RtpError:
            return False
        for report in compound.reports:
            source = self._received
            if report.ntp is not None and source is not None and source.ssrc == report.ssrc:
                source.report_middle, source.report_at = compact_ntp(report.ntp), now
            for block in report.blocks:
                if block.ssrc == self._ssrc:
                    self.remote_loss = block.fraction_lost / 256
                    trip = round_trip(block, now)
                    self.round_trip = self.round_trip if trip is None else trip
        return True

    def compound(self, own_ssrc: int, now: float, *, goodbye: bool = False) -> bytes:
        """SR or RR with one block, and SDES. `own_ssrc` stands for us while we have sent nothing.

        The NTP field counts `now`, not wall time: only differences of it are used (RFC 3550 6.4.1).
        """
        sent = self._packets > 0
        report = Report(
            ssrc=self._ssrc if sent else own_ssrc,
            blocks=() if self._received is None else (_block(self._received, now),),
            ntp=ntp_time(now) if sent else None,
            rtp_timestamp=self._timestamp + int((now - self._sent_at) * CLOCK_HZ),
            packets=self._packets,
            octets=self._octets,
        )
        return build_compound(report, self._cname, goodbye=goodbye)


def _block(source: _Received, now: float) -> ReportBlock:
    expected = source.highest - source.base + 1
    expected_now = expected - source.expected_before
    lost_now = expected_now - (source.packets - source.packets_before)
    source.expected_before, source.packets_before = expected, source.packets
    share = max(0, min(255, lost_now * 256 // expected_now)) if expected_now > 0 else 0
    return ReportBlock(
        ssrc=source.ssrc,
        fraction_lost=share,
        lost=max(0, expected - source.packets),
        highest=source.highest,
        jitter=int(source.jitter) & 0xFFFFFFFF,
        last_report=source.report_middle,
        since_last_report=int((now - source.report_at) * 65536) if source.report_middle else 0,
    )
