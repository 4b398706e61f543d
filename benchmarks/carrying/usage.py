"""What processes use: CPU by kind of process, memory of the media node; and which core they run on."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.carrying.phones import CORES
from tests.running_product import RunningProduct

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def memory_mb(pid: int) -> float:
    """Resident memory that is the process's own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) / 1024
    return 0.0


def descendants(pid: int) -> list[int]:
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (thread / "children").read_text().split():
                found += descendants(int(child))
    return found


def pin(pid: int, core: int) -> None:
    """All threads that the process has now."""
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), {core})


def give_node_a_core(product: RunningProduct) -> bool:
    """The media node on one core, everything else on the other. False where there is only one core."""
    if len(CORES) < 2:
        return False
    node = product.pid("node1")
    for pid in descendants(product.process.pid):
        pin(pid, CORES[0] if pid == node else CORES[1])
    pin(os.getpid(), CORES[1])
    return True


def prioritise_node(product: RunningProduct) -> bool:
    """The node before whatever else the machine does, as on a machine of its own; its media thread is already."""
    try:
        for thread in Path(f"/proc/{product.pid('node1')}/task").glob("*"):
            number = int(thread.name)
            if os.sched_getscheduler(number) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER:
                policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
                os.sched_setscheduler(number, policy, os.sched_param(1))
    except (AttributeError, OSError):
        return False
    return True


@dataclass(slots=True)
class Usage:
    """Between `start` and `stop`."""

    product: RunningProduct
    began: float = 0.0
    node_before: float = 0.0
    all_before: float = 0.0
    seconds: float = field(default=0.0)

    def start(self) -> None:
        self.began = time.monotonic()
        self.node_before, self.all_before = self._now()

    def stop(self, calls: int) -> dict[str, float]:
        """CPU milliseconds per call-second: of the media node, and of all processes of the product."""
        self.seconds = time.monotonic() - self.began
        node, every = self._now()
        share = 1000 / max(1, calls) / self.seconds
        return {
            "cpu_ms_per_call_s": (node - self.node_before) * share,
            "product_cpu_ms_per_call_s": (every - self.all_before) * share,
            "node_core_pct": (node - self.node_before) * 100 / self.seconds,
        }

    def _now(self) -> tuple[float, float]:
        pids = descendants(self.product.process.pid)
        return cpu_seconds(self.product.pid("node1")), sum(cpu_seconds(pid) for pid in pids)
