"""Phones in arrays: N senders of G.711 on a few sockets, at the pace of a real phone, and when each packet came to them."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from telephony.media import g711
from telephony.media.ports import Arrivals
from telephony.media.udp import MmsgDatagrams

LOOPBACK = "127.0.0.1"
LOOPBACK_NUMBER = 0x7F000001
PHONE_SOCKETS = 128
# Taken once: the phones pin themselves later on.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def _nothing() -> None:
    pass


def pin(core: int | None) -> None:
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


class StampedDatagrams(MmsgDatagrams):
    """Tells when the kernel received each datagram, so that the phones' own polling is not measured."""

    SO_TIMESTAMPNS = 35
    CONTROL_BYTES = 32

    def __init__(self) -> None:
        super().__init__(LOOPBACK, (0,) * PHONE_SOCKETS, 8 << 20)
        for sock in self._sockets:
            sock.setsockopt(socket.SOL_SOCKET, self.SO_TIMESTAMPNS, 1)

    def receive(self, into: Arrivals) -> int:
        if self._in is not None:
            self._in.messages["control_bytes"] = self.CONTROL_BYTES
        return super().receive(into)

    def _bind_buffers(self, into: Arrivals) -> Any:
        rows = super()._bind_buffers(into)
        self.control = np.zeros((into.rows, self.CONTROL_BYTES), np.uint8)
        each = np.arange(into.rows, dtype=np.uint64)
        rows.messages["control"] = self.control.ctypes.data + each * self.CONTROL_BYTES
        rows.messages["control_bytes"] = self.CONTROL_BYTES
        return rows

    def stamps(self, count: int) -> np.ndarray:
        seconds = self.control[:count, 16:].copy().view(np.int64)
        return seconds[:, 0] + seconds[:, 1] * 1e-9


class Phones:
    """N phones on 128 sockets; a quarter of them sends each 5 ms."""

    def __init__(self, calls: int, silence_s: float = 2.0) -> None:
        self.calls = calls
        self.active = np.zeros(calls, bool)
        self.remote_ports = np.zeros(calls, np.uint16)
        self.sockets = StampedDatagrams()
        self.packets = np.zeros((calls, 172), np.uint8)
        self.packets[:, 0] = 0x80
        ssrc = np.arange(1, calls + 1).astype(">u4")[:, None]
        self.packets[:, 8:12] = ssrc.view(np.uint8)
        self.socket = np.arange(calls) % PHONE_SOCKETS
        self.addresses = np.full(calls, LOOPBACK_NUMBER, np.uint32)
        self.arrivals = Arrivals(4096)
        self.last = np.zeros(calls)
        self.intervals: list[np.ndarray] = []
        self.received = 0
        self.lateness: list[float] = []
        t = np.arange(160 * 100) / 8000
        buzz = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20))
        spoken = (4000 * buzz * (1 + 0.4 * np.sin(2 * np.pi * 4 * t)) / 3).astype(np.int16)
        both = np.concatenate((spoken, np.zeros(int(silence_s * 8000), np.int16)))
        self.frames = g711.encode(both, g711.ULAW).reshape(-1, 160)
        self._index()

    def connect(self, plane_ports: list[int]) -> None:
        """All phones at once."""
        self.remote_ports[:] = plane_ports
        self.active[:] = True
        self._index()

    def switch(self, number: int, plane_port: int | None) -> None:
        """One phone on its call, or (None) hung up."""
        self.active[number] = plane_port is not None
        self.remote_ports[number] = plane_port or 0
        self.last[number] = time.time()
        self._index()

    def _index(self) -> None:
        on = np.flatnonzero(self.active)
        keys = self.socket[on] * 65536 + self.remote_ports[on]
        order = np.argsort(keys)
        self.order, self.keys = on[order], keys[order]
        if len(np.unique(keys)) != len(keys):
            raise RuntimeError("two calls share a pair of ports")

    def prepare(self, tick: int) -> np.ndarray:
        """Writes the packets that are due; the phones that send them."""
        rows = np.arange(tick % 4, self.calls, 4)
        rows = rows[self.active[rows]]
        number = tick // 4
        packets = self.packets
        packets[rows, 2:4] = np.array([number & 0xFFFF], ">u2").view(np.uint8)
        packets[rows, 4:8] = np.array([number * 160 & 0xFFFFFFFF], ">u4").view(np.uint8)
        packets[rows, 12:] = self.frames[(number + rows * 7) % len(self.frames)]
        return rows

    def send(self, tick: int) -> None:
        rows = self.prepare(tick)
        if len(rows):
            self.transmit(self.packets, rows, rows)

    def transmit(self, packets: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
        """`packets[places]` of the phones `rows`."""
        order = np.argsort(self.socket[rows], kind="stable")
        places, rows = places[order], rows[order]
        sizes = np.full(len(packets), packets.shape[1])
        self.sockets.send_rows(
            packets,
            sizes,
            places,
            self.socket[rows],
            self.addresses[rows],
            self.remote_ports[rows],
        )

    def receive(self, *, measured: bool) -> None:
        while count := self.sockets.receive(self.arrivals):
            keys = self.arrivals.port[:count] * 65536 + self.arrivals.source_port[:count]
            places = np.minimum(np.searchsorted(self.keys, keys), max(0, len(self.keys) - 1))
            if len(self.keys) == 0:
                continue
            known = self.keys[places] == keys  # not the last packets of a call that has hung up
            calls = self.order[places[known]]
            stamps = self.sockets.stamps(count)[known]
            if measured:
                self.received += len(calls)
                self.intervals.append(stamps - self.last[calls])
            self.last[calls] = stamps

    def run(
        self, seconds: float, *, start: int, measured: bool, between: Callable[[], None] = _nothing
    ) -> int:
        """`between` is called all the time, at most 0.5 ms apart: signalling, say. Returns the next tick's number."""
        deadline = time.monotonic()
        ticks = round(seconds * 200)
        for tick in range(start, start + ticks):
            deadline += 0.005
            while (now := time.monotonic()) < deadline:
                self.receive(measured=measured)
                between()
                time.sleep(max(0.0, min(0.0005, deadline - time.monotonic())))
            if measured:
                self.lateness.append(now - deadline)
            self.send(tick)
        return start + ticks


def prioritise() -> None:
    """The phones must be in time, or nothing is measured; what they start does not inherit it."""
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(0, policy, os.sched_param(5))
