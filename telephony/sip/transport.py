"""The sockets of SIP: UDP, TCP listener and outbound TCP, and the one timer that drives the engine.

The only module of `telephony.sip` with asyncio in it. No tasks: callbacks of one loop, in one thread.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import count
from typing import Final

from telephony.sip.engine import SipEngine
from telephony.sip.events import SipEvent
from telephony.sip.flow import Address, Flow, Transport
from telephony.sip.parser import Limits
from telephony.sip.source_guard import SourceGuard
from telephony.sip.stream import PONG, Ping, StreamFramer
from telephony.sip.uri import ip_literal

_BIND_ATTEMPTS: Final = 10
_BACKLOG: Final = 128
_WRITE_LIMIT_BYTES: Final = 1 << 18
_READ_BYTES: Final = 1 << 16
_ROUTES_REMEMBERED: Final = 1000
_DSCP_CS3: Final = 24 << 2  # RFC 4594 4.2: signalling


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """`bind` (an IP address): port 0 takes a free port, the same one for UDP and TCP."""

    bind: Address = ("127.0.0.1", 5060)
    guard: SourceGuard = field(default_factory=SourceGuard)
    limits: Limits = field(default_factory=Limits)
    framing_timeout: float = 10.0
    connect_timeout: float = 5.0
    max_connections: int = 1000


class SipTransport:
    """Owns sockets and timer of one engine; hands each event to `on_event`, in order."""

    def __init__(
        self, engine: SipEngine, on_event: Callable[[SipEvent], None], settings: TransportSettings
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.address: Address = settings.bind
        self._on_event = on_event
        self._is_wildcard = ip_address(settings.bind[0]).is_unspecified
        self._routes: dict[str, str] = {}
        self._events: deque[SipEvent] = deque()
        self._udp: asyncio.DatagramTransport | None = None
        self._listener: socket.socket | None = None
        self._connections: dict[int, _Connection] = {}
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._closed: asyncio.Event | None = None

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Bind both sockets.

        Raises:
            OSError: the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self._listener, udp = _bind_pair(self.settings.bind)
        self.address = self._listener.getsockname()[:2]
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._listener.listen(_BACKLOG)
        loop.add_reader(self._listener, self._accept)
        self.flush()

    async def close(self) -> None:
        """Send what is waiting, close everything; safe to repeat."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections.values()):
            connection.close()
        if self._udp is not None:
            self._closed = asyncio.Event()
            self._udp.close()
            await self._closed.wait()
            self._udp = None

    def udp_closed(self) -> None:
        if self._closed is not None:
            self._closed.set()

    # ------------------------------------------------------------------ the gateway's side

    def now(self) -> float:
        """The clock of the engine: the loop's."""
        return asyncio.get_running_loop().time()

    def flow(self, transport: Transport, host: str, port: int) -> Flow:
        """The way to an IP address."""
        return Flow(transport, self._local_for(host), (host, port))

    def _local_for(self, host: str) -> Address:
        """Our address as `host` sees it: on a wildcard socket, the one the route to it leaves by."""
        if not self._is_wildcard:
            return self.address
        if host not in self._routes:
            if len(self._routes) >= _ROUTES_REMEMBERED:
                self._routes.clear()
            self._routes[host] = _route_source(host, self.address[0])
        return (self._routes[host], self.address[1])

    def flush(self) -> None:
        """Hand on events, send what is waiting, set the timer. Call it after using a verb of a session."""
        if self._flushing:
            return
        self._flushing = True
        try:
            self._drain()
        finally:
            self._flushing = False
            self._arm()

    def _drain(self) -> None:
        while True:
            self._events.extend(self.engine.events())
            outgoing = self.engine.to_send()
            for flow, data in outgoing:
                self._send(flow, data)
            if self._events:
                self._on_event(self._events.popleft())
            elif not outgoing:
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        at = loop.time() if self._events else self.engine.next_timer()
        if at is not None and self._listener is not None:
            self._timer = loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self.engine.timer(self.now())
        self.flush()

    # ------------------------------------------------------------------ in

    def receive(self, data: bytes, flow: Flow) -> None:
        """One datagram from a source that was admitted, or one framed message."""
        self.engine.receive(data, flow, self.now())
        self.flush()

    def datagram(self, data: bytes, source: Address) -> None:
        if self.settings.guard.admit(source[0], self.now()):
            self.receive(data, Flow("udp", self._local_for(source[0]), source))

    def _accept(self) -> None:
        if self._listener is None:
            return
        with contextlib.suppress(OSError):  # the peer went away between SYN and accept
            sock, source = self._listener.accept()
            full = len(self._connections) >= self.settings.max_connections
            if full or not self.settings.guard.admit(source[0], self.now()):
                sock.close()
                return
            self._open(sock, source[:2], connected=True)

    def _open(self, sock: socket.socket, remote: Address, *, connected: bool) -> "_Connection":
        flow = Flow("tcp", self._local_for(remote[0]), remote, next(self._numbers))
        connection = _Connection(self, sock, flow, connected=connected)
        self._connections[flow.connection] = connection
        return connection

    # ------------------------------------------------------------------ out

    def _send(self, flow: Flow, data: bytes) -> None:
        if flow.transport == "udp":
            if self._udp is not None:
                self._udp.sendto(data, flow.remote)
            return
        connection = self._connections.get(flow.connection) or self._connection_to(flow.remote)
        if connection is not None:
            connection.write(data)
        else:
            self.engine.failed(flow, self.now())

    def _connection_to(self, remote: Address) -> "_Connection | None":
        for connection in self._connections.values():
            if connection.flow.remote == remote:
                return connection
        family = socket.AF_INET6 if ":" in remote[0] else socket.AF_INET
        sock = _open_socket(family, socket.SOCK_STREAM)
        try:
            sock.connect_ex(remote)  # the outcome comes with the first writable event
        except OSError:
            sock.close()
            return None
        return self._open(sock, remote, connected=False)

    def connection_lost(self, flow: Flow) -> None:
        """A connection is gone: whatever waits on it, or on its address without a connection, has failed."""
        self._connections.pop(flow.connection, None)
        now = self.now()
        self.engine.failed(flow, now)
        self.engine.failed(Flow(flow.transport, flow.local, flow.remote), now)
        self.flush()


class _Datagrams(asyncio.DatagramProtocol):
    """Ties the UDP socket to its `SipTransport`."""

    def __init__(self, owner: SipTransport) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._owner.datagram(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        # ICMP errors name no transaction; retransmission and Timer B or F deal with them.
        self._owner.engine.counters["icmp_error"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.udp_closed()


class _Connection:
    """One TCP connection, ours or theirs: framing, ping, write buffer, timeouts."""

    def __init__(
        self, owner: SipTransport, sock: socket.socket, flow: Flow, *, connected: bool
    ) -> None:
        self.flow = flow
        self._owner = owner
        self._sock = sock
        self._framer = StreamFramer(owner.settings.limits)
        self._out = bytearray()
        self._connected = connected
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._timeout: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connected:
            self._loop.add_reader(sock, self._readable)
        else:
            self._loop.add_writer(sock, self._writable)
            self._timeout = self._loop.call_later(owner.settings.connect_timeout, self.close)

    def write(self, data: bytes) -> None:
        if self._closing:
            return
        self._out += data
        if len(self._out) > _WRITE_LIMIT_BYTES:
            self._owner.engine.counters["slow_reader"] += 1
            self.close()
        elif self._connected:
            self._writable()

    def close(self) -> None:
        """Idempotent."""
        if self._sock.fileno() < 0:
            return
        self._closing = True
        self._stop_timeout()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._loop.call_soon(self._owner.connection_lost, self.flow)

    def _writable(self) -> None:
        if not self._connected and not self._finish_connect():
            return
        try:
            sent = self._sock.send(self._out) if self._out else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._out[:sent]
        if self._out:
            self._loop.add_writer(self._sock, self._writable)
        else:
            self._loop.remove_writer(self._sock)
            if self._closing:
                self.close()

    def _finish_connect(self) -> bool:
        if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close()
            return False
        self._connected = True
        self._stop_timeout()
        self._loop.add_reader(self._sock, self._readable)
        return True

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        for item in self._framer.feed(data):
            if isinstance(item, Ping):
                self.write(PONG)
            else:
                self._stop_timeout()
                self._receive(item)
        if self._framer.broken:
            self._close_when_written()
        elif self._framer.partial and self._timeout is None:
            wait = self._owner.settings.framing_timeout
            self._timeout = self._loop.call_later(wait, self._framing_timed_out)
        elif not self._framer.partial:
            self._stop_timeout()

    def _receive(self, message: bytes) -> None:
        if self._owner.settings.guard.admit(self.flow.remote[0], self._loop.time()):
            self._owner.receive(message, self.flow)

    def _framing_timed_out(self) -> None:
        self._owner.engine.counters["framing_timeout"] += 1
        self.close()

    def _close_when_written(self) -> None:
        self._closing = True
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._writable()

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None


def _route_source(host: str, wildcard: str) -> str:
    """The local address packets to `host` leave by; connecting a UDP socket sends nothing."""
    if ip_literal(host) is None:
        return wildcard  # connect() would ask DNS, and wait
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return wildcard
        address: str = probe.getsockname()[0]
        return address


def _open_socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_CS3)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_CS3)
    return sock


def _bind_pair(bind: Address) -> tuple[socket.socket, socket.socket]:
    """TCP and UDP sockets on the same port; with port 0, tried until one is free for both."""
    family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
    for attempt in range(_BIND_ATTEMPTS):
        tcp = _open_socket(family, socket.SOCK_STREAM)
        udp = _open_socket(family, socket.SOCK_DGRAM)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(bind)
            udp.bind(tcp.getsockname()[:2])
        except OSError:
            tcp.close()
            udp.close()
            if bind[1] or attempt == _BIND_ATTEMPTS - 1:
                raise
        else:
            return tcp, udp
    raise OSError("no port free for both UDP and TCP")
