"""One pool out of two: ports of IPv4, and behind them ports of IPv6, whose calls find their places in the same arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media.ports import Arrivals, Datagrams
from telephony.media.udp_plain import PlainDatagrams


class JoinedDatagrams:
    """`Datagrams` over both families. Indexes of ports from `first_v6` on are those of `sixth`."""

    def __init__(self, fourth: Datagrams, sixth: PlainDatagrams) -> None:
        self._fourth = fourth
        self._sixth = sixth
        self.first_v6 = len(fourth.local_ports)
        self.local_ports = (*fourth.local_ports, *sixth.local_ports)

    def receive(self, into: Arrivals) -> int:
        first = self._fourth.receive(into)
        filled = self._sixth.receive(into, first)
        into.port[first:filled] += self.first_v6
        return filled

    def receive_rtcp(self) -> list[tuple[int, bytes, int, int]]:
        got = self._fourth.receive_rtcp()
        for port, datagram, address, source_port in self._sixth.receive_rtcp():
            got.append((self.first_v6 + port, datagram, address, source_port))
        return got

    def send_rows(
        self,
        packets: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        rows: NDArray[np.int64],
        ports: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        remote_ports: NDArray[np.uint16],
    ) -> int:
        cut, dropped = len(ports), 0
        if cut and ports[-1] >= self.first_v6:
            cut = int(np.searchsorted(ports, self.first_v6))
            later = slice(cut, None)
            dropped = self._sixth.send_rows(
                packets, sizes, rows[later], ports[later] - self.first_v6,
                addresses[later], remote_ports[later],
            )  # fmt: skip
        if cut:
            dropped += self._fourth.send_rows(
                packets, sizes, rows[:cut], ports[:cut], addresses[:cut], remote_ports[:cut]
            )
        return dropped

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> bool:
        if port < self.first_v6:
            return self._fourth.send_one(port, packet, address, remote_port, rtcp=rtcp)
        port -= self.first_v6
        return self._sixth.send_one(port, packet, address, remote_port, rtcp=rtcp)

    def close(self) -> None:
        self._fourth.close()
        self._sixth.close()
