"""The guard in front of DTLS: datagrams from unvalidated sources never reach it.

aioice 0.13 hands every datagram that is not STUN to DTLS, whatever its source, through an unbounded queue: one DTLS
alert from a stranger ended the set-up of 5 of 5 calls. Here a datagram passes only if its (socket, source) belongs to
a candidate pair whose check has succeeded; DTLS queues up to 200; media is handed on at once, without a queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

QUEUE_LIMIT: Final = 200
_STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
_STUN_HEADER: Final = 20
_COMPONENT: Final = 1


class DatagramGuard:
    """Stands between the sockets of one aioice `Connection` and its queue. `counters`: what was dropped, by reason.

    `on_media` gets SRTP and SRTCP as they arrived; `on_alive` is called for each datagram of the validated peer.
    """

    def __init__(
        self, connection: Any, on_media: Callable[[bytes], None], on_alive: Callable[[], None]
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._connection = connection
        self._on_media = on_media
        self._on_alive = on_alive
        self._valid: set[tuple[int, str, int]] = set()
        # What aioice takes for data although it began like STUN: never from the peer.
        connection.data_received = self._refuse

    def stand_before(self) -> None:
        """Takes the place of each socket's receiver; called once, after gathering and before the answer leaves."""
        for protocol in self._connection._protocols:
            protocol.datagram_received = partial(
                self._received, protocol, protocol.datagram_received
            )

    def _refuse(self, data: bytes, component: int) -> None:
        self.counters["malformed_stun"] += 1

    def _received(
        self, protocol: Any, to_ice: Callable[[bytes, Any], None], data: bytes, source: Any
    ) -> None:
        if not data:
            self.counters["empty"] += 1  # a datagram without octets ends aiortc's reader
        elif data[0] < 4:
            if len(data) >= _STUN_HEADER and data[4:8] == _STUN_COOKIE:
                if (protocol.id, source[0], source[1]) in self._valid:
                    self._on_alive()
                to_ice(data, source)
            else:
                self.counters["malformed_stun"] += 1
        elif not self._validated(protocol, source):
            self.counters["unvalidated_source"] += 1
        else:
            self._on_alive()
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        if 127 < data[0] < 192:
            self._on_media(data)
        elif 19 < data[0] < 64:
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
