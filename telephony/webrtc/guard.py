"""The guard in front of DTLS: datagrams from unvalidated sources never reach it.

aioice 0.13 hands every datagram that is not STUN to DTLS, whatever its source, through an unbounded queue: one DTLS
alert from a stranger ended the set-up of 5 of 5 calls. Here a datagram passes only if its (socket, source) belongs to
a candidate pair whose check has succeeded; DTLS queues up to 200; media is handed on at once, without a queue, unless
aiortc itself is to read it. The same rule stands in the kernel (`telephony.webrtc.socket_filter`), renewed whenever
another pair has succeeded: at nomination, and after an ICE restart. STUN comes from anyone, for that is how a peer is
found; once the call is up, few of a stranger's are read: each costs its digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from telephony.webrtc.socket_filter import Source, attach, drops, enlarge

QUEUE_LIMIT: Final = 200
LARGEST_DATAGRAM: Final = 4096
"""Octets; what is longer comes cut off, and fails its check: nothing of a call is longer than a network packet."""
STRANGERS_A_SECOND: Final = 50
"""STUN from elsewhere in a call that is up: a peer whose address changed needs two or three."""
_STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
_STUN_HEADER: Final = 20
_COMPONENT: Final = 1


class DatagramGuard:
    """Stands between the sockets of one aioice `Connection` and its queue. `counters`: what was dropped, by reason.

    `on_media` gets SRTP and SRTCP as they arrived (None: they queue for aiortc); `on_alive` is called for each datagram
    of the validated peer.
    """

    def __init__(
        self,
        connection: Any,
        on_media: Callable[[bytes], None] | None,
        on_alive: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._connection = connection
        self._on_media = on_media
        self._on_alive = on_alive
        self._now = now
        self.in_call = False
        """Set when the connection is up: strangers' STUN is limited from then on."""
        self._strangers = (0, 0)  # (second, STUN of theirs in it)
        self._valid: set[tuple[int, str, int]] = set()
        self._filtered: dict[int, frozenset[Source]] = {}
        self._check_state = connection.check_state
        connection.check_state = self._checked
        # What aioice takes for data although it began like STUN: never from the peer.
        connection.data_received = self._refuse

    def stand_before(self) -> None:
        """Takes the place of each socket's receiver; called once, after gathering and before the answer leaves."""
        for protocol in self._connection._protocols:
            protocol.datagram_received = partial(
                self._received, protocol, protocol.datagram_received
            )
            sock = _socket_of(protocol)
            if sock is not None:
                enlarge(sock)
                # asyncio asks for 256 KiB each time and gives back what was not used: up to 13 us a packet, not 1.
                protocol.transport.max_size = LARGEST_DATAGRAM
        self._renew()

    @property
    def below(self) -> bool:
        """The kernel filters as well, on every socket."""
        return len(self._filtered) == len(self._connection._protocols)

    def dropped(self) -> dict[str, int]:
        """Datagrams that were refused, by reason; `below`: in the kernel, a full receive buffer included."""
        sockets = map(_socket_of, self._connection._protocols)
        below = sum(drops(sock) for sock in sockets if sock is not None)
        return {**self.counters, "below": below}

    def _renew(self) -> None:
        """Lets the kernel pass what the peer may send now."""
        for protocol in self._connection._protocols:
            sources = frozenset(
                (str(pair.remote_addr[0]), int(pair.remote_addr[1]))
                for pair in self._connection._check_list
                if pair.protocol is protocol and pair.state is pair.State.SUCCEEDED
            )
            self._valid |= {(protocol.id, *source) for source in sources}
            if self._filtered.get(protocol.id) == sources:
                continue
            sock = _socket_of(protocol)
            if sock is not None and attach(sock, sources):
                self._filtered[protocol.id] = sources

    def _checked(self, pair: Any, state: Any) -> None:
        """A pair's check went on. Before anything else, that what its source sends next comes through."""
        self._check_state(pair, state)
        if state is pair.State.SUCCEEDED:
            self._renew()

    def _refuse(self, data: bytes, component: int) -> None:
        self.counters["malformed_stun"] += 1

    def _received(
        self, protocol: Any, to_ice: Callable[[bytes, Any], None], data: bytes, source: Any
    ) -> None:
        if not data:
            self.counters["empty"] += 1  # a datagram without octets ends aiortc's reader
        elif data[0] < 4:
            if len(data) < _STUN_HEADER or data[4:8] != _STUN_COOKIE:
                self.counters["malformed_stun"] += 1
            elif (protocol.id, source[0], source[1]) in self._valid:
                self._on_alive()
                to_ice(data, source)
            elif self._may_ask():
                to_ice(data, source)
            else:
                self.counters["stun_of_strangers"] += 1
        elif not self._validated(protocol, source):
            self.counters["unvalidated_source"] += 1
        else:
            self._on_alive()
            self._pass_on(data)

    def _may_ask(self) -> bool:
        if not self.in_call:
            return True
        second, count = int(self._now()), 1
        if second == self._strangers[0]:
            count += self._strangers[1]
        self._strangers = second, count
        return count <= STRANGERS_A_SECOND

    def _pass_on(self, data: bytes) -> None:
        media = 127 < data[0] < 192
        if media and self._on_media is not None:
            self._on_media(data)
        elif media or 19 < data[0] < 64:
            if self._connection._queue.qsize() < QUEUE_LIMIT:
                self._connection._queue.put_nowait((data, _COMPONENT))
            else:
                self.counters["queue_full"] += 1
        else:
            self.counters["unknown_protocol"] += 1

    def _validated(self, protocol: Any, source: Any) -> bool:
        key = (protocol.id, source[0], source[1])
        if key in self._valid:
            return True
        for pair in self._connection._check_list:
            if (
                pair.protocol is protocol
                and pair.state is pair.State.SUCCEEDED
                and pair.remote_addr == (source[0], source[1])
            ):
                self._valid.add(key)
                return True
        return False


def _socket_of(protocol: Any) -> Any:
    """None for a relay's: its datagrams come wrapped, from the relay."""
    return protocol.transport.get_extra_info("socket")
