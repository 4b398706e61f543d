"""Named timers of one owner, and the loop's clock: the one home of `call_later` and of the system's clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from telephony.call.ports import Scheduler, TimerHandle


class LoopScheduler:
    """The clock of this machine, and callbacks in a loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_us(self) -> int:
        return time.time_ns() // 1000

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle:
        return self._loop.call_later(seconds, callback)


class TimerSet:
    """At most one timer per name; after `close` none can be set."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._handles: dict[str, TimerHandle] = {}
        self._closed = False

    def set(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        """Replaces the timer of this name."""
        self.cancel(name)
        if self._closed:
            return

        def fire() -> None:
            self._handles.pop(name, None)
            callback()

        self._handles[name] = self._scheduler.call_later(seconds, fire)

    def has(self, name: str) -> bool:
        """Whether a timer of this name is running."""
        return name in self._handles

    def cancel(self, name: str) -> None:
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Cancels all."""
        self._closed = True
        for name in list(self._handles):
            self.cancel(name)
