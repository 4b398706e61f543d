"""How audio passes one connection: by our own SRTP (`TappedMedia`), or by aiortc's senders and receivers (`PublicMedia`).

Both take and give plain RTP of one Opus stream, as the media plane has it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from fractions import Fraction
from typing import Any, Final, Protocol

from aiortc import (
    MediaStreamTrack,
    RTCDtlsTransport,
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpReceiver,
    RTCRtpSender,
)
from aiortc.codecs.opus import OpusEncoder
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from av import AudioFrame
from av.packet import Packet

from telephony.rtp.errors import RtpError
from telephony.rtp.packet import HEADER_BYTES, RtpPacket, build_packet, is_rtcp
from telephony.rtp.srtp import SrtpSession
from telephony.webrtc.keys import agreed_keys
from telephony.webrtc.reports import CLOCK_HZ, StreamReports

_COMPONENT: Final = 1
_TIME_BASE: Final = Fraction(1, CLOCK_HZ)
_WAITING: Final = 25
_FRAME: Final = 960
_REPORT: Final = "remote-inbound-rtp"

OnRtp = Callable[[bytes], None]
Count = Callable[[str], None]
Spawn = Callable[[str, Coroutine[Any, Any, None]], None]
"""Starts a task that the process owns; a failure is logged there and ends nothing else."""


class MediaPath(Protocol):
    """One connection's audio, both ways; all calls in the loop's thread."""

    @property
    def round_trip(self) -> float | None:
        """Seconds, by the peer's last report."""

    @property
    def remote_loss(self) -> float | None:
        """0..1 of what we sent lately, by the same."""

    @property
    def takes_datagrams(self) -> bool:
        """SRTP goes to `arrived`; else to aiortc."""

    def start(self, payload_type: int, mid: str) -> None:
        """The connection is up. Raises: KeyError, RtpError, if its keys cannot be used."""

    def arrived(self, data: bytes, now: float) -> bool:
        """An SRTP or SRTCP datagram of the peer's; True: a report has come."""

    def send(self, packet: bytes, now: float) -> bool:
        """One RTP packet; False if there is nothing to send it on."""

    def report(self, own_ssrc: int, now: float) -> None:
        """Our own RTCP is due."""

    async def stop(self, own_ssrc: int, now: float) -> None:
        """Says goodbye, as far as there is a connection to say it on."""


class TappedMedia:
    """Stage 2: the keys that aiortc's DTLS agreed on, used here."""

    takes_datagrams = True

    def __init__(
        self, connection: Any, dtls: RTCDtlsTransport, on_rtp: OnRtp, count: Count
    ) -> None:
        self._connection = connection
        self._dtls: Any = dtls
        self._on_rtp = on_rtp
        self._count = count
        self._reports = StreamReports("voice")
        self._srtp: SrtpSession | None = None

    @property
    def round_trip(self) -> float | None:
        return self._reports.round_trip

    @property
    def remote_loss(self) -> float | None:
        return self._reports.remote_loss

    def start(self, payload_type: int, mid: str) -> None:
        self._srtp = SrtpSession(agreed_keys(self._dtls))

    def arrived(self, data: bytes, now: float) -> bool:
        srtp = self._srtp
        if srtp is None:
            self._count("media_before_keys")
            return False
        if is_rtcp(data):
            return self._take_rtcp(srtp.unprotect_rtcp(data), now)
        packet = srtp.unprotect(data)
        if packet is None:
            self._count("unprotect_failed")
            return False
        self._reports.received(packet, now)
        self._on_rtp(packet)
        return False

    def _take_rtcp(self, packet: bytes | None, now: float) -> bool:
        if packet is None:
            self._count("unprotect_failed")
            return False
        well = self._reports.take(packet, now)
        if not well:
            self._count("malformed_rtcp")
        return well

    def send(self, packet: bytes, now: float) -> bool:
        if not self._send(packet, rtcp=False):
            return False
        self._reports.sent(packet, now)
        return True

    def _send(self, packet: bytes, *, rtcp: bool) -> bool:
        srtp = self._srtp
        pair = self._connection._nominated.get(_COMPONENT)
        if srtp is None or pair is None:
            return False
        try:
            protected = srtp.protect_rtcp(packet) if rtcp else srtp.protect(packet)
        except RtpError:
            self._count("protect_failed")
            return False
        pair.protocol.transport.sendto(protected, pair.remote_addr)
        return True

    def report(self, own_ssrc: int, now: float) -> None:
        self._send(self._reports.compound(own_ssrc, now), rtcp=True)

    async def stop(self, own_ssrc: int, now: float) -> None:
        self._send(self._reports.compound(own_ssrc, now, goodbye=True), rtcp=True)
        self._srtp = None


class _Playout(MediaStreamTrack):
    """What the plane sends, as aiortc's sender asks for it: ready Opus, bounded."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._coded: asyncio.Queue[Packet[Any]] = asyncio.Queue(_WAITING)
        self._first: int | None = None

    def put(self, packet: bytes) -> bool:
        (timestamp,) = struct.unpack_from("!I", packet, 4)
        self._first = timestamp if self._first is None else self._first
        coded: Packet[Any] = Packet(packet[HEADER_BYTES:])
        coded.pts, coded.time_base = timestamp - self._first & 0xFFFFFFFF, _TIME_BASE
        if self._coded.full():
            self._coded.get_nowait()
        self._coded.put_nowait(coded)
        return True

    async def recv(self) -> Packet[Any]:
        return await self._coded.get()


class PublicMedia:
    """Stage 1: aiortc's own jitter buffer and decoder; what they give is encoded once more, for the plane."""

    takes_datagrams = False

    def __init__(self, dtls: RTCDtlsTransport, on_rtp: OnRtp, spawn: Spawn) -> None:
        self.round_trip: float | None = None
        self.remote_loss: float | None = None
        self._playout = _Playout()
        self._sender = RTCRtpSender(self._playout, dtls)
        self._receiver = RTCRtpReceiver("audio", dtls)
        # The one thing that aiortc's RTCPeerConnection does for its receivers by a private name.
        self._receiver._track = RemoteStreamTrack("audio")
        self._on_rtp = on_rtp
        self._spawn = spawn
        self._started = False

    def start(self, payload_type: int, mid: str) -> None:
        codec = RTCRtpCodecParameters("audio/opus", CLOCK_HZ, 2, payload_type)
        self._started = True
        self._spawn("webrtc_media", self._run(codec, mid))

    async def _run(self, codec: RTCRtpCodecParameters, mid: str) -> None:
        rtcp = RTCRtcpParameters(cname="voice", mux=True)
        await self._receiver.receive(RTCRtpReceiveParameters(codecs=[codec], muxId=mid))
        await self._sender.send(RTCRtpSendParameters(codecs=[codec], muxId=mid, rtcp=rtcp))
        encoder, sequence, timestamp = OpusEncoder(), 0, 0
        while True:
            try:
                frame = await self._receiver.track.recv()
            except MediaStreamError:
                return
            payloads = encoder.encode(frame)[0] if isinstance(frame, AudioFrame) else []
            for payload in payloads:
                packet = RtpPacket(codec.payloadType or 0, sequence, timestamp, 1, payload)
                self._on_rtp(build_packet(packet))
                sequence = sequence + 1 & 0xFFFF
                timestamp = timestamp + _FRAME & 0xFFFFFFFF

    def arrived(self, data: bytes, now: float) -> bool:
        """Nothing comes here."""
        return False

    def send(self, packet: bytes, now: float) -> bool:
        return self._started and self._playout.put(packet)

    def report(self, own_ssrc: int, now: float) -> None:
        """RTCP is aiortc's; what it learnt is read."""
        if self._started:
            self._spawn("webrtc_stats", self._read_statistics())

    async def _read_statistics(self) -> None:
        for entry in (await self._sender.getStats()).values():
            if entry.type == _REPORT:
                self.round_trip = entry.roundTripTime
                self.remote_loss = entry.fractionLost / 256

    async def stop(self, own_ssrc: int, now: float) -> None:
        if self._started:
            self._started = False
            await self._sender.stop()
            await self._receiver.stop()
        self._playout.stop()
