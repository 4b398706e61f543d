"""The way of SIP messages: UDP, TCP, TLS and WebSocket, the one timer that drives the engine, and DNS.

With `transport_sockets`, `transport_connection` and `transport_dns` the only modules of `telephony.sip` that know
asyncio and sockets. No tasks: callbacks of one loop, in one thread.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from telephony.sip.engine import SipEngine
from telephony.sip.events import SipEvent
from telephony.sip.flow import Address, Flow, Transport
from telephony.sip.oversize import LargeRequests
from telephony.sip.parser import Limits
from telephony.sip.resolve import find_hops
from telephony.sip.source_guard import SourceGuard
from telephony.sip.stream import StreamTimes
from telephony.sip.suspicion import Suspicion
from telephony.sip.tls import TlsSettings
from telephony.sip.transport_dns import Resolver
from telephony.sip.transport_sockets import (
    DatagramSocket,
    bind_listener,
    bind_pairs,
    reaches,
    route_source,
)
from telephony.sip.transport_streams import Streams, StreamSettings
from telephony.sip.uri import parse_uri

_ROUTES_REMEMBERED: Final = 1000
_WILDCARDS: Final = ("0.0.0.0", "::")
_LARGE_CONNECT_S: Final = 2.0  # for a TCP connection that UDP can stand in for


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """`bind` (an IP address): port 0 takes a free port, the same one for UDP and TCP.

    `bind_v6`, `tls_bind_v6`: IPv6 addresses that serve the same as `bind` and `tls`; port 0 is the port of `bind`.
    `tls` serves TLS at its own address; without it TLS peers can still be called, without a certificate of ours.
    `ws_bind`: SIP over WebSocket, secure if `tls` is set; `ws_origins`: the pages whose browsers may connect.
    `nameservers`: asked instead of the system's.
    """

    bind: Address = ("127.0.0.1", 5060)
    bind_v6: Address | None = None
    tls_bind_v6: Address | None = None
    guard: SourceGuard = field(default_factory=SourceGuard)
    limits: Limits = field(default_factory=Limits)
    times: StreamTimes = field(default_factory=StreamTimes)
    max_connections: int = 1000
    tls: TlsSettings | None = None
    ws_bind: Address | None = None
    ws_origins: tuple[str, ...] = ()
    nameservers: tuple[Address, ...] = ()


class SipTransport:
    """Owns sockets and timer of one engine; hands each event to `on_event`, in order."""

    def __init__(
        self, engine: SipEngine, on_event: Callable[[SipEvent], None], settings: TransportSettings
    ) -> None:
        """Raises: OSError if a file of `settings.tls` cannot be used."""
        self.engine = engine
        self.settings = settings
        self.address: Address = settings.bind
        self._on_event = on_event
        self._address_v6: Address | None = None
        self._routes: dict[str, str] = {}
        self._events: deque[SipEvent] = deque()
        self._udp: DatagramSocket | None = None
        self._udp_v6: DatagramSocket | None = None
        self._streams = Streams(
            self,
            StreamSettings(
                settings.guard,
                settings.limits,
                settings.times,
                settings.max_connections,
                settings.tls,
                settings.ws_origins,
            ),
        )
        self._large = LargeRequests()
        self._suspicion = Suspicion(settings.guard, engine.counters)
        self._resolver: Resolver | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flushing = False

    @property
    def counters(self) -> Counter[str]:
        return self.engine.counters

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Bind all sockets.

        Raises:
            OSError: an address is taken or not ours.
        """
        settings = self.settings
        (stream, datagrams), *sixth = bind_pairs(settings.bind, settings.bind_v6)
        self._udp = DatagramSocket(datagrams, self.datagram, self.counters)
        self.address = self._streams.listen("tcp", stream)
        for stream, datagrams in sixth:
            self._udp_v6 = DatagramSocket(datagrams, self.datagram, self.counters)
            self._address_v6 = self._streams.listen("tcp", stream, beside=True)
        try:
            if settings.tls is not None and settings.tls_bind_v6 is not None:
                listener = bind_listener(settings.tls_bind_v6, beside=True)
                self._streams.listen("tls", listener, beside=True)
            if settings.tls is not None:
                self._streams.listen("tls", bind_listener(settings.tls.bind))
            if settings.ws_bind is not None:
                way: Transport = "ws" if settings.tls is None else "wss"
                self._streams.listen(way, bind_listener(settings.ws_bind))
        except OSError:
            await self.close()
            raise
        self.flush()

    async def close(self) -> None:
        """Send what is waiting, close everything; safe to repeat."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._streams.close()
        for udp in (self._udp, self._udp_v6):
            if udp is not None:
                udp.close()
        self._udp = self._udp_v6 = None

    def listening(self, transport: Transport, *, beside: bool = False) -> Address | None:
        """Where this transport is served; `beside`: at the IPv6 address beside the first one."""
        if transport != "udp":
            return self._streams.listening(transport, beside=beside)
        if self._udp is None:
            return None
        return self._address_v6 if beside else self.address

    # ------------------------------------------------------------------ the gateway's side

    def now(self) -> float:
        """The clock of the engine: the loop's."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def flow(self, transport: Transport, host: str, port: int, name: str = "") -> Flow:
        """The way to an IP address. `name`: whom its certificate must be for, if not for the address."""
        return Flow(transport, self.local_for(host, transport), (host, port), name=name)

    async def resolve(
        self, uri: str, *, transport: Transport | None = None, within: float = 3.0
    ) -> list[Flow]:
        """The ways to a SIP URI in the order to be tried (RFC 3263); empty if there is none, or no answer `within`.

        `transport`: above what the URI or DNS says. Raises: UriError.
        """
        target = parse_uri(uri)
        if target.scheme not in ("sip", "sips"):
            return []
        if self._resolver is None:
            probes = (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"))
            kinds = [kind for kind, probe in probes if self._reaches(probe)]
            self._resolver = Resolver(kinds, self.settings.nameservers)
        try:
            async with asyncio.timeout(within):
                hops = await find_hops(target, self._resolver, random.random, transport=transport)
        except TimeoutError:
            self.counters["dns_timeout"] += 1
            return []
        return [
            self.flow(hop.transport, hop.host, hop.port, hop.name if hop.transport == "tls" else "")
            for hop in hops
            if self._reaches(hop.host)
        ]

    def _reaches(self, host: str) -> bool:
        bound = (self.settings.bind, self.settings.bind_v6)
        return any(reaches(one[0], host) for one in bound if one is not None)

    def local_for(self, host: str, transport: Transport) -> Address:
        """Our address as `host` sees it: on a wildcard socket, the one the route to it leaves by."""
        beside = self._address_v6 is not None and ":" in host
        address = self._address_v6 if beside and self._address_v6 else self.address
        bound = self.listening(transport, beside=beside) or address
        if bound[0] not in _WILDCARDS:
            return bound
        if host not in self._routes:
            if len(self._routes) >= _ROUTES_REMEMBERED:
                self._routes.clear()
            self._routes[host] = route_source(host, bound[0])
        return (self._routes[host], bound[1])

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
        at = self.now() if self._events else self.engine.next_timer()
        timer = self._timer
        if timer is not None:
            if at is not None and timer.when() <= at:
                return  # most deadlines are taken back: too early a call costs less than one handle for each message
            timer.cancel()
            self._timer = None
        if at is not None and self._udp is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        try:
            self.engine.timer(self.now())
        finally:
            self.flush()  # a fault in one call must not stop the clock of all

    # ------------------------------------------------------------------ in

    def datagram(self, data: bytes, source: Address) -> None:
        if self.settings.guard.admit(source[0], self.now()):
            self.receive(data, Flow("udp", self.local_for(source[0], "udp"), source))

    def receive(self, data: bytes, flow: Flow) -> None:
        """One datagram or framed message from a source that was admitted."""
        now = self.now()
        self._suspicion.begin(flow.remote[0])
        try:
            self.engine.receive(data, flow, now)
        finally:
            self.flush()
            self._suspicion.end(now)

    # ------------------------------------------------------------------ out

    def _send(self, flow: Flow, data: bytes) -> None:
        now = self.now()
        self._suspicion.sending(data, flow.remote[0], now)
        if flow.transport != "udp":
            if not self._streams.send(flow, data):
                self.engine.failed(flow, now)
            return
        by_tcp = self._large.reroute(flow, data, now)
        if by_tcp is None:
            self._send_datagram(flow, data)
        elif by_tcp[1] and not self._streams.send(*by_tcp, opening=_LARGE_CONNECT_S):
            self._fall_back(by_tcp[0])

    def _send_datagram(self, flow: Flow, data: bytes) -> None:
        beside = self._udp_v6 is not None and ":" in flow.remote[0]
        udp = self._udp_v6 if beside else self._udp
        if udp is not None and not udp.send(data, flow.remote):
            self.engine.failed(flow, self.now())

    def _fall_back(self, flow: Flow) -> None:
        for by_udp, data in self._large.failed(flow.remote, self.now()):
            self._send_datagram(by_udp, data)

    def flows_failed(self, flows: Iterable[Flow], *, opened: bool) -> None:
        """A connection is gone, and with it whatever waits on it, or on its address without a connection.

        `opened`: there was one. Only a peer that takes no TCP gets a large request by UDP (RFC 3261 18.1.1).
        """
        now = self.now()
        for flow in flows:
            if flow.transport == "tcp" and opened:
                self._large.forget(flow.remote)
            elif flow.transport == "tcp":
                self._fall_back(flow)
            self.engine.failed(flow, now)
        self.flush()
