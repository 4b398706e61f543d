"""Ports of the plane: where heard frames go, and where datagrams come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """All frames of one rate that arrived in one sub-tick; row i of each array belongs together.

    `handles` (n,) int64 are `SlotHandle`s; `frames` (n,) int64 numbers a slot's 20 ms frames from 0, and skips what
    was missing; `gaps` (n,) bool: frames are missing just before this one; `speech` (n,) bool: inside stage-1 speech;
    `level_dbfs` (n,) float32 RMS; `pcm` (n, rate_hz // 50) int16. The arrays are the receiver's to keep.
    """

    rate_hz: int
    handles: NDArray[np.int64]
    frames: NDArray[np.int64]
    gaps: NDArray[np.bool_]
    speech: NDArray[np.bool_]
    level_dbfs: NDArray[np.float32]
    pcm: NDArray[np.int16]


class AudioTap(Protocol):
    """Takes what is heard towards the brain."""

    def frames(self, batch: FrameBatch) -> None:
        """Called in the plane's thread, at most once per rate and sub-tick. Must not block or raise."""


class Arrivals:
    """Columns for the datagrams of one sub-tick; row i is one datagram.

    `data` (rows, 1536) uint8, `size` (rows,) int32 (`receive_loops.TRUNCATED`: longer than a row), `port` (rows,)
    int64 index of the local port, `address` (rows,) uint64 and `source_port` (rows,) uint16 of the sender, both in host
    order; of IPv6, `address` is a number of `AddressBook`, and 0 is an address that is never answered.
    """

    ROW_BYTES = 1536

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.data = np.zeros((rows, self.ROW_BYTES), np.uint8)
        self.size = np.zeros(rows, np.int32)
        self.port = np.zeros(rows, np.int64)
        self.address = np.zeros(rows, np.uint64)
        self.source_port = np.zeros(rows, np.uint16)


class Datagrams(Protocol):
    """A pool of local UDP ports. `local_ports` are the RTP ports; RTCP of port i arrives and leaves by `rtcp=True`."""

    @property
    def local_ports(self) -> tuple[int, ...]: ...

    @property
    def first_v6(self) -> int:
        """Index of the first port of IPv6, whose addresses are numbers of `AddressBook`; those before are of IPv4."""

    def receive(self, into: Arrivals) -> int:
        """Rows filled: RTP that waits. Never blocks.

        Of a flood: at most 1,024 of one port; without `recvmmsg`, as all of IPv6, 256 of one port and 1,024 together.
        """

    def receive_rtcp(self) -> list[tuple[int, bytes, int, int]]:
        """(port index, datagram, address, source port) from the ports of RTCP; a bounded number."""

    def send_rows(
        self,
        packets: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        rows: NDArray[np.int64],
        ports: NDArray[np.int64],
        addresses: NDArray[np.uint32],
        remote_ports: NDArray[np.uint16],
    ) -> int:
        """Sends the first `sizes[row]` octets of `packets[row]` for each of `rows`, which are sorted by `ports`.

        A full buffer drops the rest. Result: how many were dropped.
        """

    def send_one(
        self, port: int, packet: bytes, address: int, remote_port: int, *, rtcp: bool
    ) -> bool:
        """False: RTP that was dropped. RTCP is lost silently."""
        ...

    def close(self) -> None: ...
