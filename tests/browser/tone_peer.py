"""The far end of a browser's connection: plays a tone, and measures the pitch of what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

RATE_HZ = 48_000
FRAME = 960
TONE_HZ = 440.0
SILENCE_S = 0.3


class ToneTrack(MediaStreamTrack):
    """A sine of `TONE_HZ` at half scale."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sample = 0
        self._began: float | None = None

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._began = self._began or loop.time()
        await asyncio.sleep(max(0.0, self._began + self._sample / RATE_HZ - loop.time()))
        times = (np.arange(FRAME) + self._sample) / RATE_HZ
        wave = (0.5 * 32767 * np.sin(2 * np.pi * TONE_HZ * times)).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._sample, Fraction(1, RATE_HZ)
        self._sample += FRAME
        return frame


class TonePeers:
    """Answers offers; `heard` holds by call the pitch (Hz) of what the last page sends, 0 for silence."""

    def __init__(self, _: Callable[[str, str, float], None]) -> None:
        self.heard: dict[str, float] = {}
        self._peers: list[RTCPeerConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, call: str, offer: str) -> str:
        peer = RTCPeerConnection()
        self._peers.append(peer)
        self.heard[call] = 0.0

        @peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            task = asyncio.get_running_loop().create_task(self._measure(call, track))
            self._tasks.add(task)

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        peer.addTrack(ToneTrack())
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _measure(self, call: str, track: MediaStreamTrack) -> None:
        samples = np.zeros(0, dtype=np.float64)
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    frame = await track.recv()
            except TimeoutError:  # a track that was taken away sends nothing at all
                self.heard[call] = 0.0
                continue
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            wave = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
            samples = np.concatenate([samples, wave.astype(np.float64)])[-RATE_HZ // 5 :]
            if len(samples) < RATE_HZ // 5:
                continue
            spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
            loud = float(np.sqrt(np.mean(samples**2))) > 200
            self.heard[call] = float(spectrum.argmax() * RATE_HZ / len(samples)) if loud else 0.0
