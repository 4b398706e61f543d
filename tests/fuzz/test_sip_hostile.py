"""Each hostile message three ways: to the engine, as a datagram to a live port, octet by octet on TCP."""

import asyncio
import os
import socket

import pytest

from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.flow import Flow
from telephony.sip.ids import TokenIds
from telephony.sip.transport import SipTransport, TransportSettings
from tests.fuzz.sip_corpus import RFC4475_VERDICTS, corpora, own_messages
from tests.unit.sip_line import make_engine

FLOW = Flow("udp", ("192.0.2.1", 5060), ("198.51.100.7", 5070))
SENTINEL = (
    b"OPTIONS sip:gw.test SIP/2.0\r\nVia: SIP/2.0/UDP peer.test;branch=z9hG4bK-sentinel%d\r\n"
    b"From: <sip:s@peer.test>;tag=s\r\nTo: <sip:gw.test>\r\nCall-ID: sentinel%d\r\n"
    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
CORPORA = corpora()
by_corpus = pytest.mark.parametrize("messages", CORPORA.values(), ids=CORPORA.keys())


def status_of(reply: bytes) -> str:
    return "pong" if reply == b"\r\n" else reply.split(b" ", 2)[1].decode()


def test_each_case_of_the_rfc_has_a_message_of_ours():
    assert {message.case for message in own_messages()} - {"-"} == set(RFC4475_VERDICTS)


@by_corpus
def test_the_engine_gives_the_verdict(messages):
    replies = {}
    for message in messages:
        engine = make_engine()
        engine.receive(message.data, FLOW, 0.0)
        sent = engine.to_send()
        replies[message.name] = status_of(sent[0][1]) if sent else "none"
        assert {flow for flow, _ in sent} <= {FLOW}

    assert replies == {message.name: message.udp for message in messages}


async def started() -> SipTransport:
    engine = SipEngine(EngineSettings(), TokenIds(os.urandom))
    transport = SipTransport(engine, lambda event: None, TransportSettings(("127.0.0.1", 0)))
    await transport.start()
    return transport


def udp_client(transport: SipTransport) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setblocking(False)
    client.connect(transport.address)
    return client


async def ask(client: socket.socket, number: int) -> list[bytes]:
    """Send a request that is surely answered; what came before its answer."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, SENTINEL % (number, number))
    replies: list[bytes] = []
    while True:
        reply = await loop.sock_recv(client, 65535)
        if b"sentinel%d" % number in reply:
            return replies
        replies.append(reply)


@by_corpus
async def test_a_live_port_gives_the_verdict(messages):
    replies = {}
    for message in messages:
        transport = await started()
        with udp_client(transport) as client:
            await asyncio.get_running_loop().sock_sendall(client, message.data)
            received = await ask(client, 1)
            replies[message.name] = status_of(received[0]) if received else "none"
        await transport.close()

    assert replies == {message.name: message.udp for message in messages}


@by_corpus
async def test_tcp_octet_by_octet_gives_the_verdict(messages):
    asyncio.get_running_loop().set_debug(False)  # one loop turn per octet
    replies = {}
    for message in messages:
        transport = await started()
        replies[message.name] = await drip(transport, message.data)
        await transport.close()

    assert replies == {message.name: message.tcp for message in messages}


async def drip(transport: SipTransport, data: bytes) -> str:
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client,
        udp_client(transport) as prober,
    ):
        client.setblocking(False)
        await loop.sock_connect(client, transport.address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in data:
            try:
                client.send(bytes((octet,)))
            except ConnectionError:
                break  # closed on us: the verdict is already on its way
            await turn(loop)
        await ask(prober, 1)
        await ask(prober, 2)  # two more rounds of the same loop: everything before has been handled
        try:
            reply = client.recv(65535)
        except (BlockingIOError, ConnectionError):
            return "none"
        return status_of(reply) if reply else "none"


async def turn(loop: asyncio.AbstractEventLoop) -> None:
    passed = loop.create_future()
    loop.call_soon(passed.set_result, None)
    await passed
