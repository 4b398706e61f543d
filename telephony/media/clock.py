"""The media thread's clock: the one place that reads it and the one place that waits.

`MediaPlane.step(now)` takes any time, so tests need no clock at all.
"""

from __future__ import annotations

import time
from typing import Protocol


class MediaClock(Protocol):
    """Monotonic seconds, and a wait that ends at or after a deadline."""

    def now(self) -> float: ...

    def sleep_until(self, deadline: float) -> None: ...

    def thread_cpu(self) -> float:
        """CPU seconds of the calling thread."""


class MonotonicClock:
    """CLOCK_MONOTONIC, the clock of the asyncio loop."""

    def now(self) -> float:
        return time.monotonic()

    def sleep_until(self, deadline: float) -> None:
        wait = deadline - time.monotonic()
        if wait > 0:
            time.sleep(wait)

    def thread_cpu(self) -> float:
        return time.thread_time()
