"""The connections of one transport: listening, connecting, finding the one that already leads to a peer."""

import re
import socket
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, Protocol

from telephony.sip.errors import SipSyntaxError, TlsError
from telephony.sip.flow import Address, Flow, Transport
from telephony.sip.headers import find_param, parse_via
from telephony.sip.parser import Limits
from telephony.sip.source_guard import SourceGuard, unit_of
from telephony.sip.stream import Framing, StreamFramer, StreamTimes
from telephony.sip.tls import TlsContexts, TlsLayer, TlsSettings, is_for
from telephony.sip.transport_connection import Connection
from telephony.sip.transport_sockets import Listener, open_socket, wire_address
from telephony.sip.uri import ip_literal
from telephony.sip.websocket import WebSocketFramer

_SHARE_PER_SOURCE: Final = 0.25  # of all connections
_VIA: Final = re.compile(
    rb"^(?:Via|v)[ \t]*:[ \t]*([^\r\n,]*;alias[^\r\n,]*)", re.IGNORECASE | re.MULTILINE
)
_TLS_PORT: Final = 5061

_Way = tuple[Transport, Address]


class Owner(Protocol):
    """What the connections need of the transport."""

    @property
    def counters(self) -> Counter[str]: ...
    def now(self) -> float: ...
    def local_for(self, host: str, transport: Transport) -> Address: ...
    def receive(self, data: bytes, flow: Flow) -> None: ...
    def flows_failed(self, flows: Iterable[Flow], *, opened: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The part of `transport.TransportSettings` that concerns streams."""

    guard: SourceGuard
    limits: Limits
    times: StreamTimes
    max_connections: int
    tls: TlsSettings | None
    ws_origins: tuple[str, ...]


class Streams:
    """All connections, each under its number; those that lead somewhere also under where (RFC 5923)."""

    def __init__(self, owner: Owner, settings: StreamSettings) -> None:
        """Raises: OSError if a file of the TLS settings cannot be used."""
        self.counters = owner.counters
        self._owner = owner
        self._settings = settings
        self._contexts = TlsContexts(settings.tls)
        self._listeners: dict[tuple[Transport, bool], Listener] = {}
        self._connections: dict[int, Connection] = {}
        self._towards: dict[_Way, Connection] = {}
        self._sources: Counter[str] = Counter()
        self._numbers = count(1)
        self._closed = False

    def __len__(self) -> int:
        return len(self._connections)

    def listen(self, transport: Transport, sock: socket.socket, *, beside: bool = False) -> Address:
        """Serve this transport on a bound socket; `beside`: besides the one that it has, for IPv6."""

        def accepted(connected: socket.socket, source: Address) -> None:
            self._accept(transport, connected, source)

        self._listeners[transport, beside] = listener = Listener(sock, accepted, self.counters)
        return listener.address

    def listening(self, transport: Transport, *, beside: bool = False) -> Address | None:
        listener = self._listeners.get((transport, beside))
        return listener.address if listener is not None else None

    def close(self) -> None:
        """Idempotent; what ends a session because of it opens no connection any more."""
        self._closed = True
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}
        for connection in list(self._connections.values()):
            connection.close()

    # ------------------------------------------------------------------ out

    def send(self, flow: Flow, data: bytes, *, opening: float | None = None) -> bool:
        """By its own connection, one that leads there, or a new one. False: there is none and can be none.

        `opening`: seconds a new connection may take, if not those of the settings.
        """
        connection = self._connections.get(flow.connection) or self._find(flow)
        if connection is None:
            try:
                connection = self._connect(flow, opening)
            except (OSError, TlsError):  # no descriptor left, no route, no CA that can be read
                self.counters["connect_failed"] += 1
                return False
        if connection is not None:
            connection.write(data, flow)
        return connection is not None

    def _find(self, flow: Flow) -> Connection | None:
        connection = self._towards.get((flow.transport, flow.remote))
        if connection is None or flow.name in ("", connection.flow.name):
            return connection
        wildcards = self._contexts.wildcards
        return connection if is_for(flow.name, connection.peer, wildcards=wildcards) else None

    def _connect(self, flow: Flow, opening: float | None) -> Connection | None:
        if flow.transport not in ("tcp", "tls") or self._closed:
            return None  # a browser cannot be called back
        if len(self) >= self._settings.max_connections:
            return None
        tls: TlsLayer | None = None
        if flow.transport == "tls":
            tls = TlsLayer(self._contexts, flow.name or flow.remote[0])
        sock = open_socket(flow.remote[0], socket.SOCK_STREAM)
        try:
            sock.connect_ex(
                wire_address(flow.remote, sock.family)
            )  # the outcome comes when it is writable
        except OSError:
            sock.close()
            raise
        framer = StreamFramer(self._settings.limits)
        times = self._settings.times
        times = times if opening is None else replace(times, opening=min(opening, times.opening))
        connection = self._keep(
            Connection(self, sock, self._numbered(flow), framer, times, tls=tls, ours=True)
        )
        self._towards[flow.transport, flow.remote] = connection
        return connection

    def _numbered(self, flow: Flow) -> Flow:
        return replace(flow, connection=next(self._numbers))

    def _keep(self, connection: Connection) -> Connection:
        flow = connection.flow
        self._connections[flow.connection] = connection
        self._sources[unit_of(flow.remote[0])] += 1
        return connection

    # ------------------------------------------------------------------ in

    def _accept(self, transport: Transport, sock: socket.socket, source: Address) -> None:
        settings = self._settings
        if not settings.guard.admit(source[0], self._owner.now()):
            sock.close()
        elif not self._has_room(source[0]):
            self.counters["too_many_connections"] += 1
            sock.close()
        else:
            sock.setblocking(False)
            flow = Flow(transport, self._owner.local_for(source[0], transport), source)
            tls = TlsLayer(self._contexts, None) if flow.secure else None
            framer = self._framer(transport)
            flow = self._numbered(flow)
            self._keep(Connection(self, sock, flow, framer, settings.times, tls=tls, ours=False))

    def _has_room(self, source: str) -> bool:
        most = self._settings.max_connections
        share = max(1, int(most * _SHARE_PER_SOURCE))
        return len(self) < most and self._sources[unit_of(source)] < share

    def _framer(self, transport: Transport) -> Framing:
        if transport in ("ws", "wss"):
            return WebSocketFramer(self._settings.ws_origins, self._settings.limits)
        return StreamFramer(self._settings.limits)

    # ------------------------------------------------------------------ what connections tell

    def opened(self, connection: Connection) -> None:
        """A client that showed a certificate is known by it from now on."""
        if connection.peer and not connection.flow.name:
            connection.flow = replace(connection.flow, name=connection.peer[0])

    def message(self, data: bytes, connection: Connection) -> None:
        if self._settings.guard.admit(connection.flow.remote[0], self._owner.now()):
            if connection.flow.transport == "tls" and connection.peer:
                self._note_alias(data, connection)
            self._owner.receive(data, connection.flow)

    def lost(self, connection: Connection) -> None:
        flow = connection.flow
        self._connections.pop(flow.connection, None)
        unit = unit_of(flow.remote[0])
        self._sources[unit] -= 1
        if not self._sources[unit]:
            del self._sources[unit]
        for way in [way for way, kept in self._towards.items() if kept is connection]:
            del self._towards[way]
        self._owner.flows_failed((flow, *connection.carried), opened=connection.established)

    def _note_alias(self, data: bytes, connection: Connection) -> None:
        """`;alias` in the Via of a peer whose certificate was checked: its own port is reached by this connection too.

        RFC 5923 9.1. The address is the one seen, so that nobody is called but who is there.
        """
        found = _VIA.search(data)
        if found is None or data.startswith(b"SIP/2.0 "):
            return
        try:
            via = parse_via(found[1].decode("utf-8", "surrogateescape"))
        except SipSyntaxError:
            return  # the parser says what is wrong with it
        if find_param(via.params, "alias") is not None:
            literal = ip_literal(via.host)
            seen = connection.flow.remote[0]
            if literal in (None, seen):
                self._towards.setdefault(("tls", (seen, via.port or _TLS_PORT)), connection)
