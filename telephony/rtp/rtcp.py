"""RTCP (RFC 3550 6): sender and receiver reports, SDES, BYE; compounds parsed whole or not at all."""

from __future__ import annotations

import struct
from typing import Final

from telephony.rtp.errors import RtpError
from telephony.values import value

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
_HEADER: Final = struct.Struct("!BBH")
_SENDER: Final = struct.Struct("!IIIIII")
_BLOCK: Final = struct.Struct("!IIIIII")
_NTP_EPOCH: Final = 2_208_988_800
_CNAME: Final = 1
_SSRC_BYTES: Final = 4
LONGEST_ROUND_TRIP: Final = 10.0
"""Seconds; a longer one is a report about something else."""


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Report:
    """SR (`ntp` is not None: 64-bit NTP time) or RR."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    ntp: int | None = None
    rtp_timestamp: int = 0
    packets: int = 0
    octets: int = 0


@value(frozen=True, slots=True)
class Compound:
    """What one datagram said: its reports in order, and the sources that said goodbye."""

    reports: tuple[Report, ...]
    goodbyes: tuple[int, ...] = ()


def ntp_time(unix_seconds: float) -> int:
    """64-bit NTP time."""
    return int((unix_seconds + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def compact_ntp(ntp: int) -> int:
    """Its middle 32 bits."""
    return ntp >> 16 & 0xFFFFFFFF


def build_compound(report: Report, cname: str, *, goodbye: bool = False) -> bytes:
    """A report and the SDES that each compound must have; `goodbye`: our stream ends with it (RFC 3550 6.6)."""
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
    bye = _HEADER.pack(0x81, GOODBYE, 1) + struct.pack("!I", report.ssrc) if goodbye else b""
    return head + body + _build_sdes(report.ssrc, cname.encode()) + bye


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


def parse_compound(data: bytes) -> Compound:
    """All it says. Raises: RtpError (`rtcp`): the whole compound is to be dropped."""
    reports: list[Report] = []
    goodbyes: tuple[int, ...] = ()
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise RtpError("rtcp")
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + 4 * words
        if not _fits(first, kind, at, end, len(data)):
            raise RtpError("rtcp")
        body, count = data[at + _HEADER.size : end], first & 0x1F
        if first & 0x20:
            body = _unpadded(body)
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            reports.append(_parse_report(body, count, kind))
        elif kind == GOODBYE:
            goodbyes += _parse_goodbye(body, count)
        at = end
    if not reports:
        raise RtpError("rtcp")
    return Compound(tuple(reports), goodbyes)


def _fits(first: int, kind: int, at: int, end: int, size: int) -> bool:
    """RFC 3550 A.2: version 2, a report first, padding in the last packet only, lengths that add up."""
    report_first = at > 0 or kind in (SENDER_REPORT, RECEIVER_REPORT)
    padding_last = not first & 0x20 or end == size
    return first >> 6 == 2 and end <= size and report_first and padding_last


def _unpadded(body: bytes) -> bytes:
    count = body[-1] if body else 0
    if not 0 < count <= len(body) or count % 4:
        raise RtpError("rtcp")
    return body[: len(body) - count]


def _parse_goodbye(body: bytes, count: int) -> tuple[int, ...]:
    if len(body) < count * _SSRC_BYTES:
        raise RtpError("rtcp")
    return struct.unpack_from(f"!{count}I", body)


def _parse_report(body: bytes, count: int, kind: int) -> Report:
    start = _SENDER.size if kind == SENDER_REPORT else _SSRC_BYTES
    if len(body) < start + count * _BLOCK.size:
        raise RtpError("rtcp")
    blocks = tuple(_parse_block(body, start + i * _BLOCK.size) for i in range(count))
    if kind == RECEIVER_REPORT:
        return Report(int.from_bytes(body[:_SSRC_BYTES], "big"), blocks)
    ssrc, high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
    return Report(ssrc, blocks, high << 32 | low, timestamp, packets, octets)


def _parse_block(body: bytes, at: int) -> ReportBlock:
    ssrc, loss, highest, jitter, last, since = _BLOCK.unpack_from(body, at)
    lost = loss & 0xFFFFFF
    if lost & 0x800000:
        lost -= 0x1000000
    return ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last, since)


def round_trip(block: ReportBlock, now: float) -> float | None:
    """Seconds there and back (RFC 3550 6.4.1), where our NTP time counts `now`; None if the block tells nothing."""
    if not block.last_report:
        return None
    elapsed = compact_ntp(ntp_time(now)) - block.last_report - block.since_last_report
    trip = (elapsed & 0xFFFFFFFF) / 65536
    return trip if trip < LONGEST_ROUND_TRIP else None
