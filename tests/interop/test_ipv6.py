"""Calls over IPv6 by other people's programs: signalling and audio at ::1, a tone each way."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telephony.media import g711
from telephony.rtp.packet import RtpPacket, build_packet, is_rtcp, parse_packet
from tests.fakes.node import RunningNode, running_node
from tests.fakes.tone_agent import tone
from tests.interop import sipp
from tests.interop.baresip import Baresip, baresip
from tests.interop.tones import pitch, tone_wav
from voiceapp.configuration import Address
from voiceapp.try_call.audio import Samples, read_wav

pytestmark = pytest.mark.timeout(90)

LOOPBACK = "::1"
AGENT_HZ, CALLER_HZ = 440, 600
AGENT = {"seconds": 2.0, "hz": AGENT_HZ}


class Audio(asyncio.DatagramProtocol):
    """An end of RTP that sends its tone to whoever sends to it, and keeps what it hears."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.sources: set[tuple[str, int]] = set()
        pcm = np.frombuffer(tone(CALLER_HZ, 1.0, 8000), np.int16).reshape(-1, 160)
        self._frames = [g711.encode(frame[None], g711.ULAW).tobytes() for frame in pcm]
        self._sent = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if is_rtcp(data):
            return
        self.payloads.append(parse_packet(data).payload)
        self.sources.add(addr[:2])
        frame = self._frames[self._sent % len(self._frames)]
        packet = RtpPacket(0, self._sent & 0xFFFF, 160 * self._sent, 77, frame)
        self._sent += 1
        self._transport.sendto(build_packet(packet), addr)

    def heard(self) -> Samples:
        octets = np.frombuffer(b"".join(self.payloads), np.uint8)
        decoded: Samples = g711.decode(octets[None], np.zeros(1, np.int64))[0]
        return decoded


def loudest(samples: Samples) -> Samples:
    """The half second with the most in it."""
    power = np.convolve(np.abs(samples.astype(float)), np.ones(4000), "valid")
    at = int(np.argmax(power))
    return samples[at : at + 4000]


def heard_by(node: RunningNode) -> Samples:
    """What the agent's side got of all calls."""
    return np.concatenate([batch.pcm.ravel() for batch in node.ears.batches])


def v6(node: RunningNode) -> str:
    return str(Address(LOOPBACK, node.sip.port))


async def kinds_of(node: RunningNode, caller: str) -> list[str]:
    rows = (await node.ask("calls.rows"))["rows"]
    [call] = [row["id"] for row in rows if row["caller"] == caller]
    return [event["kind"] for event in (await node.ask("calls.events", call=call))["events"]]


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_at_ipv6_has_audio_both_ways(tmp_path: Path, transport: str) -> None:
    user = f"sipp{secrets.token_hex(3)}"
    loop = asyncio.get_running_loop()
    endpoint, audio = await loop.create_datagram_endpoint(Audio, local_addr=(LOOPBACK, 0))
    port = endpoint.get_extra_info("sockname")[1]
    # sipp writes `[local_ip]` with brackets, `[media_ip]` without.
    steps = sipp.invite(user, port=str(port)).replace("IN IP4 [local_ip]", "IN IP6 [media_ip]")
    steps += sipp.answered(user) + sipp.pause(4) + sipp.hang_up(user, 2)
    async with running_node(tmp_path, AGENT) as node:
        options = ("-m", "1", "-t", transport)
        running = sipp.start_sipp(
            None, tmp_path, steps, to=v6(node), at=LOOPBACK, options=options
        )  # fmt: skip
        result = await asyncio.to_thread(running.wait, 60)
        endpoint.close()

        assert result.code == 0, result.log
        assert {host for host, _ in audio.sources} == {LOOPBACK}
        assert pitch(loudest(audio.heard())) == pytest.approx(AGENT_HZ, abs=10)
        assert pitch(loudest(heard_by(node))) == pytest.approx(CALLER_HZ, abs=10)
        kinds = await kinds_of(node, user)
        assert kinds.index("LegConnected") < kinds.index("CallEnded")


async def test_a_softphone_at_ipv6_has_audio_both_ways(tmp_path: Path) -> None:
    source = tone_wav(tmp_path / "source.wav", CALLER_HZ, 10)

    def hold(phone: Baresip, uri: str) -> None:
        phone.command("dial", uri)
        phone.until("CALL_ESTABLISHED")
        phone.listen(4)
        phone.command("hangup")
        phone.until("CALL_CLOSED")

    async with running_node(tmp_path / "node", AGENT) as node:
        with baresip(tmp_path, source, at=LOOPBACK) as phone:
            await asyncio.to_thread(hold, phone, f"sip:demo@{v6(node)}")

        recorded = read_wav(phone.recording(), 8000)
        assert pitch(loudest(recorded)) == pytest.approx(AGENT_HZ, abs=10)
        assert pitch(loudest(heard_by(node))) == pytest.approx(CALLER_HZ, abs=10)
        kinds = await kinds_of(node, "bob")
        assert kinds.index("LegConnected") < kinds.index("CallEnded")
