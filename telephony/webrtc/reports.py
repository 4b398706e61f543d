"""Our own RTCP of one Opus stream (RFC 3550 6): aiortc's statistics never see the packets the plane takes.

No I/O: packets and `now` in, one compound datagram out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

CLOCK_HZ: Final = 48_000
_NTP_EPOCH: Final = 2_208_988_800
_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_BLOCK_BYTES: Final = 24
_HEADER: Final = struct.Struct("!BBH")


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
    """Counts one stream in each direction, and measures the round trip from the peer's reports."""

    def __init__(self, cname: str) -> None:
        self.round_trip: float | None = None
        self._cname = cname.encode()
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
        self._octets += len(packet) - 12
        self._sent_at = now

    def received(self, packet: bytes, now: float) -> None:
        """An RTP packet of the peer's, after unprotection."""
        if len(packet) < 12:
            return
        sequence, timestamp, ssrc = struct.unpack_from("!HII", packet, 2)
        source = self._received
        if source is None or source.ssrc != ssrc:
            source = self._received = _Received(ssrc, sequence, sequence - 1)
        step = (sequence - source.highest + 0x8000 & 0xFFFF) - 0x8000
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
        packets: list[tuple[int, int, bytes]] = []
        rest = data
        while rest:
            if len(rest) < 8 or rest[0] >> 6 != 2:
                return False
            first, kind, words = _HEADER.unpack_from(rest)
            size = 4 * (words + 1)
            if size > len(rest):
                return False
            packets.append((kind, first & 0x1F, rest[:size]))
            rest = rest[size:]
        for kind, count, packet in packets:
            self._take_one(kind, count, packet, now)
        return bool(packets)

    def _take_one(self, kind: int, count: int, packet: bytes, now: float) -> None:
        if kind == _SENDER_REPORT and len(packet) >= 28:
            ssrc, seconds, fraction = struct.unpack_from("!III", packet, 4)
            if self._received is not None and self._received.ssrc == ssrc:
                self._received.report_middle = (seconds & 0xFFFF) << 16 | fraction >> 16
                self._received.report_at = now
        start = {_SENDER_REPORT: 28, _RECEIVER_REPORT: 8}.get(kind)
        if start is None:
            return
        for at in range(start, min(start + count * _BLOCK_BYTES, len(packet) - 23), _BLOCK_BYTES):
            (ssrc,) = struct.unpack_from("!I", packet, at)
            last, delay = struct.unpack_from("!II", packet, at + 16)
            if ssrc == self._ssrc and last:
                arrived = int(now * 65536) & 0xFFFFFFFF
                trip = (arrived - last - delay & 0xFFFFFFFF) / 65536
                if trip < 10:
                    self.round_trip = trip

    def compound(self, own_ssrc: int, now: float) -> bytes:
        """SR or RR with one block, and SDES. `own_ssrc` stands for us while we have sent nothing.

        The NTP field counts `now`, not wall time: only differences of it are used (RFC 3550 6.4.1).
        """
        blocks = b"" if self._received is None else self._block(self._received, now)
        count = 1 if blocks else 0
        if self._packets:
            timestamp = self._timestamp + int((now - self._sent_at) * CLOCK_HZ) & 0xFFFFFFFF
            seconds = (int(now) + _NTP_EPOCH - _NTP_EPOCH % 65536) & 0xFFFFFFFF
            fraction = int(now % 1 * (1 << 32)) & 0xFFFFFFFF
            body = struct.pack("!IIIII", self._ssrc, seconds, fraction, timestamp, self._packets)
            body += struct.pack("!I", self._octets & 0xFFFFFFFF) + blocks
            kind = _SENDER_REPORT
        else:
            body, kind = struct.pack("!I", own_ssrc) + blocks, _RECEIVER_REPORT
        report = _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
        return report + self._description(self._ssrc if self._packets else own_ssrc)

    def _block(self, source: _Received, now: float) -> bytes:
        expected = source.highest - source.base + 1
        lost = max(0, min(expected - source.packets, 0x7FFFFF))
        expected_now = expected - source.expected_before
        lost_now = expected_now - (source.packets - source.packets_before)
        source.expected_before, source.packets_before = expected, source.packets
        share = max(0, min(255, lost_now * 256 // expected_now)) if expected_now > 0 else 0
        delay = int((now - source.report_at) * 65536) if source.report_middle else 0
        return struct.pack(
            "!IIIIII",
            source.ssrc,
            share << 24 | lost,
            source.highest & 0xFFFFFFFF,
            int(source.jitter) & 0xFFFFFFFF,
            source.report_middle,
            delay & 0xFFFFFFFF,
        )

    def _description(self, ssrc: int) -> bytes:
        item = struct.pack("!IBB", ssrc, 1, len(self._cname)) + self._cname + b"\0"
        item += b"\0" * (-len(item) % 4)
        return _HEADER.pack(0x81, 202, len(item) // 4) + item
