"""What the plane is told: about itself (`MediaSettings`) and about one RTP stream (`RtpParameters`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from telephony.sdp.crypto import Crypto


class MediaCodec(StrEnum):
    """Encodings of RTP slots; the values are the names in SDP. G.722 and Opus are 16 kHz audio."""

    ULAW = "PCMU"
    ALAW = "PCMA"
    G722 = "G722"
    OPUS = "OPUS"

    @property
    def rate_hz(self) -> int:
        """Of the audio, which for G.722 and Opus is not the RTP clock."""
        return 8000 if self in (MediaCodec.ULAW, MediaCodec.ALAW) else 16000

    @property
    def clock_hz(self) -> int:
        """Of the RTP time stamps."""
        return 48000 if self is MediaCodec.OPUS else 8000


@dataclass(frozen=True, slots=True)
class RtpParameters:
    """One negotiated stream, both ways.

    `remote`: IP address and port of the peer's SDP. `payload_type` is what we send, and is accepted; `accepted`
    holds further payload types with their codec (a peer may send any it was answered). The codec of the first
    `StartRtp` decides whether the slot is heard at 8 or 16 kHz, for its whole life.
    `dtmf_payload_type` is accepted, and sent unless `dtmf_send_payload_type` says otherwise; `dtmf_rate_hz` is the
    clock of its durations. `comfort_noise_payload_type`: RFC 3389. `inband_digits`: tones are looked for in the audio.
    `media_networks`: where audio may come from besides `remote` (trunks or phones behind NAT); empty = nowhere else.
    `sending`/`receiving`: False while held, seen from us. `rtcp_mux`: RFC 5761; else RTCP goes to `remote_rtcp`, or
    the port above. `ptime_ms` is what the peer sends; we send 20 ms always. `srtp`: keys both ways, None is plain RTP.
    `fec`, `max_bitrate`: what the peer wants of our Opus.
    """

    remote: tuple[str, int]
    payload_type: int = 0
    codec: MediaCodec = MediaCodec.ULAW
    accepted: tuple[tuple[int, MediaCodec], ...] = ()
    dtmf_payload_type: int | None = 101
    dtmf_send_payload_type: int | None = None
    dtmf_rate_hz: int = 8000
    comfort_noise_payload_type: int | None = 13
    inband_digits: bool = False
    media_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    ptime_ms: int = 20
    sending: bool = True
    receiving: bool = True
    rtcp_mux: bool = False
    remote_rtcp: tuple[str, int] | None = None
    srtp: Crypto | None = None
    fec: bool = False
    max_bitrate: int | None = None


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Sizes and thresholds. `rtp_ports`: even local ports; 0 = any free port. Capacities are multiples of 4.

    `bind_v6`: IPv6 address that has the same ports; empty: none.
    """

    bind_address: str = "127.0.0.1"
    bind_v6: str = ""
    rtp_ports: tuple[int, ...] = (0,)
    rtp_capacity: int = 512
    packet_capacity: int = 64
    voice_capacity: int = 640
    media_lost_after_start: float = 5.0
    media_lost_in_call: float = 20.0
    receive_buffer_bytes: int = 8 << 20
    echo_gate_dbfs: float = -38.0
    quality_interval: float = 5.0
