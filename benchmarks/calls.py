"""Calls through the whole layer: SIP set-up, turn-taking, governor, event log, speech parts that cost nothing.

Starts the product (`manage.py run`, fake speech parts) and calls it from this process. The media node has one core
(all its threads), everything else the other. `cpu_ms_per_call_s` is all CPU of the media node per second and call;
`product_cpu_ms_per_call_s` that of all processes of the product. `mb_per_call`: private memory of the node at full load
less that before the first call. A phone talks two seconds and is silent for two, so that each call has a turn, an
answer and its events every four seconds. `setup`: new calls at an even pace, hung up after three seconds; INVITE sent
to 200 received; `node_cpu_ms_per_call` is of a whole such call. The lines are measured one after the other, each by a
product of its own. `python_loop_ms`: a fixed loop of pure Python on this machine; CPU figures go with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.carrying.browsers import carry_browsers
from benchmarks.carrying.load import Load, with_product
from benchmarks.carrying.machine import machine
from benchmarks.carrying.usage import Usage, memory_mb
from tests.running_product import RunningProduct

FILL_CPS = 20
HELD_S = 3.0
LIMITS = {
    "phone": {"cpu_ms_per_call_s": 2.0, "mb_per_call": 0.3},
    "browser": {"cpu_ms_per_call_s": 9.0, "mb_per_call": 0.5},
    "setup": {"p95_ms": 5.0, "failed": 0},
}


def carry_phones(product: RunningProduct, calls: int, seconds: float) -> dict[str, Any]:
    load, usage = Load(product, calls), Usage(product)
    empty = memory_mb(product.pid("node1"))
    load.dial(calls, FILL_CPS)
    load.run(4.0)
    usage.start()
    load.run(seconds, measured=True)
    used = usage.stop(calls)
    media = product.ask("node.health")["health"]["media"]
    full = memory_mb(product.pid("node1"))
    up = int(load.phones.active.sum())
    received = load.phones.received / (calls * 50 * seconds)
    jitter = np.abs(np.concatenate(load.phones.intervals) - 0.020) * 1000
    load.close()
    return used | {
        "calls": calls,
        "up": up,
        "mb_per_call": (full - empty) / calls,
        "tick_late_p99_ms": media["late_p99_ms"],
        "jitter_p99_ms": float(np.percentile(jitter, 99)),
        "received_pct": received * 100,
        "load_late_p99_ms": float(np.percentile(load.phones.lateness, 99)) * 1000,
    }


def set_up(product: RunningProduct, cps: int, seconds: float) -> dict[str, Any]:
    calls = round(cps * seconds)
    load, usage = Load(product, calls), Usage(product)
    usage.start()
    load.dial(calls, cps, HELD_S)
    used = usage.stop(calls)
    times = [call.setup_s * 1000 for call in load.signalling.dialled if call.setup_s is not None]
    failed = [call.status for call in load.signalling.dialled if call.setup_s is None]
    load.close()
    return {
        "cps": cps,
        "calls": calls,
        "p50_ms": float(np.percentile(times, 50)) if times else None,
        "p95_ms": float(np.percentile(times, 95)) if times else None,
        "p99_ms": float(np.percentile(times, 99)) if times else None,
        "failed": len(failed),
        "failures": {str(status): failed.count(status) for status in set(failed)},
        "node_core_pct": used["node_core_pct"],
        "node_cpu_ms_per_call": used["cpu_ms_per_call_s"] * usage.seconds,
    }


def repeated(runs: int, work: Any, *arguments: Any) -> dict[str, Any]:
    """Medians; the spread of what has a limit."""
    results = []
    for _ in range(runs):
        results.append(with_product(work, *arguments))
        print(json.dumps(results[-1]), flush=True)
    merged: dict[str, Any] = {}
    for key, value in results[0].items():
        values = [result[key] for result in results]
        numeric = isinstance(value, float)
        merged[key] = round(statistics.median(values), 3) if numeric else value
        if numeric and runs > 1:
            merged[f"{key}_spread"] = [round(min(values), 3), round(max(values), 3)]
    if "failed" in merged:
        merged["failed"] = sum(result["failed"] for result in results)
    return merged | {"runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="phones at once")
    parser.add_argument("--browsers", type=int, default=80, help="browsers at once")
    parser.add_argument("--cps", type=int, default=75)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("phone", "browser", "setup"))
    parser.add_argument("--quick", action="store_true", help="one short run of each: 50 s")
    arguments = parser.parse_args()
    runs, seconds = (1, 6.0) if arguments.quick else (arguments.runs, arguments.seconds)
    calls = min(arguments.calls, 200) if arguments.quick else arguments.calls
    browsers = min(arguments.browsers, 20) if arguments.quick else arguments.browsers
    answer: dict[str, Any] = {"phone": None, "browser": None, "setup": None}
    jobs = {
        "phone": (carry_phones, calls, seconds),
        "browser": (carry_browsers, browsers, seconds),
        "setup": (set_up, arguments.cps, seconds),
    }
    for name, (work, *what) in jobs.items():
        if arguments.only in (None, name):
            answer[name] = repeated(runs, work, *what)
    print(json.dumps(answer | machine() | {"limits": LIMITS}))


if __name__ == "__main__":
    main()
