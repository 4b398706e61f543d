"""Rubbish on the SIP and RTP ports while somebody talks: the neighbour hears nothing of it."""

from __future__ import annotations

import asyncio
import secrets
import socket

import pytest

from tests.fakes.speech_audio import spoken_wav
from tests.interop.waiting import until
from tests.running_product import RunningProduct
from voiceapp.try_call.audio import read_wav, speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import PhoneLine

pytestmark = pytest.mark.timeout(90)

SIP_RUBBISH = [
    b"",
    b"\r\n\r\n",
    bytes(range(256)) * 8,
    b"INVITE sip:demo@127.0.0.1 SIP/2.0\r\n\r\n",
    b"INVITE " + b"a" * 8000 + b" SIP/2.0\r\n\r\n",
    b"BYE sip:demo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:demo@127.0.0.1>;tag=2\r\nCall-ID: nobody\r\nCSeq: 1 BYE\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"SIP/2.0 200 OK\r\nVia: x\r\nCSeq: -1 INVITE\r\n\r\n",
    b"OPTIONS sip:x SIP/2.0\r\nContent-Length: -5\r\n\r\n",
]


def rubbish_rtp() -> list[bytes]:
    return [
        b"\x80",
        secrets.token_bytes(172),
        b"\x80\x00" + secrets.token_bytes(170),
        b"\xff" * 1500,
        b"\x9f\x00" + bytes(10),
        b"\x80\xc8\xff\xff" + bytes(20),
    ]


async def test_a_call_survives_rubbish_on_all_ports(product: RunningProduct) -> None:
    turn = speech(read_wav(spoken_wav("what are your opening hours"), 8000), 8000)
    caller = Caller([turn], 8000)
    user = f"calm{secrets.token_hex(3)}"
    ports = range(product.configuration.rtp_ports.first, product.configuration.rtp_ports.last + 1)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.setblocking(False)
    sip = (product.configuration.sip.host, product.configuration.sip.port)

    async def spray() -> None:
        await until(lambda: caller.measured.packets > 10)
        for _ in range(100):
            for datagram in SIP_RUBBISH:
                stranger.sendto(datagram, sip)
            for port in ports:
                for datagram in rubbish_rtp():
                    stranger.sendto(datagram, ("127.0.0.1", port))
            await asyncio.sleep(0.02)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(PhoneLine(product.uri, caller, user=user).hold())
            group.create_task(spray())
    finally:
        stranger.close()

    call = await asyncio.to_thread(product.newest_call, caller=user)
    kinds = [event["kind"] for event in await asyncio.to_thread(product.events, call)]
    assert "AudioGarbled" not in kinds
    assert "hours" in await asyncio.to_thread(product.said, call, "caller")
    assert "nine" in await asyncio.to_thread(product.said, call, "agent")
    assert caller.measured.longest_gap_ms < 200
    health = (await asyncio.to_thread(product.ask, "node.health"))["health"]
    assert health["media"]["alive"]
    assert product.status()["processes"]["node1"]["starts"] == 1
