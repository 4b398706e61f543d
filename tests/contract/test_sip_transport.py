"""The sockets: calls over loopback UDP and TCP, reuse of connections, timeouts, refusal of sources, close."""

import asyncio
import contextlib
import socket

import pytest

from telephony.sip.events import (
    Answered,
    IncomingInvite,
    InviteAcked,
    OptionsAnswered,
    Terminated,
)
from telephony.sip.session import EndKind
from telephony.sip.source_guard import SourceGuard
from telephony.sip.stream import StreamTimes
from telephony.sip.transport import SipTransport, TransportSettings
from tests.fakes.sip_end import End
from tests.ports import free_range
from tests.unit.sip_line import ANSWER

OPTIONS = (
    b"OPTIONS sip:gw.test SIP/2.0\r\nVia: SIP/2.0/TCP a.test;branch=z9hG4bK%d\r\nFrom: <sip:a.test>;tag=1\r\n"
    b"To: <sip:gw.test>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


async def open_tcp(end: End) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*end.transport.address)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_from_invite_to_bye(ends, transport):
    caller, called = await ends(), await ends()

    session = caller.call(called, transport)
    answered = await caller.next(Answered)
    session.bye(caller.transport.now())
    caller.transport.flush()
    ended = await called.next(Terminated)

    assert answered.sdp == ANSWER
    assert ended.cause.kind is EndKind.REMOTE


async def test_the_called_side_ends_a_tcp_call_over_the_connection_it_came_by(ends):
    caller, called = await ends(), await ends()
    caller.call(called, "tcp")
    session = (await called.next(IncomingInvite)).session
    await caller.next(Answered)
    await called.next(object)

    session.bye(called.transport.now())
    called.transport.flush()

    assert (await caller.next(Terminated)).cause.kind is EndKind.REMOTE
    assert len(called.transport._streams) == 1


async def test_a_timer_of_the_engine_repeats_a_lost_request(ends):
    caller = await ends()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        host, port = silent.getsockname()
        caller.transport.engine.options(
            f"sip:{host}:{port}",
            from_="sip:us@127.0.0.1",
            flow=caller.transport.flow("udp", host, port),
            now=caller.transport.now(),
        )
        caller.transport.flush()

        first = await loop.sock_recv(silent, 9000)
        second = await asyncio.wait_for(loop.sock_recv(silent, 9000), 2)

    assert first == second


async def test_a_refused_connection_fails_the_request_with_503(ends):
    caller = await ends()
    host, port = "127.0.0.1", free_range(2)

    id = caller.transport.engine.options(
        f"sip:{host}:{port}",
        from_="sip:us@127.0.0.1",
        flow=caller.transport.flow("tcp", host, port),
        now=caller.transport.now(),
    )
    caller.transport.flush()

    assert await caller.next(OptionsAnswered) == OptionsAnswered(id, 503)


async def test_two_requests_share_one_connection(ends):
    caller, called = await ends(), await ends()

    caller.call(called, "tcp")
    caller.call(called, "tcp")
    await caller.next(Answered)
    await caller.next(Answered)

    assert len(called.transport._streams) == 1


async def test_ping_gets_pong_and_requests_in_one_segment_are_all_answered(ends):
    end = await ends()
    reader, writer = await open_tcp(end)

    writer.write(b"\r\n\r\n" + OPTIONS % (1, 1) + OPTIONS % (2, 2))
    pong = await reader.readexactly(2)
    first = await reader.readuntil(b"\r\n\r\n")
    second = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()

    assert pong == b"\r\n"
    assert (b"z9hG4bK1" in first, b"z9hG4bK2" in second) == (True, True)


async def test_a_message_that_never_ends_closes_the_connection(ends):
    end = await ends(times=StreamTimes(framing=0.05))
    reader, writer = await open_tcp(end)

    writer.write(OPTIONS.replace(b"Length: 0", b"Length: 99") % (1, 1) + b"v=0")
    rest = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    await writer.wait_closed()

    assert rest == b""
    assert end.transport.engine.counters["framing_timeout"] == 1


async def test_a_busy_stream_that_always_holds_half_a_message_stays_open(ends):
    end = await ends(times=StreamTimes(framing=0.2))
    reader, writer = await open_tcp(end)
    half = len(OPTIONS) // 2
    stream = b"".join(OPTIONS % (number, number) for number in range(6))
    size = len(stream) // 6

    for number in range(5):
        writer.write(stream[number * size + half * bool(number) : (number + 1) * size + half])
        await asyncio.sleep(0.08)
    writer.write(stream[5 * size + half :])
    replies = b""
    while replies.count(b"SIP/2.0 200 ") < 6:
        replies += await asyncio.wait_for(reader.read(9000), 2)
    writer.close()
    await writer.wait_closed()

    assert end.transport.engine.counters["framing_timeout"] == 0


async def test_a_frame_that_cannot_be_known_is_answered_and_the_connection_closed(ends):
    end = await ends()
    reader, writer = await open_tcp(end)

    writer.write(OPTIONS.replace(b"Length: 0", b"Length: -5") % (1, 1))
    reply = await asyncio.wait_for(reader.read(), 2)
    writer.close()
    await writer.wait_closed()

    assert reply.startswith(b"SIP/2.0 400 ")


async def test_an_unknown_source_gets_no_reply_and_no_connection(ends):
    guard = SourceGuard(table=lambda source: None)
    end, asker = await ends(guard=guard), await ends()
    reader, writer = await open_tcp(end)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(OPTIONS % (1, 1), end.transport.address)
        closed = await asyncio.wait_for(reader.read(), 2)
        asker.call(end, "udp")
        await end.until(lambda: guard.dropped["unknown_source"] == 3)
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(100)
    writer.close()
    await writer.wait_closed()

    assert closed == b""
    assert guard.dropped == {"unknown_source": 3}
    assert guard.networks == {"127.0.0.0/24": 3}


async def test_more_connections_than_allowed_are_closed(ends):
    end = await ends(max_connections=1)
    _, first = await open_tcp(end)
    reader, second = await open_tcp(end)

    assert await asyncio.wait_for(reader.read(), 2) == b""
    for writer in (first, second):
        writer.close()
        await writer.wait_closed()


async def test_a_peer_that_reads_nothing_is_cut_off(ends):
    end = await ends()
    _, writer = await open_tcp(end)
    await asyncio.sleep(0.02)
    [connection] = end.transport._streams._connections.values()

    connection.write(b"x" * (1 << 23))
    await asyncio.sleep(0.02)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()

    assert end.transport.engine.counters["slow_reader"] == 1
    assert len(end.transport._streams) == 0


async def test_an_event_handler_that_raises_loses_no_event(ends):
    caller, called = await ends(), await ends()
    failures = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: failures.append(context["exception"]))
    original = called.transport._on_event

    def failing(event):
        original(event)
        raise RuntimeError("handler")

    called.transport._on_event = failing
    session = caller.call(called, "udp")
    await caller.next(Answered)
    session.bye(caller.transport.now())
    caller.transport.flush()

    assert (await called.next(Terminated)).cause.kind is EndKind.REMOTE
    assert {str(failure) for failure in failures} == {"handler"}


async def test_close_frees_the_port_and_leaves_nothing_behind():
    before = asyncio.all_tasks()
    end = End()
    await end.transport.start()
    address = end.transport.address
    await end.transport.close()

    again = SipTransport(end.transport.engine, end.on_event, TransportSettings(address))
    await again.start()
    await again.close()

    assert asyncio.all_tasks() == before


async def test_a_taken_port_is_said_at_start(ends):
    end = await ends()
    other = SipTransport(
        end.transport.engine, end.on_event, TransportSettings(end.transport.address)
    )

    with pytest.raises(OSError, match="in use"):
        await other.start()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_on_a_wildcard_address_peers_are_told_the_one_they_reach(ends, transport):
    caller, called = await ends("0.0.0.0"), await ends("0.0.0.0")

    caller.call(called, transport)
    session = (await called.next(IncomingInvite)).session
    await caller.next(Answered)
    await called.next(InviteAcked)

    assert session.flow.local == ("127.0.0.1", called.transport.address[1])
    assert session.request.via.host == "127.0.0.1"


async def test_a_dead_tcp_peer_fails_what_waits_on_it(ends):
    caller = await ends()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()

    id = caller.transport.engine.options(
        f"sip:{host}:{port}",
        from_="sip:us@127.0.0.1",
        flow=caller.transport.flow("tcp", host, port),
        now=caller.transport.now(),
    )
    caller.transport.flush()
    told = await caller.next(OptionsAnswered)
    server.close()
    await server.wait_closed()

    assert told == OptionsAnswered(id, 503)


async def test_signalling_is_marked_cs3(ends):
    end = await ends()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(2)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        end.ask(end.transport.flow("udp", *peer.getsockname()))
        _, marks, _, _ = await asyncio.to_thread(peer.recvmsg, 2000, 100)

    assert [(kind, data[0]) for _, kind, data in marks] == [(socket.IP_TOS, 0x60)]


async def test_a_host_name_falls_back_to_the_wildcard(ends):
    end, sixth = await ends("0.0.0.0"), await ends("::")

    assert sixth.transport.flow("udp", "::1", 5060).local[0] == "::1"
    assert end.transport.flow("udp", "no-address.test", 5060).local[0] == "0.0.0.0"


async def test_a_fault_in_one_message_holds_up_no_other(ends, monkeypatch):
    end, other = await ends(), await ends()
    engine, flow = end.transport.engine, end.towards(other, "udp")

    def fail(*given):
        engine.options("sip:x.test", from_="sip:us@us.test", flow=flow, now=end.transport.now())
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(engine, "receive", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        end.transport.receive(b"", flow)
    monkeypatch.undo()

    assert engine.to_send() == []
    assert engine.next_timer() is not None
