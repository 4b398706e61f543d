"""The sockets under `transport`: opening and binding them, the UDP port, the listeners.

Callbacks of one loop, no tasks. A dual-stack socket (`::`) shows IPv4 peers by their IPv4 addresses.
"""

import asyncio
import errno
import socket
from collections import Counter, deque
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

from telephony.sip.flow import Address
from telephony.sip.uri import ip_literal

_BIND_ATTEMPTS: Final = 10
_BACKLOG: Final = 128
_DATAGRAM_BYTES: Final = 1 << 16
_DATAGRAMS_A_TURN: Final = 64  # then the loop serves others
_DATAGRAMS_WAITING: Final = 1000
_RECEIVE_BUFFER_BYTES: Final = 1 << 22
_ACCEPTS_A_TURN: Final = 32
_ACCEPT_PAUSE_S: Final = 1.0
_DSCP_CS3: Final = 24 << 2  # RFC 4594 4.2: signalling
_OUT_OF_RESOURCES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_FULL: Final = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS}


def open_socket(host: str, kind: socket.SocketKind) -> socket.socket:
    """A non-blocking socket of the host's family, marked as signalling. Raises: OSError, EMFILE among them."""
    is_v6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, kind)
    sock.setblocking(False)
    if is_v6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_CS3)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_CS3)
    return sock


def bind_listener(bind: Address, *, beside: bool = False) -> socket.socket:
    """A TCP socket on this address; `beside` one of IPv4, which `::` then leaves to it. Raises: OSError."""
    sock = open_socket(bind[0], socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _share_families(sock, bind[0], beside=beside)
        sock.bind(bind)
    except OSError:
        sock.close()
        raise
    return sock


Pair = tuple[socket.socket, socket.socket]


def bind_pairs(bind: Address, sixth: Address | None = None) -> list[Pair]:
    """TCP and UDP sockets on the same port, and on that of `sixth`, if there is one; its port 0 is that of `bind`.

    With port 0, tried until one is free for all. Raises: OSError.
    """
    for attempt in range(_BIND_ATTEMPTS):
        pairs: list[Pair] = []
        try:
            pairs.append(_bind_pair(bind))
            if sixth is not None:
                port = sixth[1] or pairs[0][0].getsockname()[1]
                pairs.append(_bind_pair((sixth[0], port), beside=True))
        except OSError:
            for sock in (sock for pair in pairs for sock in pair):
                sock.close()
            if bind[1] or attempt == _BIND_ATTEMPTS - 1:
                raise
        else:
            return pairs
    raise OSError("no port free for both UDP and TCP")


def _bind_pair(bind: Address, *, beside: bool = False) -> Pair:
    stream = bind_listener(bind, beside=beside)
    datagrams = open_socket(bind[0], socket.SOCK_DGRAM)
    try:
        _share_families(datagrams, bind[0], beside=beside)
        datagrams.bind(stream.getsockname()[:2])
    except OSError:
        stream.close()
        datagrams.close()
        raise
    return stream, datagrams


def _share_families(sock: socket.socket, host: str, *, beside: bool) -> None:
    if beside or host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(beside))


def seen_address(address: tuple[str, int]) -> Address:
    """Of a peer as the kernel shows it: without scope and flow, IPv4 as IPv4."""
    host = address[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host, address[1]


def wire_address(remote: Address, family: int) -> Address:
    """The other way: an IPv4 peer as a dual-stack socket must name it."""
    if family == socket.AF_INET6 and ":" not in remote[0]:
        return f"::ffff:{remote[0]}", remote[1]
    return remote


def route_source(host: str, wildcard: str) -> str:
    """The local address packets to `host` leave by; connecting a UDP socket sends nothing."""
    if ip_literal(host) is None:
        return wildcard  # connect() would ask DNS, and wait
    try:
        with socket.socket(
            socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
        ) as probe:
            probe.connect((host, 9))
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return wildcard


def reaches(bound: str, address: str) -> bool:
    """Can a socket bound to `bound` send to `address`?"""
    if bound == "::":
        return True
    return (":" in bound) == (":" in address) and not (
        ":" in address and IPv6Address(address).is_link_local
    )


class DatagramSocket:
    """The UDP port: reads in batches, and keeps a bounded queue for when the kernel takes no more."""

    def __init__(
        self,
        sock: socket.socket,
        received: Callable[[bytes, Address], None],
        counters: Counter[str],
    ) -> None:
        self._socket = sock
        self._received = received
        self._counters = counters
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._loop = asyncio.get_running_loop()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._loop.add_reader(sock, self._readable)

    def send(self, data: bytes, remote: Address) -> bool:
        """False: there is no way to this address at all. A full buffer is no failure: SIP repeats what is lost."""
        to = wire_address(remote, self._socket.family)
        if self._waiting:
            self._wait(data, to)
            return True
        return self._send_now(data, to)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _send_now(self, data: bytes, to: Address) -> bool:
        try:
            self._socket.sendto(data, to)
        except OSError as error:
            if error.errno not in _FULL:
                self._counters["udp_unsendable"] += 1
                return False
            self._wait(data, to)
        return True

    def _wait(self, data: bytes, to: Address) -> None:
        if len(self._waiting) >= _DATAGRAMS_WAITING:
            self._counters["udp_send_full"] += 1
            return
        if not self._waiting:
            self._loop.add_writer(self._socket, self._writable)
        self._waiting.append((data, to))

    def _writable(self) -> None:
        while self._waiting:
            data, to = self._waiting[0]
            try:
                self._socket.sendto(data, to)
            except OSError as error:
                if error.errno in _FULL:
                    return
                self._counters["udp_unsendable"] += 1
            self._waiting.popleft()
        self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            if self._socket.fileno() < 0:
                return  # closed by what the last datagram caused
            try:
                data, source = self._socket.recvfrom(_DATAGRAM_BYTES)
            except BlockingIOError:
                return
            except OSError:
                # ICMP errors name no transaction; retransmission and Timer B or F deal with them.
                self._counters["icmp_error"] += 1
                continue
            self._received(data, seen_address(source))


class Listener:
    """A TCP port. Out of descriptors it pauses: a listener left readable would spin the loop."""

    def __init__(
        self,
        sock: socket.socket,
        accepted: Callable[[socket.socket, Address], None],
        counters: Counter[str],
    ) -> None:
        self._socket = sock
        self._accepted = accepted
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self.address: Address = sock.getsockname()[:2]
        sock.listen(_BACKLOG)
        self._resume()

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                sock, source = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._counters["accept_paused"] += 1
                    self._loop.remove_reader(self._socket)
                    self._pause = self._loop.call_later(_ACCEPT_PAUSE_S, self._resume)
                    return
                continue  # the peer went away between SYN and accept
            self._accepted(sock, seen_address(source))
