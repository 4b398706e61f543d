"""Many calls for a long time over a bad network: what drops, how it sounds, and whether memory stays flat.

Phones talk to the running product (fake speech parts) through a seeded relay: `--loss` percent of the packets never
arrive, the delay of the others is even between 0 and twice `--jitter-ms`, so that many overtake each other; 0.2 % come
twice. `mos` are the product's own figures (E-model) of each call, every five seconds. Memory is the media node's
private memory; its slope is fitted to the second half of the run, when rings and pools are full.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.carrying.load import Load, with_product
from benchmarks.carrying.machine import machine
from benchmarks.carrying.relay import Network, RelayedPhones
from benchmarks.carrying.usage import Usage, memory_mb
from tests.running_product import RunningProduct

SAMPLE_S = 10.0
LIMITS = {"dropped": 0, "mos_median": 3.8}


def soak(product: RunningProduct, calls: int, minutes: float, network: Network) -> dict[str, Any]:
    load = Load(product, calls, RelayedPhones(calls, network))
    usage = Usage(product)
    load.dial(calls, 20)
    began, samples = time.monotonic(), []
    usage.start()
    while (elapsed := time.monotonic() - began) < minutes * 60:
        samples.append((elapsed / 60, memory_mb(product.pid("node1"))))
        load.run(min(SAMPLE_S, minutes * 60 - elapsed), measured=True)
    used = usage.stop(calls)
    gone = [call for call in load.signalling.dialled if call.over]
    heard = scores(product)
    received = load.phones.received / (calls * 50 * usage.seconds)
    media = product.ask("node.health")["health"]["media"]
    load.close()
    late = samples[len(samples) // 2 :]
    slope = float(np.polyfit(*zip(*late, strict=True), 1)[0]) if len(late) > 2 else None
    return used | {
        "calls": calls,
        "minutes": minutes,
        "dropped": len(gone),
        "ended": dict(Counter(call.reason or f"status {call.status}" for call in gone)),
        "mos_median": statistics.median(heard),
        "mos_p5": float(np.percentile(heard, 5)),
        "mos_figures": len(heard),
        "lost_by_relay_pct": network.loss * 100,
        "received_pct": received * 100,
        "tick_late_p99_ms": media["late_p99_ms"],
        "mb_first": samples[0][1],
        "mb_last": samples[-1][1],
        "mb_per_minute": slope,
    }


def scores(product: RunningProduct) -> list[float]:
    """The MOS figures of all calls that are up."""
    events = [event for row in product.rows() for event in product.events(row["id"])]
    measured = [event["event"] for event in events if event["kind"] == "QualityMeasured"]
    return [figures["mos"] for figures in measured if figures["leg"] == "caller"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--loss", type=float, default=1.0, help="percent")
    parser.add_argument("--jitter-ms", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="50 calls for half a minute")
    arguments = parser.parse_args()
    calls, minutes = (50, 0.5) if arguments.quick else (arguments.calls, arguments.minutes)
    network = Network(arguments.loss / 100, arguments.jitter_ms, seed=arguments.seed)
    result = with_product(soak, calls, minutes, network, max_calls=calls + 20)
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}
    print(json.dumps(rounded | machine() | {"limits": LIMITS}))


if __name__ == "__main__":
    main()
