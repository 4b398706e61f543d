"""Where the network or the machine is at its limit: descriptors, buffers, size, IPv6, scans."""

import asyncio
import os
import resource
import socket

import pytest

from telephony.sip.events import Answered, IncomingInvite, Terminated
from telephony.sip.session import EndKind
from telephony.sip.source_guard import GuardLimits, Source, SourceGuard
from telephony.sip.transport_sockets import DatagramSocket, bind_pairs, open_socket

LARGE = [("X-Large", "x" * 1500)]
REQUEST = (
    "{method} sip:{number}@gw.test SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{number}\r\n"
    "From: <sip:{number}@gw.test>;tag=1\r\nTo: <sip:{number}@gw.test>\r\nCall-ID: {number}\r\n"
    "CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class NoMoreFiles:
    """This process can open no descriptor while the block runs."""

    def __enter__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, not paths
        self._held = [os.dup(0) for _ in range(highest - len(os.listdir("/proc/self/fd")) + 2)]  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, self._limits[1]))
        try:
            while True:
                self._held.append(os.dup(0))
        except OSError:
            pass

    def __exit__(self, *error: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
        for held in self._held:
            os.close(held)


async def test_without_descriptors_a_request_fails_with_503_and_later_ones_do_not(ends):
    caller, called = await ends(), await ends()
    flow = caller.towards(called, "tcp")

    with NoMoreFiles():
        refused = await caller.asked(flow)
    later = await caller.asked(flow)

    assert (refused, later) == (503, 200)
    assert caller.counters["connect_failed"] == 1


async def test_without_descriptors_the_listener_pauses_instead_of_spinning(ends):
    end = await ends()
    client = socket.socket()
    client.setblocking(False)
    loop = asyncio.get_running_loop()

    with NoMoreFiles():
        await loop.sock_connect(client, end.transport.address)
        await end.until(lambda: end.counters["accept_paused"] == 1)
        await asyncio.sleep(0.1)
        tries = end.counters["accept_paused"]
    client.send(b"\r\n\r\n")
    pong = await asyncio.wait_for(loop.sock_recv(client, 10), 3)
    client.close()

    assert tries == 1
    assert pong == b"\r\n"


async def test_a_full_send_buffer_waits_in_a_bounded_queue(ends):
    end = await ends()
    received: list[bytes] = []
    full = FullSocket()
    udp = DatagramSocket(full, lambda data, source: received.append(data), end.transport.counters)

    sent = [udp.send(b"%d" % number, ("127.0.0.1", 9)) for number in range(1_500)]
    full.is_full = False
    await end.until(lambda: len(full.out) == 1_000)
    udp.send(b"next", ("127.0.0.1", 9))
    udp.close()

    assert all(sent)
    assert full.out[:2] == [b"0", b"1"]
    assert full.out[-1] == b"next"
    assert end.counters["udp_send_full"] == 500


class FullSocket(socket.socket):
    """UDP whose kernel buffer is full until it is not."""

    def __init__(self) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.setblocking(False)
        self.is_full = True
        self.out: list[bytes] = []

    def sendto(self, data, *address):
        if self.is_full:
            raise BlockingIOError(11, "full")
        self.out.append(data)
        return len(data)


async def test_a_datagram_that_cannot_go_anywhere_fails_its_request_at_once(ends):
    caller = await ends()

    status = await caller.asked(caller.transport.flow("udp", "127.255.255.255", 5060))  # broadcast

    assert status == 503
    assert caller.counters["udp_unsendable"] == 1


async def test_a_large_request_goes_by_tcp_and_the_call_stays_on_udp(ends):
    caller, called = await ends(), await ends()

    session = caller.call(called, "udp", headers=LARGE)
    incoming = (await called.next(IncomingInvite)).session
    await caller.next(Answered)
    session.bye(caller.transport.now())
    caller.transport.flush()

    assert incoming.flow.transport == "tcp"
    assert incoming.request.via.transport == "TCP"
    assert session.flow.transport == "udp"
    assert (await called.next(Terminated)).cause.kind is EndKind.REMOTE


async def test_a_large_request_to_a_peer_without_tcp_goes_by_udp_after_all(ends):
    caller = await ends()
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        flow = caller.transport.flow("udp", *peer.getsockname())
        began = caller.transport.now()
        for number in range(2):
            caller.transport.engine.invite(
                f"sip:{number}@peer.test", from_="sip:us@us.test", flow=flow, sdp=None,
                now=caller.transport.now(), headers=LARGE,
            )  # fmt: skip
            caller.transport.flush()
            data = await asyncio.wait_for(loop.sock_recv(peer, 9000), 2)
            assert data.startswith(b"INVITE sip:%d@" % number)
            assert b"\r\nVia: SIP/2.0/UDP " in data

    assert caller.transport.now() - began < 0.4  # no timer of SIP had to help
    assert caller.transport.counters["connect_failed"] == 0


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_over_ipv6(ends, transport):
    caller, called = await ends("::1"), await ends("::1")

    session = caller.call(called, transport)
    incoming = (await called.next(IncomingInvite)).session
    await caller.next(Answered)
    session.bye(caller.transport.now())
    caller.transport.flush()

    assert (await called.next(Terminated)).cause.kind is EndKind.REMOTE
    assert incoming.request.via.host == "[::1]"


async def test_via_received_is_a_bare_ipv6_address(ends):
    """RFC 5118 4.5: without the brackets, although the Via of the peer has another host."""
    end = await ends("::1")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.connect(end.transport.address)
        peer.setblocking(False)
        peer.send(
            REQUEST.format(method="OPTIONS", number=1)
            .replace("127.0.0.1:9", "[2001:db8::9:1]")
            .encode()
        )
        reply = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 2000), 2)

    assert b"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bK1;received=::1\r\n" in reply


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_dual_stack_socket_knows_ipv4_peers_by_their_ipv4_addresses(ends, transport):
    both, fourth = await ends("::"), await ends("127.0.0.1")
    port = both.transport.address[1]

    inward = await fourth.asked(fourth.transport.flow(transport, "127.0.0.1", port))
    outward = await both.asked(
        both.transport.flow(transport, "127.0.0.1", fourth.transport.address[1])
    )
    fourth.transport.engine.invite(
        "sip:x@y", from_="sip:us@us.test", sdp=None, now=fourth.transport.now(),
        flow=fourth.transport.flow(transport, "127.0.0.1", port),
    )  # fmt: skip
    fourth.transport.flush()
    session = (await both.next(IncomingInvite)).session

    assert (inward, outward) == (200, 200)
    assert session.flow.remote[0] == "127.0.0.1"
    assert session.flow.local[0] == "127.0.0.1"


async def scan(end, count: int) -> int:
    """Replies to REGISTER and OPTIONS for every number, as a scanner sends them."""
    replies = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as scanner:
        scanner.setblocking(False)
        scanner.connect(end.transport.address)
        for number in range(count):
            method = "REGISTER" if number % 2 else "OPTIONS"
            scanner.send(REQUEST.format(method=method, number=number).encode())
            if number % 50 == 49:
                await asyncio.sleep(0)
                replies += drained(scanner)
        await asyncio.sleep(0.05)
        return replies + drained(scanner)


def drained(sock: socket.socket) -> int:
    count = 0
    while True:
        try:
            sock.recv(2000)
        except BlockingIOError:
            return count
        count += 1


async def test_a_scan_of_ten_thousand_requests_from_an_unknown_source_gets_no_reply(ends):
    guard = SourceGuard(table=lambda source: None)
    end = await ends(guard=guard)
    asyncio.get_running_loop().set_debug(False)

    replies = await scan(end, 10_000)

    assert replies == 0
    assert guard.dropped == {"unknown_source": 10_000}
    assert guard.networks == {"127.0.0.0/24": 10_000}


async def test_a_scan_from_an_open_network_is_banned_after_a_few_refusals(ends):
    guard = SourceGuard(limits=GuardLimits(faults=10, window_s=60.0))
    end = await ends(guard=guard)

    replies = await scan(end, 400)

    assert replies <= 40  # ten refusals, the OPTIONS among them, and what was read in the same turn
    assert [ban.source for ban in guard.bans(end.transport.now())] == ["127.0.0.1"]


async def test_a_trunk_that_dials_wrong_numbers_is_heard_on(ends):
    guard = SourceGuard(table=lambda source: Source("trunk", bannable=False))
    end = await ends(guard=guard)

    assert await scan(end, 200) == 200
    assert guard.bans(end.transport.now()) == ()


async def test_one_source_cannot_take_all_connections(ends):
    end = await ends(max_connections=8)
    opened = [await asyncio.open_connection(*end.transport.address) for _ in range(4)]

    await end.until(lambda: end.counters["too_many_connections"] == 2)
    for _, writer in opened:
        writer.transport.abort()
    await end.until(lambda: len(end.transport._streams) == 0)

    assert end.transport._streams._sources == {}


def test_sockets_carry_the_mark_of_signalling_in_both_families():
    with (
        open_socket("127.0.0.1", socket.SOCK_STREAM) as fourth,
        open_socket("::1", socket.SOCK_DGRAM) as sixth,
    ):
        assert fourth.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x60
        assert sixth.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0x60


async def test_a_closed_transport_opens_no_connection_for_what_its_end_causes(ends):
    caller, called = await ends(), await ends()
    session = caller.call(called, "tcp")
    await caller.next(Answered)

    await caller.transport.close()
    session.bye(caller.transport.now())
    caller.transport.flush()
    ended = await caller.next(Terminated)

    assert ended.cause.kind is EndKind.LOCAL
    assert len(caller.transport._streams) <= 1  # the old one, until its loss was told
    await caller.until(lambda: len(caller.transport._streams) == 0)


async def test_a_large_request_that_was_answered_by_tcp_is_not_sent_again_when_the_connection_closes(
    ends,
):
    caller = await ends()
    [(tcp, udp)] = bind_pairs(("127.0.0.1", 0))
    heard = []

    async def refuse(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace(head.split(b"\r\n")[0], b"SIP/2.0 486 Busy Here", 1))
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    with udp:
        async with await asyncio.start_server(refuse, sock=tcp):
            flow = caller.transport.flow("udp", *udp.getsockname())
            caller.transport.engine.invite(
                "sip:desk@peer.test", from_="sip:us@us.test", flow=flow, sdp=None,
                now=caller.transport.now(), headers=LARGE,
            )  # fmt: skip
            caller.transport.flush()
            ended = await caller.next(Terminated)
            await caller.until(lambda: len(caller.transport._streams) == 0)
        with pytest.raises(BlockingIOError):
            udp.recv(9000)

    assert ended.cause.status == 486
    assert heard[0].startswith(b"ACK ")
