"""RTCP (RFC 3550 6): sender and receiver reports, SDES with a CNAME; compounds parsed whole or not at all."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from telephony.rtp.errors import RtpError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
_HEADER: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!IIIIII")
_BLOCK: Final = struct.Struct("!IIIIII")
_NTP_EPOCH: Final = 2_208_988_800
_CNAME: Final = 1


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one stream. `lost` is cumulative and may be negative; `jitter` in clock units.

    `last_report` and `since_last_report`: middle 32 bits of our sender report's NTP time, and 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int = 0
    since_last_report: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """SR (`ntp` is not None: 64-bit NTP time) or RR."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    ntp: int | None = None
    rtp_timestamp: int = 0
    packets: int = 0
    octets: int = 0


def ntp_time(unix_seconds: float) -> int:
    """64-bit NTP time."""
    return int((unix_seconds + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def compact_ntp(ntp: int) -> int:
    """Its middle 32 bits."""
    return ntp >> 16 & 0xFFFFFFFF


def build_compound(report: Report, cname: str) -> bytes:
    """A report and the SDES that each compound must have."""
    body = struct.pack("!I", report.ssrc)
    kind = RECEIVER_REPORT
    if report.ntp is not None:
        kind = SENDER_REPORT
        body = _SENDER.pack(
            report.ssrc,
            report.ntp >> 32,
            report.ntp & 0xFFFFFFFF,
            report.rtp_timestamp & 0xFFFFFFFF,
            report.packets & 0xFFFFFFFF,
            report.octets & 0xFFFFFFFF,
        )
    body += b"".join(_build_block(block) for block in report.blocks)
    head = _HEADER.pack(0x80 | len(report.blocks), kind, len(body) // 4)
    return head + body + _build_sdes(report.ssrc, cname.encode())


def _build_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest & 0xFFFFFFFF,
        block.jitter,
        block.last_report,
        block.since_last_report,
    )


def _build_sdes(ssrc: int, cname: bytes) -> bytes:
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(cname)) + cname + b"\0"
    chunk += b"\0" * (-len(chunk) % 4)
    return _HEADER.pack(0x81, SOURCE_DESCRIPTION, len(chunk) // 4) + chunk


def parse_compound(data: bytes) -> list[Report]:
    """Its sender and receiver reports. Raises: RtpError (`rtcp`): the whole compound is to be dropped."""
    reports: list[Report] = []
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise RtpError("rtcp")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        first_kind_ok = at > 0 or kind in (SENDER_REPORT, RECEIVER_REPORT)
        if first >> 6 != 2 or end > len(data) or not first_kind_ok:
            raise RtpError("rtcp")
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            reports.append(_parse_report(data[at + 4 : end], first & 0x1F, kind))
        at = end
    if not reports:
        raise RtpError("rtcp")
    return reports


def _parse_report(body: bytes, count: int, kind: int) -> Report:
    start = _SENDER.size if kind == SENDER_REPORT else 4
    if len(body) < start + count * _BLOCK.size:
        raise RtpError("rtcp")
    blocks = tuple(_parse_block(body, start + i * _BLOCK.size) for i in range(count))
    if kind == RECEIVER_REPORT:
        return Report(int.from_bytes(body[:4], "big"), blocks)
    ssrc, high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
    return Report(ssrc, blocks, high << 32 | low, timestamp, packets, octets)


def _parse_block(body: bytes, at: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last, since = _BLOCK.unpack_from(body, at)
    lost = loss & 0xFFFFFF
    if lost & 0x800000:
        lost -= 0x1000000
    return ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, since)
