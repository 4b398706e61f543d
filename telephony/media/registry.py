"""Who holds which row of the source table: free rows, generations, and the local port of each RTP slot.

Rows are taken in the asyncio thread and given back by the plane's thread; deques and sets make each step atomic, so
neither waits for the other.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from telephony.media.addresses import is_v6
from telephony.media.errors import NoMediaCapacityError
from telephony.media.handles import compose, generation_of, index_of
from telephony.media.slots import QUARTERS, quarter_of

Remote = tuple[str, int]


class Rows:
    """Free rows of one kind, in quarters, so that sub-ticks stay equally full."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self._count = count
        self._free: list[deque[int]] = [deque() for _ in range(QUARTERS)]
        for row in range(count):
            self._free[quarter_of(row, count)].append(first + row)

    @property
    def free(self) -> int:
        return sum(map(len, self._free))

    def take(self) -> int:
        """Raises: NoMediaCapacityError."""
        emptiest = max(self._free, key=len)
        try:
            return emptiest.popleft()
        except IndexError:
            raise NoMediaCapacityError("all rows are taken") from None

    def give_back(self, index: int) -> None:
        self._free[quarter_of(index - self.first, self._count)].append(index)


class Registry:
    """Handles of all kinds. `handles` (rows,) int64: the live handle of a row, or 0."""

    def __init__(self, rtp: int, packet: int, voices: int) -> None:
        self.rtp = Rows(0, rtp)
        self.packet = Rows(rtp, packet)
        self.voice = Rows(rtp + packet, voices)
        total = rtp + packet + voices
        self.handles: NDArray[np.int64] = np.zeros(total, np.int64)
        self._generations = [0] * total

    def take(self, kind: Rows) -> int:
        """A new live handle. Raises: NoMediaCapacityError."""
        index = kind.take()
        self._generations[index] += 1
        handle = compose(index, self._generations[index])
        self.handles[index] = handle
        return handle

    def live(self, handle: int) -> bool:
        index = index_of(handle)
        return generation_of(handle) > 0 and index < len(self.handles) and (
            int(self.handles[index]) == handle
        )  # fmt: skip

    def give_back(self, handle: int) -> None:
        """The row is free; the handle is stale from now on."""
        index = index_of(handle)
        self.handles[index] = 0
        for kind in (self.voice, self.packet, self.rtp):
            if index >= kind.first:
                kind.give_back(index)
                return


class PortLedger:
    """Which legs share a local port: no two with one signalled address, and few that are still to be latched.

    Indexes from `first_v6` on are ports of IPv6, those before of IPv4.
    """

    def __init__(self, ports: int, first_v6: int | None = None) -> None:
        self._first_v6 = ports if first_v6 is None else first_v6
        self._legs: list[dict[int, Remote | None]] = [{} for _ in range(ports)]
        self._open: list[set[int]] = [set() for _ in range(ports)]

    @property
    def count(self) -> int:
        return len(self._legs)

    def is_v6(self, port: int) -> bool:
        """Whether this index is that of a port of IPv6."""
        return port >= self._first_v6

    def take(self, handle: int, remote: Remote | None, *, nat: bool, v6: bool = False) -> int:
        """Index of the port for a new leg, which is open if other addresses than `remote` may send.

        `v6`: the family where `remote` is not known. Raises: NoMediaCapacityError.
        """
        is_open = nat or remote is None
        v6 = v6 if remote is None else is_v6(remote[0])
        fitting = [
            port
            for port, legs in enumerate(self._legs)
            if self.is_v6(port) is v6
            and not (is_open and self._open[port])
            and (remote is None or remote not in list(legs.values()))
        ]
        if not fitting:
            raise NoMediaCapacityError("no RTP port is free for a leg that is not latched yet")
        port = min(fitting, key=lambda candidate: len(self._legs[candidate]))
        self._legs[port][handle] = remote
        if is_open:
            self._open[port].add(handle)
        return port

    def settled(self, port: int, handle: int) -> None:
        """The leg is latched, or only its signalled address may send: others may join the port."""
        self._open[port].discard(handle)

    def signalled(self, port: int, handle: int, remote: Remote) -> None:
        if handle in self._legs[port]:
            self._legs[port][handle] = remote

    def leave(self, port: int, handle: int) -> None:
        self._legs[port].pop(handle, None)
        self._open[port].discard(handle)
