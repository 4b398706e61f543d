"""SIP over WebSocket (RFC 7118) with another program's client: register-like requests, calls, refusals, limits."""

import asyncio
import ssl

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from telephony.sip.events import IncomingInvite, Terminated
from telephony.sip.parser import Limits
from telephony.sip.stream import StreamTimes
from telephony.sip.tls import TlsContexts, TlsLayer
from tests.fakes.certificates import Authority
from tests.fuzz.seeds import WEBSOCKET_UPGRADE

PAGE = Origin("https://desk.test")
SIP = [Subprotocol("sip")]
FREE = ("127.0.0.1", 0)


def url(end) -> str:
    host, port = end.transport.listening("ws")
    return f"ws://{host}:{port}"


def request(method: str, cseq: int, *more: str, body: str = "") -> str:
    """As JsSIP writes it: a Via host that nobody can resolve, and no Content-Length needed."""
    lines = [
        f"{method} sip:desk@gw.test SIP/2.0",
        f"Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK{method}{cseq}",
        "From: <sip:alice@gw.test>;tag=a", "To: <sip:desk@gw.test>", "Call-ID: ws", f"CSeq: {cseq} {method}",
        "Max-Forwards: 69", "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws>", *more, "", body,
    ]  # fmt: skip
    return "\r\n".join(lines)


async def next_text(client) -> str:
    received = await asyncio.wait_for(client.recv(), 3)
    return received if isinstance(received, str) else received.decode()


async def test_a_request_is_answered_on_the_socket_it_came_by(ends):
    end = await ends(ws_bind=FREE, ws_origins=(PAGE,))

    async with connect(url(end), subprotocols=SIP, origin=PAGE) as client:
        await client.send(request("OPTIONS", 1))
        reply = await next_text(client)
        subprotocol = client.subprotocol

    assert reply.startswith("SIP/2.0 200 ")
    assert ";received=127.0.0.1" in reply
    assert subprotocol == "sip"


async def test_a_browser_calls_and_is_hung_up_on(ends):
    end = await ends(ws_bind=FREE, ws_origins=(PAGE,))
    sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nm=audio 9 RTP/AVP 0\r\n"

    async with connect(url(end), subprotocols=SIP, origin=PAGE) as client:
        await client.send(request("INVITE", 1, "Content-Type: application/sdp", body=sdp))
        replies = [await next_text(client), await next_text(client)]
        session = (await end.next(IncomingInvite)).session
        tag = replies[1].split("\r\nTo: ")[1].split("\r\n")[0].split(";tag=")[1]
        ack = request("ACK", 1).replace(
            "To: <sip:desk@gw.test>", f"To: <sip:desk@gw.test>;tag={tag}"
        )
        await client.send(ack)
        await end.next(object)
        session.bye(end.transport.now())
        end.transport.flush()
        bye = await next_text(client)
        via = bye.split("\r\n")[1]
        await client.send(
            f"SIP/2.0 200 OK\r\n{via}\r\n"
            + "".join(
                f"{line}\r\n"
                for line in bye.split("\r\n")
                if line[:4] in ("From", "To: ", "Call", "CSeq")
            )
            + "\r\n"
        )
        await end.next(Terminated)

    assert [reply.split(" ")[1] for reply in replies] == ["100", "200"]
    assert session.flow.transport == "ws"
    assert bye.startswith("BYE sip:alice@df7jal23ls0d.invalid;transport=ws ")
    assert via.startswith("Via: SIP/2.0/WS ")


async def test_a_page_that_is_not_listed_is_refused(ends):
    end = await ends(ws_bind=FREE, ws_origins=(PAGE,))

    with pytest.raises(InvalidStatus, match="403"):
        async with connect(url(end), subprotocols=SIP, origin=Origin("https://elsewhere.test")):
            pass
    await end.until(lambda: len(end.transport._streams) == 0)


async def test_a_client_that_does_not_speak_sip_is_refused(ends):
    end = await ends(ws_bind=FREE)

    for offered in (None, [Subprotocol("chat")]):
        with pytest.raises(InvalidStatus, match="400"):
            async with connect(url(end), subprotocols=offered):
                pass


async def test_a_message_that_is_too_large_ends_the_connection(ends):
    end = await ends(ws_bind=FREE, limits=Limits(message_bytes=2000))

    async with connect(url(end), subprotocols=SIP) as client:
        await client.send("x" * 3000)
        with pytest.raises(ConnectionClosed, match="1009"):
            await next_text(client)
    await end.until(lambda: len(end.transport._streams) == 0)


async def test_plain_http_and_silence_are_given_up(ends):
    end = await ends(ws_bind=FREE, times=StreamTimes(opening=0.5))
    address = end.transport.listening("ws")
    answers = []

    for said in (b"GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b""):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(said)
        answers.append(await asyncio.wait_for(reader.read(), 2))
        writer.transport.abort()
        await asyncio.sleep(0)

    assert answers[0].startswith(b"HTTP/1.1 426 ")
    assert answers[2] == b""
    assert len(end.transport._streams) == 0


async def test_a_message_in_fragments_and_the_pings_of_both_sides(ends):
    end = await ends(ws_bind=FREE, times=StreamTimes(keepalive=0.03, pong=0.2))
    text = request("OPTIONS", 1)

    async with connect(url(end), subprotocols=SIP, ping_interval=None) as client:
        await client.send([text[:40], text[40:]])
        reply = await next_text(client)
        await (await client.ping())
        await client.send("\r\n\r\n")
        pong = await next_text(client)
        await asyncio.sleep(0.15)  # three of its pings, answered by the client's library
        await client.send(request("OPTIONS", 2))
        again = await next_text(client)

    assert reply.startswith("SIP/2.0 200 ")
    assert pong == "\r\n"
    assert again.startswith("SIP/2.0 200 ")
    assert end.counters["pong_timeout"] == 0


async def test_a_browser_that_is_gone_cannot_be_called_back(ends):
    end = await ends(ws_bind=FREE)

    assert await end.asked(end.transport.flow("ws", "127.0.0.1", 9)) == 503


async def test_octets_that_are_no_text_leave_as_a_binary_message(ends):
    end = await ends(ws_bind=FREE)

    async with connect(url(end), subprotocols=SIP) as client:
        odd = request("OPTIONS", 1).encode().replace(b"<sip:alice", b"\xff <sip:alice")
        await client.send(odd)
        reply = await asyncio.wait_for(client.recv(), 3)

    assert isinstance(reply, bytes)
    assert b"\xff" in reply


async def test_secure_websocket_where_there_is_a_certificate(ends, tmp_path):
    authority = Authority(tmp_path)
    end = await ends(ws_bind=FREE, tls=authority.settings("gw.test", "127.0.0.1"))
    host, port = end.transport.listening("wss")
    context = ssl.create_default_context(cafile=str(authority.file))

    async with connect(f"wss://{host}:{port}", subprotocols=SIP, ssl=context) as client:
        await client.send(request("OPTIONS", 1))
        reply = await next_text(client)

    assert reply.startswith("SIP/2.0 200 ")
    assert end.transport.listening("ws") is None


async def test_a_broken_record_ends_a_secure_connection(ends, tmp_path):
    authority = Authority(tmp_path)
    end = await ends(ws_bind=FREE, tls=authority.settings("gw.test"))
    layer = TlsLayer(TlsContexts(authority.settings("gw.test")), "gw.test")
    reader, writer = await asyncio.open_connection(*end.transport.listening("wss"))
    layer.start()
    layer.write(WEBSOCKET_UPGRADE.replace(b"Origin: https://desk.test\r\n", b""))
    answer = b""
    while b"101" not in answer:
        writer.write(layer.outgoing())
        answer += layer.feed(await asyncio.wait_for(reader.read(9000), 3))

    writer.write(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    await end.until(lambda: len(end.transport._streams) == 0)

    alert = await asyncio.wait_for(reader.read(), 3)
    writer.transport.abort()
    assert alert
