"""A media plane stepped by hand, and phones that send to it and keep what they hear."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.commands import Command, Guard, Listen, Route, StartRtp
from telephony.media.handles import SlotHandle, VoiceHandle
from telephony.media.notices import Notice
from telephony.media.parameters import MediaSettings, RtpParameters
from telephony.media.plane import SUB_TICK, MediaPlane
from telephony.media.ports import FrameBatch
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from tests.fakes.datagrams import MemoryDatagrams, Sent

Pcm = NDArray[np.int16]
N = TypeVar("N")

PHONE = ("10.0.0.1", 4000)
STRANGER = ("10.66.6.6", 6666)


def silence(frames: int = 1) -> Pcm:
    return np.zeros(160 * frames, np.int16)


def voiced(frames: int, amplitude: int = 6000, rate_hz: int = 8000) -> Pcm:
    """A buzz with a voice's pitch and syllables: webrtcvad takes it for speech."""
    t = np.arange(frames * rate_hz // 50) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20))
    return (amplitude * buzz * (1 + 0.4 * np.sin(2 * np.pi * 4 * t)) / 3).astype(np.int16)


def noise(frames: int, rate_hz: int = 8000, seed: int = 1) -> Pcm:
    samples = np.random.default_rng(seed).normal(0, 3000, frames * rate_hz // 50)
    return samples.astype(np.int16)


def on_the_wire(pcm: Pcm) -> bytes:
    return g711.encode(np.ascontiguousarray(pcm), g711.ULAW).tobytes()


def through_ulaw(pcm: Pcm) -> Pcm:
    octets = np.frombuffer(on_the_wire(pcm), np.uint8)
    decoded: Pcm = g711.decode(octets[None], np.zeros(1, np.int64))[0]
    return decoded


class RecordingTap:
    def __init__(self) -> None:
        self.batches: list[FrameBatch] = []

    def frames(self, batch: FrameBatch) -> None:
        self.batches.append(batch)

    def of(self, slot: SlotHandle) -> Pcm:
        heard = [batch.pcm[batch.handles == slot].ravel() for batch in self.batches]
        return np.concatenate(heard) if heard else np.zeros(0, np.int16)

    def numbers(self, slot: SlotHandle) -> list[int]:
        return [int(n) for b in self.batches for n in b.frames[b.handles == slot]]


@dataclass
class Phone:
    """One peer. `send` puts the next packet on the line."""

    datagrams: MemoryDatagrams
    port: int
    source: tuple[str, int] = PHONE
    ssrc: int = 77
    sequence: int = 0
    timestamp: int = 0
    payload_type: int = 0

    def packet(self, payload: bytes = on_the_wire(silence()), **changes: int) -> RtpPacket:
        packet = RtpPacket(
            changes.get("payload_type", self.payload_type),
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFFFFFF,
            self.ssrc,
            payload,
        )
        self.sequence += 1
        self.timestamp += changes.get("samples", len(payload))
        return packet

    def send(self, pcm: Pcm | None = None) -> None:
        self.send_packet(self.packet(on_the_wire(silence() if pcm is None else pcm)))

    def send_packet(self, packet: RtpPacket) -> None:
        self.send_raw(build_packet(packet))

    def send_raw(self, data: bytes) -> None:
        self.datagrams.arrive(data, self.source, self.port)

    def lose(self, packets: int = 1) -> None:
        self.sequence += packets
        self.timestamp += 160 * packets

    def received(self) -> list[Sent]:
        return [
            sent for sent in self.datagrams.sent if sent.remote == self.source and not sent.rtcp
        ]

    def heard(self) -> Pcm:
        """All audio that was sent to this phone."""
        payloads = [parse_packet(sent.data).payload for sent in self.received()]
        octets = np.frombuffer(b"".join(payloads), np.uint8)
        decoded: Pcm = g711.decode(octets[None], np.zeros(1, np.int64))[0]
        return decoded


@dataclass
class Line:
    """The plane, its time, and all it told."""

    ports: tuple[int, ...] = (10000,)
    v6_ports: tuple[int, ...] = ()
    settings: MediaSettings = field(
        default_factory=lambda: MediaSettings(rtp_capacity=8, packet_capacity=4, voice_capacity=8)
    )
    now: float = 1000.0
    told: list[Notice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.datagrams = MemoryDatagrams(*self.ports, v6=self.v6_ports)
        self.tap = RecordingTap()
        self.plane = MediaPlane(
            self.settings,
            datagrams=self.datagrams,
            tap=self.tap,
            entropy=random.Random(1),
            addresses=self.datagrams.addresses,
        )

    def apply(self, *commands: Command) -> None:
        self.plane.apply(*commands)

    def step(self, sub_ticks: int = 1) -> list[Notice]:
        fresh: list[Notice] = []
        for _ in range(sub_ticks):
            self.now += SUB_TICK
            fresh += self.plane.step(self.now)
        self.told += fresh
        return fresh

    def frame(self) -> list[Notice]:
        return self.step(4)

    def of(self, kind: type[N]) -> list[N]:
        return [notice for notice in self.told if isinstance(notice, kind)]

    def call(
        self, parameters: RtpParameters | None = None, **phone: Any
    ) -> tuple[SlotHandle, Phone]:
        """A started slot and its phone; nothing has been sent yet."""
        parameters = parameters or RtpParameters(PHONE)
        slot, port = self.plane.reserve_rtp(parameters.remote, nat=bool(parameters.media_networks))
        self.apply(StartRtp(slot, parameters), Listen(slot, True))
        self.step()
        return slot, Phone(self.datagrams, port, parameters.remote, **phone)

    def latched(self, **phone: Any) -> tuple[SlotHandle, Phone]:
        """A call whose phone has been sending silence for 100 ms."""
        slot, peer = self.call(**phone)
        self.talk(peer, silence(5))
        return slot, peer

    def talk(self, phone: Phone, pcm: Pcm) -> list[Notice]:
        """The phone sends these frames, one per 20 ms."""
        fresh: list[Notice] = []
        for frame in pcm.reshape(-1, 160):
            phone.send(frame)
            fresh += self.frame()
        return fresh

    def voice_on(
        self, slot: SlotHandle, rate_hz: int = 8000, *, guard: bool = False
    ) -> VoiceHandle:
        voice = self.plane.add_voice(rate_hz)
        self.apply(Route(slot, ((voice, 1.0),)))
        if guard:
            self.apply(Guard(voice, slot))
        self.step()
        return voice
