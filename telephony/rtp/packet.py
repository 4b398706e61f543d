"""RTP packets (RFC 3550 5.1): parse with padding, extension and CSRC stripped, and build."""

from __future__ import annotations

import struct
from typing import Final

from telephony.rtp.errors import RtpError
from telephony.values import value

HEADER_BYTES: Final = 12
_HEADER: Final = struct.Struct("!BBHII")


@value(frozen=True, slots=True)
class RtpPacket:
    """One packet; `payload` is without padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


def parse_packet(data: bytes) -> RtpPacket:
    """Raises: RtpError (`short`, `version`, `extension`, `padding`)."""
    if len(data) < HEADER_BYTES:
        raise RtpError("short")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise RtpError("version")
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        start = _after_extension(data, start)
    end = len(data)
    if first & 0x20:
        end -= data[-1]
        if data[-1] == 0:
            raise RtpError("padding")
    if start > end:
        raise RtpError("padding" if first & 0x20 else "short")
    return RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, bytes(data[start:end]), bool(second & 0x80)
    )


def _after_extension(data: bytes, start: int) -> int:
    if len(data) < start + 4:
        raise RtpError("extension")
    words = int.from_bytes(data[start + 2 : start + 4], "big")
    return start + 4 + 4 * words


def build_packet(packet: RtpPacket) -> bytes:
    """The packet's octets, without padding, extension or CSRC."""
    second = packet.payload_type | (0x80 if packet.marker else 0)
    header = _HEADER.pack(0x80, second, packet.sequence, packet.timestamp, packet.ssrc)
    return header + packet.payload


def is_rtcp(data: bytes) -> bool:
    """RFC 5761 4: on a shared port, second octets 192..223 are RTCP."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def sequence_step(newer: int, older: int) -> int:
    """Signed distance modulo 2^16, in -32768..32767."""
    return (newer - older + 0x8000 & 0xFFFF) - 0x8000


def timestamp_step(newer: int, older: int) -> int:
    """Signed distance modulo 2^32."""
    return (newer - older + 0x80000000 & 0xFFFFFFFF) - 0x80000000
