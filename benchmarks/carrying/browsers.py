"""Many browsers at once: WebRTC peers that talk ready-made Opus, set up by the requests the web process would make."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np

from benchmarks.carrying.usage import Usage, memory_mb
from telephony.call.timers import LoopScheduler
from telephony.media.opus import OpusCodec
from telephony.rtp.packet import RtpPacket, build_packet
from telephony.webrtc.peer import PeerSettings, PeerState, WebRtcPeer
from tests.running_product import RunningProduct
from voiceapp.adapters.bus_client import BusClient

RATE_HZ = 16_000
CLOCK_STEP = 960
CONNECT_S = 10.0
AT_ONCE = 4


def spoken_packets() -> list[bytes]:
    """Two seconds of a buzz with a voice's pitch and two of silence, in frames of 20 ms."""
    codec = OpusCodec()
    t = np.arange(RATE_HZ * 2) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 40))
    spoken = (4000 * buzz * (1 + 0.4 * np.sin(2 * np.pi * 4 * t)) / 3).astype(np.int16)
    both = np.concatenate((spoken, np.zeros_like(spoken))).reshape(-1, RATE_HZ // 50)
    return [codec.encode(frame) for frame in both]


class Browser:
    """One peer and its call."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.received = 0
        self.connected = asyncio.Event()

        def spawn(name: str, work: Coroutine[Any, Any, None]) -> None:
            group.create_task(work, name=name)

        scheduler = LoopScheduler(asyncio.get_running_loop())
        settings = PeerSettings(addresses=("127.0.0.1",))
        self.peer = WebRtcPeer(
            settings, scheduler, spawn, on_rtp=self._packet, on_state=self._state
        )

    async def call(self, bus: BusClient, origin: str) -> None:
        offer = await self.peer.offer()
        start = {"key": "demo", "origin": origin, "sdp": offer, "variables": {}}
        answer = await bus.request("node1", "widget.start", start)
        self.peer.take_answer(answer["sdp"])
        async with asyncio.timeout(CONNECT_S):
            await self.connected.wait()

    def _packet(self, packet: bytes) -> None:
        self.received += 1

    def _state(self, state: PeerState, reason: str) -> None:
        if state is PeerState.CONNECTED:
            self.connected.set()


async def talk(browsers: list[Browser], packets: list[bytes], seconds: float, start: int) -> int:
    """All of them, a quarter each 5 ms. Returns the next tick's number."""
    loop = asyncio.get_running_loop()
    deadline = loop.time()
    ticks = round(seconds * 200)
    for tick in range(start, start + ticks):
        deadline += 0.005
        number = tick // 4
        for index in range(tick % 4, len(browsers), 4):
            payload = packets[(number + index * 7) % len(packets)]
            timestamp = number * CLOCK_STEP & 0xFFFFFFFF
            packet = RtpPacket(111, number & 0xFFFF, timestamp, index + 1, payload)
            browsers[index].peer.send_rtp(build_packet(packet))
        await asyncio.sleep(max(0.0, deadline - loop.time()))
    return start + ticks


async def _carry(product: RunningProduct, calls: int, seconds: float) -> dict[str, Any]:
    bus = BusClient(product.configuration.run, ["node1"])
    packets, usage = spoken_packets(), Usage(product)
    empty = memory_mb(product.pid("node1"))
    async with asyncio.TaskGroup() as group:
        browsers = [Browser(group) for _ in range(calls)]
        for first in range(0, calls, AT_ONCE):
            async with asyncio.TaskGroup() as joining:
                for browser in browsers[first : first + AT_ONCE]:
                    joining.create_task(browser.call(bus, product.base))
        tick = await talk(browsers, packets, 4.0, 0)
        before = sum(browser.received for browser in browsers)
        usage.start()
        await talk(browsers, packets, seconds, tick)
        used = usage.stop(calls)
        received = sum(browser.received for browser in browsers) - before
        full = memory_mb(product.pid("node1"))
        for browser in browsers:
            await browser.peer.close()
    return used | {
        "calls": calls,
        "mb_per_call": (full - empty) / calls,
        "received_pct": received * 100 / (calls * 50 * seconds),
    }


def carry_browsers(product: RunningProduct, calls: int, seconds: float) -> dict[str, Any]:
    return asyncio.run(_carry(product, calls, seconds))
