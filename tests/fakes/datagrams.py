"""UDP ports in memory for the media plane: what arrives is put there by the test, what was sent is a list."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telephony.media.addresses import AddressBook
from telephony.media.ports import Arrivals


@dataclass(frozen=True, slots=True)
class Sent:
    """One datagram that left."""

    local_port: int
    remote: tuple[str, int]
    data: bytes
    rtcp: bool = False


class MemoryDatagrams:
    """`Datagrams` without sockets; a port in `v6` is one of IPv6, and comes last."""

    def __init__(self, *local_ports: int, v6: tuple[int, ...] = ()) -> None:
        self._ports = (local_ports or (10000,)) + v6
        self.first_v6 = len(self._ports) - len(v6)
        self.addresses = AddressBook()
        self._waiting: deque[tuple[int, bytes, tuple[str, int]]] = deque()
        self._rtcp: deque[tuple[int, bytes, tuple[str, int]]] = deque()
        self.sent: list[Sent] = []
        self.closed = False
        self.refusing = False

    @property
    def local_ports(self) -> tuple[int, ...]:
        return self._ports

    def arrive(
        self, data: bytes, source: tuple[str, int], port: int = 10000, *, rtcp: bool = False
    ) -> None:
        queue = self._rtcp if rtcp else self._waiting
        queue.append((self._ports.index(port), data, source))

    def receive(self, into: Arrivals) -> int:
        filled = 0
        while self._waiting and filled < into.rows:
            index, data, (host, port) = self._waiting.popleft()
            kept = data[: into.ROW_BYTES]
            into.data[filled, : len(kept)] = np.frombuffer(kept, np.uint8)
            into.size[filled] = len(data) if len(data) <= into.ROW_BYTES else -1
            into.port[filled] = index
            into.address[filled] = self.addresses.number(host)
            into.source_port[filled] = port
            filled += 1
        return filled

    def receive_rtcp(self) -> list[tuple[int, bytes, int, int]]:
        number = self.addresses.number
        taken = [(i, data, number(host), port) for i, data, (host, port) in self._rtcp]
        self._rtcp.clear()
        return taken

    def send_rows(
        self,
        packets: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        rows: NDArray[np.int64],
        ports: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        remote_ports: NDArray[np.uint16],
    ) -> int:
        left = [
            self.send_one(
                int(ports[at]),
                packets[row, : sizes[row]].tobytes(),
                int(addresses[at]),
                int(remote_ports[at]),
                rtcp=False,
            )
            for at, row in enumerate(rows.tolist())
        ]
        return left.count(False)

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> bool:
        if self.refusing:
            return False
        remote = (self.addresses.host(address), remote_port)
        self.sent.append(Sent(self._ports[port], remote, packet, rtcp))
        return True

    def close(self) -> None:
        self.closed = True
