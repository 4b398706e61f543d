"""The pool of RTP sockets by `recvfrom` and `sendto`, where `recvmmsg` is missing: correct, for fewer calls."""

from __future__ import annotations

import socket
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.ports import Arrivals
from telephony.media.sockets import RtcpSockets, bind_pairs

ROWS_PER_PORT: Final = 1024


class PlainDatagrams:
    """`Datagrams` over any UDP sockets."""

    def __init__(self, bind_address: str, ports: tuple[int, ...], receive_buffer: int) -> None:
        pairs = bind_pairs(bind_address, ports, receive_buffer)
        self._sockets = [pair.rtp for pair in pairs]
        self._rtcp = RtcpSockets([pair.rtcp for pair in pairs])
        self.local_ports = tuple(sock.getsockname()[1] for sock in self._sockets)
        self.dropped_sends = 0
        self._turn = 0

    def receive(self, into: Arrivals) -> int:
        filled = 0
        self._turn += 1
        for at in range(len(self._sockets)):
            index = (at + self._turn) % len(self._sockets)
            filled = self._receive_port(index, into, filled)
        return filled

    def _receive_port(self, index: int, into: Arrivals, filled: int) -> int:
        sock = self._sockets[index]
        for row in range(filled, min(filled + ROWS_PER_PORT, into.rows)):
            try:
                data, (host, port) = sock.recvfrom(into.ROW_BYTES + 1)
            except OSError:
                return row
            whole = len(data) <= into.ROW_BYTES
            into.size[row] = len(data) if whole else -1
            data = data[: into.ROW_BYTES]
            into.data[row, : len(data)] = np.frombuffer(data, np.uint8)
            into.port[row] = index
            into.address[row] = int.from_bytes(socket.inet_aton(host), "big")
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
    ) -> None:
        columns = zip(
            rows.tolist(), ports.tolist(), addresses.tolist(), remote_ports.tolist(), strict=True
        )
        for row, port, address, remote_port in columns:
            packet = packets[row, : sizes[row]].tobytes()
            self.send_one(port, packet, address, remote_port, rtcp=False)

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> None:
        if rtcp:
            self._rtcp.send(port, packet, address, remote_port)
            return
        try:
            host = socket.inet_ntoa(address.to_bytes(4, "big"))
            self._sockets[port].sendto(packet, (host, remote_port))
        except OSError:
            self.dropped_sends += 1

    def close(self) -> None:
        self._rtcp.close()
        for sock in self._sockets:
            sock.close()
