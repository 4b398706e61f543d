"""Hostile datagrams on the open ports of a running node: `python -m tests.fuzz.live --datagrams 100000 --seed 1`.

They come from many addresses of this machine, as a source that sends rubbish is soon banned; the neighbour who talks
with the agent meanwhile comes from another one.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.fakes.speech_audio import spoken_wav
from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import messages, rtcp_packets, rtp_packets
from tests.running_product import RunningProduct, running_product
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import PhoneLine

QUESTIONS = ("what are your opening hours", "where can i park", "how much is a cleaning")
_PER_SOURCE = 25  # SIP datagrams of one address: just below a ban
_BURST = 40


@dataclass
class Neighbour:
    """What the call beside the attack was like."""

    call: str
    understood: str
    answered: str
    longest_gap_ms: float
    packets: int
    seconds: float
    kinds: list[str]

    @property
    def lost(self) -> float:
        """Share of the agent's packets that never came: one each 20 ms is due."""
        return max(0.0, 1.0 - self.packets * 0.02 / self.seconds)


def datagrams(product: RunningProduct, seed: int) -> Iterator[tuple[bytes, tuple[str, int], int]]:
    """Without end: octets, where to, and the number of the source to send from. Half SIP, half RTP and RTCP."""
    rtp = product.configuration.rtp_ports
    ports = list(range(rtp.first, rtp.last + 1))
    sip = (product.configuration.sip.host, product.configuration.sip.port)
    signalling = Mutator(seed, messages())
    media = Mutator(seed + 1, rtp_packets() + rtcp_packets())
    number = 0
    while True:
        yield signalling.next(), sip, number // _PER_SOURCE
        yield media.next()[:1400], ("127.0.0.1", ports[number % len(ports)]), 0
        number += 1


def source_address(number: int) -> str:
    return f"127.{1 + number // 60_000}.{number // 240 % 250}.{2 + number % 240}"


async def spray(product: RunningProduct, count: int, seed: int, per_second: int) -> None:
    """Sends them in small bursts."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    found = islice(datagrams(product, seed), count)
    with ExitStack() as open_sockets:
        media = open_sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        media.setblocking(False)
        signalling, current = media, -1
        while burst := list(islice(found, _BURST)):
            for data, to, number in burst:
                if to[1] == product.configuration.sip.port and number != current:
                    if signalling is not media:
                        signalling.close()
                    signalling, current = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), number
                    open_sockets.callback(signalling.close)
                    signalling.bind((source_address(number), 0))
                    signalling.setblocking(False)
                try:
                    (signalling if to[1] == product.configuration.sip.port else media).sendto(
                        data, to
                    )
                except BlockingIOError:
                    continue  # the kernel had no room: that one is lost, as on any network
            due += len(burst) / per_second
            await asyncio.sleep(max(0.0, due - loop.time()))


async def attacked_call(
    product: RunningProduct, count: int, seed: int, per_second: int, questions: tuple[str, ...]
) -> Neighbour:
    """A caller talks with the agent while the node is attacked."""
    loop = asyncio.get_running_loop()
    caller = Caller([speech(read_wav(spoken_wav(q), 8000), 8000) for q in questions], 8000)
    user = f"calm{secrets.token_hex(3)}"
    async with asyncio.TaskGroup() as group:
        began = loop.time()
        group.create_task(spray(product, count, seed, per_second))
        await group.create_task(PhoneLine(product.uri, caller, user=user).hold())
        seconds = loop.time() - began
    call = await asyncio.to_thread(product.newest_call, caller=user)
    events = await asyncio.to_thread(product.events, call)
    return Neighbour(
        call,
        await asyncio.to_thread(product.said, call, "caller"),
        await asyncio.to_thread(product.said, call, "agent"),
        caller.measured.longest_gap_ms,
        caller.measured.packets,
        seconds,
        [event["kind"] for event in events],
    )


def faults_of(product: RunningProduct, neighbour: Neighbour, longest_gap_ms: float) -> list[str]:
    """What is wrong after the attack; nothing should be."""
    health = product.ask("node.health")["health"]
    starts = product.status()["processes"]["node1"]["starts"]
    checks = {
        f"a gap of {neighbour.longest_gap_ms:.0f} ms": neighbour.longest_gap_ms < longest_gap_ms,
        f"{neighbour.lost:.2%} of the packets lost": neighbour.lost < 0.03,
        "the caller was not understood": "hours" in neighbour.understood,
        "the agent was not heard to answer": "nine" in neighbour.answered,
        "the audio was reported as garbled": "AudioGarbled" not in neighbour.kinds,
        "the media thread died": health["media"]["alive"],
        f"the node was started {starts} times": starts == 1,
    }
    return [fault for fault, good in checks.items() if not good]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datagrams", type=int, default=100_000)
    parser.add_argument("--per-second", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_product(Path(folder)) as product,
    ):
        neighbour = asyncio.run(
            attacked_call(product, given.datagrams, given.seed, given.per_second, QUESTIONS)
        )
        faults = faults_of(product, neighbour, 200.0)
        counters = product.ask("node.health")["health"]["sip"]["counters"]
    print(
        f"{given.datagrams:,} datagrams at {given.per_second:,}/s, seed {given.seed}; the neighbour's call:"
        f" longest gap {neighbour.longest_gap_ms:.0f} ms, {neighbour.lost:.2%} lost; node counters {counters}"
    )
    for fault in faults:
        print(f"  FOUND {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
