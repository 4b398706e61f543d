"""One contract for all pools of UDP ports: batched and plain, of both families; and one call through them."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from telephony.media import udp
from telephony.media.addresses import AddressBook
from telephony.media.commands import Enqueue, Listen, Remove, Route, StartRtp
from telephony.media.notices import Latched, Notice, PlayoutProgress, PlayoutState
from telephony.media.parameters import MediaSettings, RtpParameters
from telephony.media.plane import MediaPlane, open_datagrams
from telephony.media.ports import Arrivals, Datagrams
from telephony.media.udp_plain import PlainDatagrams
from telephony.rtp.packet import RtpPacket, build_packet
from tests.unit.media_line import RecordingTap, noise, on_the_wire

LOOPBACK = "127.0.0.1"
LOOPBACK_NUMBER = 0x7F000001
KINDS = [udp.MmsgDatagrams, PlainDatagrams]


@pytest.fixture(params=KINDS)
def pool(request: pytest.FixtureRequest) -> Iterator[Datagrams]:
    opened: Datagrams = request.param(LOOPBACK, (0, 0), 1 << 20)
    yield opened
    opened.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        sock.settimeout(2)
        yield sock


def receive(pool: Datagrams, count: int) -> Arrivals:
    """Loopback delivers before `sendto` returns; a few tries cover a busy machine."""
    arrivals = Arrivals(4096)
    for _ in range(100):
        if pool.receive(arrivals) == count:
            return arrivals
        select.select([], [], [], 0.01)
    raise AssertionError("datagrams did not arrive")


def test_rows_go_to_whichever_arrivals_are_given(pool: Datagrams, peer: socket.socket):
    for text in (b"one", b"two"):
        peer.sendto(text, (LOOPBACK, pool.local_ports[0]))
        assert receive(pool, 1).data[0, :3].tobytes() == text


def test_received_row_tells_port_source_and_size(pool: Datagrams, peer: socket.socket):
    peer.sendto(b"hello", (LOOPBACK, pool.local_ports[1]))
    arrivals = receive(pool, 1)
    assert arrivals.data[0, :5].tobytes() == b"hello"
    assert arrivals.size[0] == 5
    assert arrivals.port[0] == 1
    assert arrivals.address[0] == LOOPBACK_NUMBER
    assert arrivals.source_port[0] == peer.getsockname()[1]


def test_datagram_longer_than_a_row_is_marked_as_truncated(pool: Datagrams, peer: socket.socket):
    peer.sendto(bytes(Arrivals.ROW_BYTES), (LOOPBACK, pool.local_ports[0]))
    assert receive(pool, 1).size[0] == Arrivals.ROW_BYTES
    peer.sendto(bytes(Arrivals.ROW_BYTES + 1), (LOOPBACK, pool.local_ports[0]))
    assert receive(pool, 1).size[0] == -1


def test_nothing_waiting_is_no_rows(pool: Datagrams):
    assert pool.receive(Arrivals(16)) == 0


def test_rows_are_sent_from_their_ports(pool: Datagrams, peer: socket.socket):
    packets = np.arange(4 * 172, dtype=np.uint32).astype(np.uint8).reshape(4, 172)
    rows, ports = np.array([2, 0, 3]), np.array([0, 1, 1])
    remote_port = peer.getsockname()[1]
    addresses = np.full(3, LOOPBACK_NUMBER, np.uint32)
    sizes = np.array([172, 0, 100, 172])
    pool.send_rows(packets, sizes, rows, ports, addresses, np.full(3, remote_port, np.uint16))
    got = [peer.recvfrom(2000) for _ in range(3)]
    assert [data for data, _ in got] == [packets[row, : sizes[row]].tobytes() for row in (2, 0, 3)]
    sources = [source[1] for _, source in got]
    assert sources == [pool.local_ports[0], pool.local_ports[1], pool.local_ports[1]]


def test_row_that_cannot_be_sent_holds_back_no_other(pool: Datagrams, peer: socket.socket):
    packets = np.zeros((2, 172), np.uint8)
    addresses = np.array([LOOPBACK_NUMBER, LOOPBACK_NUMBER], np.uint32)
    remote_ports = np.array([0, peer.getsockname()[1]], np.uint16)
    rows, sizes = np.array([0, 1]), np.full(2, 172)
    dropped = pool.send_rows(packets, sizes, rows, np.array([0, 0]), addresses, remote_ports)
    assert len(peer.recv(2000)) == 172
    assert dropped == 1


def test_a_packet_that_cannot_be_sent_is_told(pool: Datagrams, peer: socket.socket):
    assert pool.send_one(0, b"audio", LOOPBACK_NUMBER, peer.getsockname()[1], rtcp=False)
    assert not pool.send_one(0, b"audio", LOOPBACK_NUMBER, 0, rtcp=False)


def test_what_could_not_be_sent_is_counted_over_both_families(
    both: Datagrams, addresses: AddressBook
):
    hosts = np.array([addresses.number(host) for host in (LOOPBACK, SIXTH, SIXTH)], np.uint32)
    packets, rows, ports = np.zeros((3, 172), np.uint8), np.arange(3), np.array([0, 2, 3])
    dropped = both.send_rows(packets, np.full(3, 172), rows, ports, hosts, np.zeros(3, np.uint16))
    assert dropped == 3


def test_reports_come_and_go_by_the_port_above(pool: Datagrams, peer: socket.socket):
    peer.sendto(b"report", (LOOPBACK, pool.local_ports[0] + 1))
    got: list[tuple[int, bytes, int, int]] = []
    for _ in range(100):
        got = pool.receive_rtcp()
        if got:
            break
        select.select([], [], [], 0.01)
    assert got == [(0, b"report", LOOPBACK_NUMBER, peer.getsockname()[1])]
    pool.send_one(0, b"answer", LOOPBACK_NUMBER, peer.getsockname()[1], rtcp=True)
    data, source = peer.recvfrom(2000)
    assert data == b"answer"
    assert source[1] == pool.local_ports[0] + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_is_taken_is_left_out(
    kind: Callable[..., Datagrams], peer: socket.socket, caplog: pytest.LogCaptureFixture
):
    taken = peer.getsockname()[1]
    with caplog.at_level("ERROR"):
        pool = kind(LOOPBACK, (0, taken, 0), 1 << 16)
    try:
        assert len(pool.local_ports) == 2
        assert taken not in pool.local_ports
    finally:
        pool.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_without_any_free_port_is_refused(
    kind: Callable[..., Datagrams], peer: socket.socket
):
    with pytest.raises(OSError, match="in use"):
        kind(LOOPBACK, (peer.getsockname()[1],), 1 << 16)


def test_rtp_leaves_with_expedited_forwarding(pool: Datagrams):
    sockets = pool._sockets  # type: ignore[attr-defined]
    marks = {sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) for sock in sockets}
    assert marks == {46 << 2}


async def test_a_call_over_real_sockets_and_the_real_thread(pool: Datagrams, peer: socket.socket):
    told: list[Notice] = []
    tap = RecordingTap()
    settings = MediaSettings(rtp_capacity=8, packet_capacity=4, voice_capacity=8)
    plane = MediaPlane(settings, datagrams=pool, tap=tap)
    plane.start(asyncio.get_running_loop(), told.extend)
    remote = peer.getsockname()
    slot, port = plane.reserve_rtp(remote)
    voice = plane.add_voice(8000)
    plane.apply(StartRtp(slot, RtpParameters(remote)), Listen(slot, True))
    plane.apply(Route(slot, ((voice, 1.0),)), Enqueue(voice, "1", noise(5).tobytes(), last=True))
    for number, frame in enumerate(noise(25).reshape(-1, 160)):
        packet = RtpPacket(0, number, 160 * number, 5, on_the_wire(frame))
        peer.sendto(build_packet(packet), (LOOPBACK, port))
        await asyncio.sleep(0.02)
    assert plane.alive
    plane.apply(Remove(slot))
    plane.stop()
    assert not plane.alive
    assert [n.source for n in told if isinstance(n, Latched)] == [remote]
    states = [n.state for n in told if isinstance(n, PlayoutProgress)]
    assert states[-1] is PlayoutState.DONE
    assert len(tap.of(slot)) >= 160 * 20
    assert peer.recvfrom(2000)[1][1] == port


# ------------------------------------------------------------------------------------------------- IPv6

SIXTH = "::1"


@pytest.fixture
def addresses() -> AddressBook:
    return AddressBook()


@pytest.fixture
def both(addresses: AddressBook) -> Iterator[Datagrams]:
    settings = MediaSettings(bind_v6=SIXTH, rtp_ports=(0, 0), receive_buffer_bytes=1 << 20)
    opened = open_datagrams(settings, addresses)
    yield opened
    opened.close()


@pytest.fixture
def sixth_peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind((SIXTH, 0))
        sock.settimeout(2)
        yield sock


def test_ports_of_ipv6_come_behind_those_of_ipv4(
    both: Datagrams, peer: socket.socket, sixth_peer: socket.socket, addresses: AddressBook
):
    assert (both.first_v6, len(both.local_ports)) == (2, 4)
    peer.sendto(b"four", (LOOPBACK, both.local_ports[1]))
    sixth_peer.sendto(b"sixsix", (SIXTH, both.local_ports[3]))
    arrivals = receive(both, 2)
    assert arrivals.port[:2].tolist() == [1, 3]
    assert arrivals.size[:2].tolist() == [4, 6]
    assert [addresses.host(int(number)) for number in arrivals.address[:2]] == [LOOPBACK, SIXTH]
    assert arrivals.source_port[1] == sixth_peer.getsockname()[1]


def test_rows_of_both_families_leave_from_their_ports(
    both: Datagrams, peer: socket.socket, sixth_peer: socket.socket, addresses: AddressBook
):
    packets = np.arange(3 * 172, dtype=np.uint32).astype(np.uint8).reshape(3, 172)
    places = (peer, sixth_peer, sixth_peer)
    hosts = np.array([addresses.number(h) for h in (LOOPBACK, SIXTH, SIXTH)], np.uint32)
    ports = np.array([sock.getsockname()[1] for sock in places], np.uint16)
    both.send_rows(
        packets, np.full(3, 172), np.array([2, 1, 0]), np.array([0, 2, 3]), hosts, ports
    )  # fmt: skip
    got = [sock.recvfrom(2000) for sock in places]
    assert [data for data, _ in got] == [packets[row].tobytes() for row in (2, 1, 0)]
    assert [source[1] for _, source in got] == [both.local_ports[at] for at in (0, 2, 3)]


def test_reports_of_ipv6_come_and_go_by_the_port_above(
    both: Datagrams, sixth_peer: socket.socket, addresses: AddressBook
):
    sixth_peer.sendto(b"report", (SIXTH, both.local_ports[2] + 1))
    got: list[tuple[int, bytes, int, int]] = []
    for _ in range(100):
        got = both.receive_rtcp()
        if got:
            break
        select.select([], [], [], 0.01)
    number = addresses.number(SIXTH)
    assert got == [(2, b"report", number, sixth_peer.getsockname()[1])]
    both.send_one(2, b"answer", number, sixth_peer.getsockname()[1], rtcp=True)
    data, source = sixth_peer.recvfrom(2000)
    assert (data, source[1]) == (b"answer", both.local_ports[2] + 1)


def test_a_datagram_of_ipv6_longer_than_a_row_is_marked_as_truncated(
    both: Datagrams, sixth_peer: socket.socket
):
    sixth_peer.sendto(bytes(Arrivals.ROW_BYTES + 1), (SIXTH, both.local_ports[2]))
    assert receive(both, 1).size[0] == -1


def test_rtp_over_ipv6_leaves_with_expedited_forwarding(
    both: Datagrams, sixth_peer: socket.socket, addresses: AddressBook
):
    sixth_peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
    to = addresses.number(SIXTH), sixth_peer.getsockname()[1]
    both.send_one(2, b"marked", *to, rtcp=False)
    _, ancillary, _, _ = sixth_peer.recvmsg(2000, socket.CMSG_SPACE(4))
    assert [data[0] for _, kind, data in ancillary if kind == socket.IPV6_TCLASS] == [46 << 2]


def test_a_flood_over_ipv6_takes_a_bounded_part_of_a_sub_tick(
    both: Datagrams, sixth_peer: socket.socket
):
    for _ in range(300):
        sixth_peer.sendto(b"flood", (SIXTH, both.local_ports[2]))
    sixth_peer.sendto(b"call", (SIXTH, both.local_ports[3]))
    arrivals = Arrivals(4096)
    counts = [both.receive(arrivals), both.receive(arrivals)]
    assert counts == [257, 44]


def test_a_pool_of_ipv6_alone():
    settings = MediaSettings(bind_address=SIXTH, rtp_ports=(0,))
    opened = open_datagrams(settings, AddressBook())
    assert opened.first_v6 == 0
    opened.close()
