"""One stream to a peer: socket, TLS, framing, keep-alive, and the deadline of each of them."""

import asyncio
import socket
from collections import Counter
from dataclasses import replace
from typing import Final, Protocol

from telephony.sip.errors import TlsError
from telephony.sip.flow import Flow
from telephony.sip.stream import PONG, Framing, Ping, Pong, StreamTimes
from telephony.sip.tls import TlsLayer

_WRITE_LIMIT_BYTES: Final = 1 << 18
_READ_BYTES: Final = 1 << 16
_FLOWS_REMEMBERED: Final = 100


class Owner(Protocol):
    """What a connection needs of the transport."""

    @property
    def counters(self) -> Counter[str]: ...
    def message(self, data: bytes, connection: "Connection") -> None: ...
    def opened(self, connection: "Connection") -> None: ...
    def lost(self, connection: "Connection") -> None: ...


class Connection:
    """Made for a socket that is connected (theirs) or connecting (ours); tells its owner once that it is lost."""

    def __init__(
        self,
        owner: Owner,
        sock: socket.socket,
        flow: Flow,
        framer: Framing,
        times: StreamTimes,
        *,
        tls: TlsLayer | None = None,
        ours: bool,
    ) -> None:
        self.flow = flow
        self.carried: set[Flow] = {replace(flow, connection=0)}  # what asked for any connection
        self._owner = owner
        self._socket = sock
        self._framer = framer
        self._times = times
        self._tls = tls
        self._out = bytearray()
        self._connected = not ours
        self._ours = ours
        self._closing = False
        self._answers_pings = False
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._deadline: asyncio.TimerHandle | None = None  # opening, framing, pong: one at a time
        self._keepalive: asyncio.TimerHandle | None = None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ours:
            self._loop.add_writer(sock, self._writable)
        else:
            self._loop.add_reader(sock, self._readable)
        if ours or tls is not None or framer.partial:
            self._set_deadline(times.opening, "opening_timeout")
        self._keepalive = self._loop.call_later(times.keepalive, self._keep_alive)

    @property
    def peer(self) -> tuple[str, ...]:
        """Identities of the peer's certificate."""
        return self._tls.peer if self._tls is not None else ()

    @property
    def established(self) -> bool:
        return self._connected and (self._tls is None or self._tls.established)

    def write(self, message: bytes, flow: Flow | None = None) -> None:
        """Send a message; `flow`: the one it was addressed to, which fails with this connection."""
        if flow is not None and len(self.carried) < _FLOWS_REMEMBERED:
            self.carried.add(flow)
        self._put(self._framer.wrap(message))

    def close(self) -> None:
        """Idempotent. What is written and fits into the kernel's buffer still goes out."""
        if self._socket.fileno() < 0:
            return
        if self.established:
            self._say_goodbye()
        self._closing = True
        for handle in (self._deadline, self._keepalive):
            if handle is not None:
                handle.cancel()
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._loop.call_soon(self._owner.lost, self)

    def _say_goodbye(self) -> None:
        self._framer.close()
        self._push(self._framer.outgoing())
        if self._tls is not None:
            self._tls.close()
            self._out += self._tls.outgoing()
        try:
            self._socket.send(self._out)
        except OSError:
            return  # it is gone already, or reads nothing

    # ------------------------------------------------------------------ out

    def _put(self, data: bytes) -> None:
        """Octets above TLS: encrypted, queued, sent as far as possible."""
        if self._closing:
            return
        self._push(data)
        waiting = len(self._out) + (self._tls.waiting if self._tls is not None else 0)
        if waiting > _WRITE_LIMIT_BYTES:
            self._fail("slow_reader")
        elif self._connected:
            self._writable()

    def _push(self, data: bytes) -> None:
        if self._tls is None:
            self._out += data
        else:
            self._tls.write(data)
            self._out += self._tls.outgoing()

    def _writable(self) -> None:
        if not self._connected and not self._finish_connect():
            return
        try:
            sent = self._socket.send(self._out) if self._out else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._out[:sent]
        if self._out:
            self._loop.add_writer(self._socket, self._writable)
        else:
            self._loop.remove_writer(self._socket)
            if self._closing:
                self.close()

    def _finish_connect(self) -> bool:
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close()
            return False
        self._connected = True
        self._loop.add_reader(self._socket, self._readable)
        if self._tls is None:
            self._stop_deadline()
            self._owner.opened(self)
        else:
            self._tls.start()
            self._out += self._tls.outgoing()
        return True

    # ------------------------------------------------------------------ in

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._heard_at = self._loop.time()
        plain = data if self._tls is None else self._decrypted(data, self._tls)
        if plain:
            self._take(plain)

    def _decrypted(self, data: bytes, tls: TlsLayer) -> bytes:
        was_established = tls.established
        try:
            plain = tls.feed(data)
        except TlsError:
            self._owner.counters["tls_failed"] += not was_established
            self._out += tls.outgoing()  # the alert says why
            self._close_when_written()
            return b""
        if tls.established and not was_established:
            if not self._framer.partial:
                self._stop_deadline()
            self._owner.opened(self)
        self._out += tls.outgoing()
        if self._out:
            self._writable()
        return plain

    def _take(self, plain: bytes) -> None:
        items = self._framer.feed(plain)
        answer = self._framer.outgoing()
        if any(isinstance(item, Ping) for item in items):
            answer += self._framer.wrap(PONG)
        if answer:
            self._put(answer)
        for item in items:
            if isinstance(item, Pong):
                self._answers_pings = True
            elif not isinstance(item, Ping):
                self._owner.message(item, self)
        if self._framer.broken:
            self._close_when_written()
        elif self._closing:
            return
        elif not self._framer.partial:
            self._stop_deadline()
        elif items or self._deadline is None:  # another message than the one before
            self._stop_deadline()
            self._set_deadline(self._times.framing, "framing_timeout")

    def _close_when_written(self) -> None:
        self._closing = True
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._writable()

    # ------------------------------------------------------------------ deadlines

    def _set_deadline(self, seconds: float, reason: str) -> None:
        self._deadline = self._loop.call_later(seconds, self._fail, reason)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _fail(self, reason: str) -> None:
        self._owner.counters[reason] += 1
        self.close()

    def _keep_alive(self) -> None:
        """Our connections, and browsers', which sit behind NAT, are kept open; other silent ones are given up."""
        self._keepalive = self._loop.call_later(self._times.keepalive, self._keep_alive)
        if not self._ours and self.flow.transport in ("tcp", "tls"):
            if self._loop.time() - self._heard_at > self._times.idle:
                self._fail("idle_connection")
        elif self.established and self._deadline is None:
            self._put(self._framer.ping())
            if self._answers_pings and not self._closing:
                self._set_deadline(self._times.pong, "pong_timeout")
