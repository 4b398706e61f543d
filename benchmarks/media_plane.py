"""What one media plane carries: N phone calls over loopback, each heard (VAD, tap), guarded and spoken to without pause.

The phones live in this process, pinned to one core; the plane and its asyncio loop in a child, pinned to another. A phone
talks two seconds and is silent for two (a buzz with a voice's pitch and syllables, which webrtcvad takes for speech).
`cpu_ms_per_call_s` is all CPU of the child (user + system, its loop and notices included); `plane_ms_per_call_s` the thread
alone; part of it is the same for any number of calls, so that few calls cost more each. Jitter is measured at the receiver by the kernel's time stamps: |time between two packets of a call - 20 ms|. An
underrun is a packet that came over 20 ms late, or never. Runs in which the phones themselves were 2 ms late (p99) are dropped and
repeated, at most as often again; without one good run the figures are null.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.carrying.machine import machine
from benchmarks.carrying.phones import CORES, LOOPBACK, PHONE_SOCKETS, Phones, pin, prioritise
from telephony.media.commands import Enqueue, Guard, Listen, Route, StartRtp
from telephony.media.notices import Notice, PlayoutProgress, PlayoutState
from telephony.media.parameters import MediaSettings, RtpParameters
from telephony.media.plane import MediaPlane
from telephony.media.ports import FrameBatch

PLANE_PORTS = 16
SPEECH_SECONDS = 10
LIMITS = {
    "cpu_ms_per_call_s": 0.45,
    "tick_late_p99_ms": 1.0,
    "jitter_p99_ms": 2.0,
    "underrun_pct": 0.1,
}


class CountingTap:
    def __init__(self) -> None:
        self.count = 0

    def frames(self, batch: FrameBatch) -> None:
        self.count += len(batch.handles)


# ------------------------------------------------------------------------------------------------------- the plane


async def carry(pipe: Connection, calls: int, phone_ports: list[int]) -> None:
    capacity = -(-calls // 4) * 4
    settings = MediaSettings(
        rtp_ports=(0,) * PLANE_PORTS,
        rtp_capacity=capacity,
        packet_capacity=4,
        voice_capacity=capacity,
    )
    tap = CountingTap()
    plane = MediaPlane(settings, tap=tap)
    speech = (
        (np.random.default_rng(1).normal(0, 2500, 8000 * SPEECH_SECONDS)).astype("<i2").tobytes()
    )

    def on_notices(notices: list[Notice]) -> None:
        for notice in notices:
            if isinstance(notice, PlayoutProgress) and notice.state is PlayoutState.DONE:
                name = str(int(notice.utterance) + 1)
                plane.apply(Enqueue(notice.voice, name, speech, last=True))

    local_ports, voices = [], []
    for number in range(calls):
        remote = (LOOPBACK, phone_ports[number % PHONE_SOCKETS])
        slot, port = plane.reserve_rtp(remote)
        voice = plane.add_voice(8000)
        plane.apply(StartRtp(slot, RtpParameters(remote)), Route(slot, ((voice, 1.0),)))
        plane.apply(Listen(slot, True), Guard(voice, slot))
        voices.append(voice)
        local_ports.append(port)
    plane.start(asyncio.get_running_loop(), on_notices)
    pipe.send(local_ports)
    # Agents do not all begin in the same 20 ms.
    for phase in range(5):
        for number in range(phase, calls, 5):
            begin = (number * 331) % SPEECH_SECONDS * 16000
            plane.apply(Enqueue(voices[number], "1", speech[begin:], last=True))
        await asyncio.sleep(0.02)
    await asyncio.to_thread(pipe.recv)
    pipe.send(await watch(plane, tap, pipe, calls))
    plane.stop()


async def watch(
    plane: MediaPlane, tap: CountingTap, pipe: Connection, calls: int
) -> dict[str, Any]:
    """What the plane used until the phones say that they are done."""
    plane.reset_stats()
    first = plane.stats()
    overruns = first.counters.overruns
    before, heard, began = cpu_seconds(), tap.count, time.monotonic()
    await asyncio.to_thread(pipe.recv)
    seconds = time.monotonic() - began
    stats = plane.stats()
    return {
        "cpu_ms_per_call_s": (cpu_seconds() - before) * 1000 / calls / seconds,
        "plane_ms_per_call_s": (stats.cpu_seconds - first.cpu_seconds) * 1000 / calls / seconds,
        "tick_late_p50_ms": stats.late_p50_ms,
        "tick_late_p99_ms": stats.late_p99_ms,
        "overruns": stats.counters.overruns - overruns,
        "frames_heard_pct": (tap.count - heard) * 100 / (calls * 50 * seconds),
        "prioritised": plane.prioritised,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def child(pipe: Connection, calls: int, phone_ports: list[int], core: int | None) -> None:
    pin(core)
    sys.setswitchinterval(0.0005)
    asyncio.run(carry(pipe, calls, phone_ports))


# ------------------------------------------------------------------------------------------------------- one run


def measure(calls: int, seconds: float) -> dict[str, Any]:
    cores, apart = CORES, len(CORES) > 1
    phones = Phones(calls)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    arguments = (theirs, calls, list(phones.sockets.local_ports), cores[0] if apart else None)
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")  # as a media node has it
    process = multiprocessing.get_context("spawn").Process(target=child, args=arguments)
    process.start()
    phones.connect(ours.recv())
    pin(cores[1] if apart else None)
    prioritise()
    tick = phones.run(2.0, start=0, measured=False)
    ours.send("measure")
    tick = phones.run(seconds, start=tick, measured=True)
    ours.send("stop")
    result: dict[str, Any] = ours.recv()
    process.join(10)
    phones.sockets.close()
    intervals = np.concatenate(phones.intervals)
    jitter = np.abs(intervals - 0.020) * 1000
    expected = calls * 50 * seconds
    late = int((intervals > 0.040).sum()) + max(0.0, expected * 0.999 - phones.received)
    load_late = float(np.percentile(phones.lateness, 99)) * 1000
    return result | {
        "calls": calls,
        "jitter_p50_ms": float(np.percentile(jitter, 50)),
        "jitter_p99_ms": float(np.percentile(jitter, 99)),
        "underrun_pct": late * 100 / expected,
        "load_late_p99_ms": load_late,
        "late_load": load_late > 2.0,
    }


# ------------------------------------------------------------------------------------------------------- the report


def good_runs(calls: int, runs: int, seconds: float) -> dict[str, Any]:
    kept: list[dict[str, Any]] = []
    for attempt in range(2 * runs):
        result = measure(calls, seconds)
        if not result["late_load"]:
            kept.append(result)
        if len(kept) == runs or (attempt >= runs and not kept):
            break
    if kept:
        return median_of(kept) | {"runs": len(kept), "dropped": attempt + 1 - len(kept)}
    return dict.fromkeys(LIMITS) | {"calls": calls, "runs": 0, "dropped": attempt + 1}


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        merged[key] = (
            value if isinstance(value, bool | int) else round(statistics.median(values), 3)
        )
        if key in LIMITS:
            merged[f"{key}_spread"] = [round(min(values), 3), round(max(values), 3)]
    merged["prioritised"] = all(run["prioritised"] for run in runs)
    return merged


def meets_limits(result: dict[str, Any]) -> bool:
    return all(result[key] is not None and result[key] <= limit for key, limit in LIMITS.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, help="measure at this number instead of searching")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="one short run per number")
    arguments = parser.parse_args()
    runs, seconds = (1, 3.0) if arguments.quick else (arguments.runs, arguments.seconds)
    numbers = [arguments.calls] if arguments.calls else [1000, 1500, 2000]
    best: dict[str, Any] | None = None
    tried: list[dict[str, Any]] = []
    for calls in numbers:
        result = good_runs(calls, runs, seconds)
        tried.append(result)
        print(json.dumps(result), flush=True)
        if meets_limits(result):
            best = result
    answer = best or tried[0]
    print(json.dumps(answer | machine() | {"meets_limits": best is not None, "limits": LIMITS}))


if __name__ == "__main__":
    main()
