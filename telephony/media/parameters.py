"""What the plane is told: about itself (`MediaSettings`) and about one RTP stream (`RtpParameters`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network


class Law(StrEnum):
    """G.711 companding."""

    ULAW = "ulaw"
    ALAW = "alaw"


@dataclass(frozen=True, slots=True)
class RtpParameters:
    """One negotiated G.711 stream, both ways.

    `remote`: IPv4 address and port of the peer's SDP. `payload_type` is what we send, and is accepted;
    `accepted` holds further payload types with their law (a peer may send either law it offered).
    `media_networks`: where audio may come from besides `remote` (trunks or phones behind NAT); empty = nowhere
    else. `sending`/`receiving`: False while held, seen from us. `rtcp_mux`: RFC 5761. `ptime_ms` is what the peer
    sends; we send 20 ms always.
    """

    remote: tuple[str, int]
    payload_type: int = 0
    law: Law = Law.ULAW
    accepted: tuple[tuple[int, Law], ...] = ()
    dtmf_payload_type: int | None = 101
    media_networks: tuple[IPv4Network, ...] = ()
    ptime_ms: int = 20
    sending: bool = True
    receiving: bool = True
    rtcp_mux: bool = False


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Sizes and thresholds. `rtp_ports`: even local ports; 0 = any free port. Capacities are multiples of 4."""

    bind_address: str = "127.0.0.1"
    rtp_ports: tuple[int, ...] = (0,)
    rtp_capacity: int = 512
    packet_capacity: int = 64
    voice_capacity: int = 640
    media_lost_after_start: float = 5.0
    media_lost_in_call: float = 20.0
    receive_buffer_bytes: int = 8 << 20
    echo_gate_dbfs: float = -38.0
    quality_interval: float = 5.0
