"""Strangers at a browser's port: before a call is up, and while it is. Over real sockets on loopback."""

from __future__ import annotations

import asyncio
import copy
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from telephony.webrtc import socket_filter
from telephony.webrtc.peer import PeerState
from tests.contract.test_webrtc_peer import ALERT, CLIENT_HELLO, JUNK, a_peer

REPETITIONS = 4
STRAY_PPS = 10_000
FLOOD_S = 2.0
FRAMES = 100
STUN = bytes.fromhex("000100102112a442") + bytes(12) + b"\0\6\0\1a\0\0\0" + b"\x80\x22\0\4test"
"""A binding request with a user name, and without the digest that only the peer can make."""
SPRAYER = """
import socket, sys, time
port, datagram, gap = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), float(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent, begun = 0, time.monotonic()
end = begun + float(sys.argv[4])
print("ready", flush=True)
while (now := time.monotonic()) < end:
    while begun + sent * gap <= now:
        sock.sendto(datagram, ("127.0.0.1", port))
        sent += 1
    time.sleep(0.001)
print(sent, flush=True)
"""


@contextmanager
def sprayed(
    port: int, datagram: bytes, gap_s: float, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    """A stranger, in a process of its own, sends this to the port all the while."""
    arguments = [str(port), datagram.hex(), str(gap_s), str(seconds)]
    process = subprocess.Popen(
        [sys.executable, "-c", SPRAYER, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=[True, False], ids=["kernel", "python"])
def filtered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With the filter in the kernel, and where the system has none."""
    if not request.param:
        monkeypatch.setattr("telephony.webrtc.guard.attach", lambda sock, sources: False)
    return bool(request.param)


@pytest.mark.parametrize(
    "datagram", [ALERT, CLIENT_HELLO, JUNK], ids=["alert", "client_hello", "junk"]
)
async def test_every_call_connects_while_a_stranger_sends_every_2_ms(
    datagram: bytes, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(REPETITIONS):
        async with a_peer() as (peer, heard), a_peer() as (caller, _):
            answer = await peer.accept(await caller.offer())
            port = int(answer.split("a=candidate:")[1].split()[5])
            with sprayed(port, datagram, 0.002, 10):
                await asyncio.sleep(0.02)
                caller.take_answer(answer)
                await heard.until(lambda: peer.state is PeerState.CONNECTED, 4)
                caller.send_rtp(struct.pack("!BBHII", 0x80, 111, 1, 960, 5) + b"hello")
                await heard.until(lambda: bool(heard.packets), 1)
            assert sum(peer.dropped().values()) > 0
            assert peer.dropped().get("unvalidated_source", 0) == 0 or not filtered


@pytest.mark.parametrize(
    ("stray", "stopped"), [(JUNK, "below"), (STUN, "stun_of_strangers")], ids=["junk", "stun"]
)
async def test_a_flood_of_10000_strays_a_second_costs_an_established_call_no_frame(
    stray: bytes, stopped: str
) -> None:
    async with a_peer() as (peer, heard), a_peer() as (caller, caller_heard):
        answer = await peer.accept(await caller.offer())
        caller.take_answer(answer)
        await heard.until(lambda: peer.state is PeerState.CONNECTED)
        await caller_heard.until(lambda: caller.state is PeerState.CONNECTED)
        port = int(answer.split("a=candidate:")[1].split()[5])
        with sprayed(port, stray, 1 / STRAY_PPS, FLOOD_S + 2):
            for n in range(FRAMES):
                header = struct.pack("!BBHII", 0x80, 111, n, 960 * n, 5)
                assert caller.send_rtp(header + b"x" * 60)
                await asyncio.sleep(FLOOD_S / FRAMES)
            await heard.until(lambda: len(heard.packets) == FRAMES, 2)
        sequence = [struct.unpack_from("!H", packet, 2)[0] for packet in heard.packets]
        assert sequence == list(range(FRAMES))
        assert peer.dropped()[stopped] > STRAY_PPS * FLOOD_S / 2
        assert peer.dropped().get("unvalidated_source", 0) == 0


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_the_kernel_passes_stun_of_anyone_and_the_rest_of_those_named(family: int) -> None:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    stun = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)
    others = [stun[:4] + bytes(16), JUNK, ALERT, b""]
    with (
        socket.socket(family, socket.SOCK_DGRAM) as ours,
        socket.socket(family, socket.SOCK_DGRAM) as peer,
        socket.socket(family, socket.SOCK_DGRAM) as stranger,
    ):
        for each in (ours, peer, stranger):
            each.bind((host, 0))
        ours.setblocking(False)

        def passed(sender: socket.socket) -> list[bytes]:
            for datagram in (stun, *others):
                sender.sendto(datagram, ours.getsockname())
            got = []
            while True:
                try:
                    got.append(ours.recv(2000))
                except BlockingIOError:
                    return got

        assert socket_filter.attach(ours, [])
        assert passed(peer) == [stun]
        assert socket_filter.attach(ours, [peer.getsockname()[:2]])
        assert passed(stranger) == [stun]
        assert stun in passed(peer)
        assert JUNK in passed(peer)
        assert ALERT in passed(peer)
        assert socket_filter.attach(ours, [stranger.getsockname()[:2], peer.getsockname()[:2]])
        assert JUNK in passed(stranger)
        assert JUNK in passed(peer)
        assert socket_filter.drops(ours) > 0


async def test_both_filters_follow_when_another_pair_succeeds() -> None:
    """As an ICE restart does: the peer goes on from another address."""
    async with a_peer() as (peer, heard), a_peer() as (caller, _):
        caller.take_answer(await peer.accept(await caller.offer()))
        await heard.until(lambda: peer.state is PeerState.CONNECTED)
        connection = peer._connection
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as moved:
            moved.bind(("127.0.0.1", 0))
            ours = connection._protocols[0].transport.get_extra_info("sockname")
            moved.sendto(JUNK, ours)
            await asyncio.sleep(0.05)
            assert "unknown_protocol" not in peer.dropped()

            pair = copy.copy(next(iter(connection._check_list)))
            pair.remote_candidate = copy.copy(pair.remote_candidate)
            pair.remote_candidate.host, pair.remote_candidate.port = moved.getsockname()
            connection._check_list.append(pair)
            connection.check_state(pair, pair.State.SUCCEEDED)
            moved.sendto(JUNK, ours)
            await asyncio.sleep(0.05)
            assert peer.dropped()["unknown_protocol"] == 1
