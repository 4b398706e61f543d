"""The pool of RTP sockets by `recvfrom` and `sendto`: all of IPv6, and IPv4 where `recvmmsg` is missing."""

from __future__ import annotations

import select
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.addresses import AddressBook, is_v6
from telephony.media.ports import Arrivals
from telephony.media.receive_loops import TRUNCATED
from telephony.media.sockets import RtcpSockets, bind_pairs

ROWS_PER_PORT: Final = 256
ROWS_PER_TURN: Final = 1024
"""3.5 us each: a flood takes no more than 3.5 ms of a sub-tick, which is 5; the kernel drops the rest."""


class PlainDatagrams:
    """`Datagrams` over any UDP sockets of one family, which is that of the address."""

    def __init__(
        self,
        bind_address: str,
        ports: tuple[int, ...],
        receive_buffer: int,
        addresses: AddressBook | None = None,
    ) -> None:
        self._addresses = addresses or AddressBook()
        pairs = bind_pairs(bind_address, ports, receive_buffer)
        self._sockets = [pair.rtp for pair in pairs]
        self._rtcp = RtcpSockets([pair.rtcp for pair in pairs], self._addresses)
        self.local_ports = tuple(sock.getsockname()[1] for sock in self._sockets)
        self.first_v6 = 0 if is_v6(bind_address) else len(pairs)
        self._turn = 0
        self._index = {sock.fileno(): index for index, sock in enumerate(self._sockets)}
        # Asks for 16 ports in 0.4 us where there is epoll, in 2.5 us where there is not.
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        for fd in self._index:
            self._poll.register(fd, select.POLLIN)

    def receive(self, into: Arrivals, filled: int = 0) -> int:
        """`filled`: rows that another pool has filled; the answer counts them too."""
        readable = self._poll.poll(0)
        self._turn += 1
        last = min(filled + ROWS_PER_TURN, into.rows)
        for at in range(len(readable)):
            index = self._index[readable[(at + self._turn) % len(readable)][0]]
            end = min(filled + ROWS_PER_PORT, last)
            filled = self._receive_port(index, into, filled, end)
        return filled

    def _receive_port(self, index: int, into: Arrivals, filled: int, end: int) -> int:
        sock, number = self._sockets[index], self._addresses.number
        for row in range(filled, end):
            try:
                data, (host, port, *_) = sock.recvfrom(into.ROW_BYTES + 1)
            except OSError:
                return row
            size = len(data)
            into.size[row] = size if size <= into.ROW_BYTES else TRUNCATED
            data = data[: into.ROW_BYTES]
            into.data[row, : len(data)] = np.frombuffer(data, np.uint8)
            into.port[row] = index
            into.address[row] = number(host)
            into.source_port[row] = port
            filled = row + 1
        return filled

    def receive_rtcp(self) -> list[tuple[int, bytes, int, int]]:
        return self._rtcp.receive()

    def send_rows(
        self,
        packets: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        rows: NDArray[np.int64],
        ports: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        remote_ports: NDArray[np.uint16],
    ) -> int:
        dropped = 0
        columns = zip(
            rows.tolist(), ports.tolist(), addresses.tolist(), remote_ports.tolist(), strict=True
        )
        for row, port, address, remote_port in columns:
            packet = packets[row, : sizes[row]].tobytes()
            dropped += not self.send_one(port, packet, address, remote_port, rtcp=False)
        return dropped

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> bool:
        if rtcp:
            self._rtcp.send(port, packet, address, remote_port)
            return True
        try:
            self._sockets[port].sendto(packet, (self._addresses.host(address), remote_port))
        except OSError:
            return False
        return True

    def close(self) -> None:
        if hasattr(self._poll, "close"):
            self._poll.close()
        self._rtcp.close()
        for sock in self._sockets:
            sock.close()
