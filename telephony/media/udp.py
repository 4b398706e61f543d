"""The pool of RTP sockets: one `recvmmsg` and one `sendmmsg` per port and sub-tick, called through ctypes.

Called by the plane's thread only. The calls keep the GIL (`PyDLL`): they never wait, and beside a CPU-bound thread
getting the GIL back costs more than the call. Without these calls: `telephony.media.udp_plain`.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import receive_loops, send_loops
from telephony.media.addresses import AddressBook
from telephony.media.ports import Arrivals
from telephony.media.sockets import RtcpSockets, bind_pairs

ROWS_PER_PORT: Final = 1024
_MESSAGE: Final = np.dtype(
    [
        ("name", np.uint64),
        ("name_bytes", np.uint32),
        ("_1", np.uint32),
        ("iov", np.uint64),
        ("iovs", np.uint64),
        ("control", np.uint64),
        ("control_bytes", np.uint64),
        ("flags", np.int32),
        ("_2", np.uint32),
        ("length", np.uint32),
        ("_3", np.uint32),
    ]
)
"""`struct mmsghdr` of 64-bit Linux."""
_MESSAGE_BYTES: Final = _MESSAGE.itemsize
_IOVEC: Final = np.dtype([("base", np.uint64), ("bytes", np.uint64)])
_ADDRESS: Final = np.dtype(
    [("family", np.uint16), ("port", ">u2"), ("address", ">u4"), ("_1", np.uint64)]
)
_FULL: Final = (errno.EAGAIN, errno.ENOBUFS)


def available() -> bool:
    """64-bit Linux with both calls in its C library."""
    library = ctypes.PyDLL(None)
    fits = ctypes.sizeof(ctypes.c_void_p) == 8 and hasattr(select, "epoll")
    return fits and hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")


class _Rows:
    """Message headers, buffers' addresses and socket addresses of up to `rows` datagrams."""

    def __init__(self, rows: int) -> None:
        self.messages = np.zeros(rows, _MESSAGE)
        self.iovecs = np.zeros(rows, _IOVEC)
        self.names = np.zeros(rows, _ADDRESS)
        each = np.arange(rows, dtype=np.uint64)
        self.vectors = self.iovecs.view(np.uint64).reshape(rows, -1)
        self.messages["name"] = self.names.ctypes.data + each * _ADDRESS.itemsize
        self.messages["name_bytes"] = _ADDRESS.itemsize
        self.messages["iov"] = self.iovecs.ctypes.data + each * _IOVEC.itemsize
        self.messages["iovs"] = 1
        self.names["family"] = socket.AF_INET
        self.words = self.messages.view(np.uint32).reshape(rows, -1)
        self.octets = self.names.view(np.uint8).reshape(rows, -1)
        self.first_message = int(self.messages.ctypes.data)


class MmsgDatagrams:
    """`Datagrams` over Linux sockets."""

    def __init__(self, bind_address: str, ports: tuple[int, ...], receive_buffer: int) -> None:
        pairs = bind_pairs(bind_address, ports, receive_buffer)
        self._sockets = [pair.rtp for pair in pairs]
        self._rtcp = RtcpSockets([pair.rtcp for pair in pairs], AddressBook())
        self.local_ports = tuple(sock.getsockname()[1] for sock in self._sockets)
        self.first_v6 = len(pairs)
        self._fds = [sock.fileno() for sock in self._sockets]
        self._index = {fd: i for i, fd in enumerate(self._fds)}
        self._poll = select.epoll()
        for fd in self._fds:
            self._poll.register(fd, select.EPOLLIN)
        library: Any = ctypes.PyDLL(None, use_errno=True)
        self._recvmmsg, self._sendmmsg = library.recvmmsg, library.sendmmsg
        for call in (self._recvmmsg, self._sendmmsg):
            call.restype = ctypes.c_int
        self._recvmmsg.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        self._sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
        self._in: _Rows | None = None
        self._into: Arrivals | None = None
        # Of the ports in the order in which they were read: where the rows of each end, and its index.
        self._ends = np.zeros(len(pairs), np.int64)
        self._parts = np.zeros(len(pairs), np.int64)
        self._out = _Rows(ROWS_PER_PORT)
        self._packets: NDArray[np.uint8] | None = None
        self._packets_at = 0
        self._turn = 0

    def receive(self, into: Arrivals) -> int:
        readable = self._poll.poll(0)
        if not readable:
            return 0
        rows = self._in if self._in is not None and into is self._into else self._bind_buffers(into)
        self._turn += 1
        filled = parts = 0
        # Another port is first each time, so that a flood on one cannot starve those after it.
        first = self._turn % len(readable)
        for fd, _ in readable[first:] + readable[:first]:
            room = min(ROWS_PER_PORT, into.rows - filled)
            if room == 0:
                break
            at_row = rows.first_message + filled * _MESSAGE_BYTES
            got = self._recvmmsg(fd, at_row, room, socket.MSG_DONTWAIT, None)
            if got > 0:
                filled += got
                self._ends[parts], self._parts[parts] = filled, self._index[fd]
                parts += 1
        receive_loops.columns(
            parts,
            rows.words,
            rows.octets,
            self._ends,
            self._parts,
            into.size,
            into.port,
            into.address,
            into.source_port,
        )
        return filled

    def _bind_buffers(self, into: Arrivals) -> _Rows:
        # Kept with its addresses: what the kernel writes to must not be freed.
        self._into = into
        rows = self._in = _Rows(into.rows)
        each = np.arange(into.rows, dtype=np.uint64)
        rows.iovecs["base"] = into.data.ctypes.data + each * into.ROW_BYTES
        rows.iovecs["bytes"] = into.ROW_BYTES
        return rows

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
        if packets is not self._packets:
            # Asking an array for its address costs as much as some packets.
            self._packets, self._packets_at = packets, packets.ctypes.data
        out, dropped = self._out, 0
        for start in range(0, len(rows), ROWS_PER_PORT):
            part = slice(start, start + ROWS_PER_PORT)
            runs = send_loops.fill_messages(
                self._packets_at, packets.strides[0], sizes, rows[part], ports[part],
                addresses[part], remote_ports[part], out.vectors, out.octets, self._ends,
                self._parts,
            )  # fmt: skip
            first = 0
            ends = self._ends[:runs].tolist()
            for port, end in zip(self._parts[:runs].tolist(), ends, strict=True):
                dropped += self._send(self._fds[port], first, end)
                first = end
        return dropped

    def _send(self, fd: int, first: int, end: int) -> int:
        dropped = 0
        while first < end:
            address = self._out.first_message + first * _MESSAGE_BYTES
            sent = self._sendmmsg(fd, address, end - first, socket.MSG_DONTWAIT)
            if sent > 0:
                first += sent
                continue
            if ctypes.get_errno() in _FULL:
                return dropped + end - first
            # The first of the rest cannot be sent (no route, filtered): the others can.
            dropped += 1
            first += 1
        return dropped

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> bool:
        if rtcp:
            self._rtcp.send(port, packet, address, remote_port)
            return True
        try:
            self._sockets[port].sendto(packet, (_dotted(address), remote_port))
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._poll.close()
        self._rtcp.close()
        for sock in self._sockets:
            sock.close()


def _dotted(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))
