"""The event log in memory: for calls that need no record beyond their process, and for tests."""

from __future__ import annotations

from collections.abc import Sequence

from telephony.call.errors import BrokenLogError, LogFullError
from telephony.call.events import CallEnded, Recorded
from telephony.call.ids import CallId


class MemoryEventLog:
    """Records of all calls, until the process ends. `capacity`: records in all; ends of calls always fit."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        self._size = 0
        self._calls: dict[CallId, list[Recorded]] = {}

    def append(self, records: Sequence[Recorded]) -> None:
        ends = any(isinstance(record.event, CallEnded) for record in records)
        if self._size + len(records) > self._capacity and not ends:
            raise LogFullError(f"{self._size} records")
        for record in records:
            known = self._calls.setdefault(record.call, [])
            if record.seq != len(known) + 1:
                raise BrokenLogError(f"record {record.seq} does not follow {len(known)}")
            known.append(record)
        self._size += len(records)

    async def committed(self, call: CallId, seq: int) -> None:
        return

    async def read(self, call: CallId, since: int = 0) -> Sequence[Recorded]:
        return self._calls.get(call, [])[since:]
