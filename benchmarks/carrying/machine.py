"""The machine that a figure was taken on, so that figures of different machines can be compared."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

LOOPS = 100_000
REPEATS = 15


def python_loop_ms() -> float:
    """Time of a fixed loop of pure Python: the least of several, so that what else runs does not count."""
    return min(_loop_s() for _ in range(REPEATS)) * 1000


def _loop_s() -> float:
    began = time.perf_counter()
    found, names = 0, {"a": 1, "b": 2}
    for number in range(LOOPS):
        found += names["b"] * number & 0xFF
    return time.perf_counter() - began


def machine() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "python_loop_ms": round(python_loop_ms(), 2),
        "load": os.getloadavg()[0],
    }
