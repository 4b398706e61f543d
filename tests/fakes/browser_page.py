"""A browser of ours: a WebRTC peer whose microphone plays a tone, and what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import numpy as np

from telephony.call.timers import LoopScheduler
from telephony.media.opus import OpusCodec
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer


class Page:
    """A browser with a microphone that plays a tone; `pitches` of what it hears, one for each loud packet."""

    def __init__(self, group: asyncio.TaskGroup, hz: float) -> None:
        self.connected = asyncio.Event()
        self.pitches: list[float] = []
        self._group = group
        self._codec = OpusCodec()
        self._hz = hz
        self._n = 0
        scheduler = LoopScheduler(asyncio.get_running_loop())
        self.peer = WebRtcPeer(
            PeerSettings(addresses=("127.0.0.1",)),
            scheduler,
            self._spawn,
            on_rtp=self._heard,
            on_state=self._state,
        )

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._group.create_task(work, name=name)

    def _state(self, state: PeerState, reason: str) -> None:
        if state is PeerState.CONNECTED:
            self.connected.set()

    def _heard(self, data: bytes) -> None:
        pcm = self._codec.decode(parse_packet(data).payload).astype(float)
        if np.abs(pcm).max() > 1000:
            spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)), 16_000))
            self.pitches.append(float(spectrum.argmax()))

    def speak(self) -> None:
        at = (np.arange(320) + 320 * self._n) / 16_000
        pcm = (9000 * np.sin(2 * np.pi * self._hz * at)).astype(np.int16)
        packet = RtpPacket(111, self._n & 0xFFFF, 960 * self._n, 7, self._codec.encode(pcm))
        self.peer.send_rtp(build_packet(packet))
        self._n += 1

    async def speak_for(self, seconds: float) -> None:
        for _ in range(int(seconds * 50)):
            self.speak()
            await asyncio.sleep(0.02)  # noqa: TID251 - a microphone in real time

    async def connect(self, ask: Callable[[str], Awaitable[Any]]) -> Any:
        answer = await ask(await self.peer.offer())
        self.peer.take_answer(answer["sdp"])
        async with asyncio.timeout(5):
            await self.connected.wait()
        return answer
