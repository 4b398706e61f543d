"""Three times the calls that a full node takes: how fast it refuses, and whether the calls in progress notice.

The product (fake speech parts) is filled to `--calls`. Then `--cps` new calls a second, three times the goal of 75, are
offered for as long as the calls in progress were measured before. `refused_p99_ms`: INVITE sent to 503 received.
Jitter is of the packets that the phones of the calls in progress receive, by the kernel's time stamps.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.carrying.load import Load, with_product
from benchmarks.carrying.machine import machine
from benchmarks.carrying.usage import Usage
from tests.running_product import RunningProduct

FILL_CPS = 20
LIMITS = {"refused_p99_ms": 100.0}


def overload(product: RunningProduct, calls: int, cps: int, seconds: float) -> dict[str, Any]:
    offered = round(cps * seconds)
    load, usage = Load(product, calls + offered), Usage(product)
    load.dial(calls, FILL_CPS)
    load.run(3.0)
    load.run(seconds, measured=True)
    before = timing(load)
    usage.start()
    load.dial(offered, cps, measured=True)
    used = usage.stop(calls)
    after = timing(load)
    tried = load.signalling.dialled[calls:]
    times = [call.refused_s * 1000 for call in tried if call.refused_s is not None]
    up = sum(not call.over for call in load.signalling.dialled[:calls])
    load.close()
    return {
        "calls": calls,
        "cps": cps,
        "offered": offered,
        "outcomes": dict(Counter(str(call.status) for call in tried)),
        "refused_p50_ms": float(np.percentile(times, 50)) if times else None,
        "refused_p99_ms": float(np.percentile(times, 99)) if times else None,
        "calls_still_up": up,
        "node_core_pct": used["node_core_pct"],
        "jitter_p99_ms_before": before,
        "jitter_p99_ms_during": after,
    }


def timing(load: Load) -> float:
    """Jitter p99 of what was received since the last call."""
    jitter = np.abs(np.concatenate(load.phones.intervals) - 0.020) * 1000
    load.phones.intervals.clear()
    return float(np.percentile(jitter, 99))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="as many as the node takes")
    parser.add_argument("--cps", type=int, default=225)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    seconds = 4.0 if arguments.quick else arguments.seconds
    calls = arguments.calls
    result = with_product(overload, calls, arguments.cps, seconds, max_calls=calls)
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}
    print(json.dumps(rounded | machine() | {"limits": LIMITS}))


if __name__ == "__main__":
    main()
