"""Delay of a running product as a caller hears it: answers, interruptions, greeting, by phone and by browser.

Starts `manage.py run` with a data folder of its own and calls it from another process; method and definitions are in
docs/benchmarks.md. Prints one line per call and, last, one JSON object. `--parts fake` takes speech parts without
delay, so that all that is left is our own time; `--parts embedded` the recogniser and voice of the default.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.listening import calls, figures
from benchmarks.listening.calls import QUESTIONS, Plan
from tests.running_product import RunningProduct, running_product

LINES = ("phone", "browser")
MOST_EMBEDDED = 2
"""Of each line at the same time: more calls than these the embedded recogniser may not be able to listen to."""
KEYS = ("v2v_ms", "v2v_minus_endpoint_ms", "duck_ms", "stop_ms", "greeting_ms")


def plans(cuts: int, questions: int, lines: tuple[str, ...], *, null: bool) -> list[Plan]:
    """Uncut calls first, one per question: the others are compared with them."""
    found = []
    for line in lines:
        found += [Plan(line, "uncut", n) for n in range(questions)]
        found += [Plan(line, "cut", n % questions, n) for n in range(cuts)]
        found += [Plan(line, "null", 0)] * null
    if null and "phone" in lines:
        found.append(Plan("phone", "silent", 0))
    return found


def environment_of(product: RunningProduct) -> dict[str, str]:
    one = product.configuration
    return {
        "VOICEAPP_DATA": str(one.data),
        "VOICEAPP_HTTP": str(one.http),
        "VOICEAPP_SIP": str(one.sip),
    }


def prioritise_product(product: RunningProduct) -> bool:
    """All threads of all its processes that do not have real-time priority by themselves."""
    done = []
    for pid in descendants(product.process.pid):
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            number = int(thread.name)
            if os.sched_getscheduler(number) == os.SCHED_OTHER:
                done.append(calls.prioritise(number))
    return bool(done) and all(done)


def descendants(pid: int) -> list[int]:
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in thread.read_text().split():
            found += descendants(int(child))
    return found


def measure(product: RunningProduct, what: list[Plan], at_once: int) -> list[dict[str, Any]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, environment_of(product), what, at_once)
    process = context.Process(target=calls.serve, args=arguments)
    process.start()
    theirs.close()
    rows: list[dict[str, Any]] = ours.recv()
    process.join(10)
    return rows


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of each line; null runs apart."""
    answer: dict[str, Any] = {"websocket": None}
    for line in LINES:
        of_line = [row for row in rows if row["line"] == line]
        heard = [row for row in of_line if row["kind"] in ("uncut", "cut")]
        cut = [row for row in heard if row["kind"] == "cut" and row["over_answer"]]
        figure: dict[str, Any] = {
            key: figures.summary(
                [row[key] for row in (cut if key in ("duck_ms", "stop_ms") else heard)]
            )
            for key in (*KEYS, "greeting_after_connect_ms")
        }
        figure["not_cut"] = [sum(row["stop_ms"] is None for row in cut), len(cut)]
        figure["calls_failed"] = [sum(bool(row["failed"]) for row in of_line), len(of_line)]
        figure["stages_ms"] = stages(heard)
        answer[line] = figure if of_line else None
    answer["null"] = nulls(rows)
    answer["caller_late_p99_ms"] = figures.summary([row["late_p99_ms"] for row in rows])
    return answer


def stages(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The product's own account of its answers, from the last voiced sample on."""
    timed = [row["stages"] for row in rows if row["stages"]]
    names = [name for name in (timed[0] if timed else {}) if name.endswith("_ms")]
    return {name: figures.summary([each[name] for each in timed]) for name in names}


def nulls(rows: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Without a stimulus no duck and no cut, of a silent agent no answer: anything else is a fault of the harness."""
    quiet = [row for row in rows if row["kind"] == "null" and not row["failed"]]
    silent = [row for row in rows if row["kind"] == "silent" and not row["failed"]]
    return {
        "cuts_without_stimulus": [sum(row["stop_ms"] is not None for row in quiet), len(quiet)],
        "ducks_without_stimulus": [sum(row["duck_ms"] is not None for row in quiet), len(quiet)],
        "answers_of_silent_agent": [sum(row["v2v_ms"] is not None for row in silent), len(silent)],
    }


def start(parts: tuple[str, ...], stack: ExitStack) -> list[RunningProduct]:
    """One product for each kind of parts, all at the same time and on ports of their own."""

    def one(name: str, folder: Path) -> RunningProduct:
        return stack.enter_context(running_product(folder, VOICEAPP_ENGINES=name))

    with ThreadPoolExecutor() as pool:
        jobs = []
        for name in parts:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="voiceapp-latency-"))
            jobs.append(pool.submit(one, name, Path(folder)))
        return [job.result() for job in jobs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", choices=("fake", "embedded", "both"), default="both")
    parser.add_argument("--line", choices=LINES, help="this line alone")
    parser.add_argument("--cuts", type=int, default=20, help="interrupted calls per line")
    parser.add_argument(
        "--at-once", type=int, default=1, help="calls of each line at the same time"
    )
    parser.add_argument("--plain", action="store_true", help="leave the product its own priority")
    parser.add_argument("--quick", action="store_true", help="few calls, many at once: 50 s")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.cuts, arguments.at_once = 2, 5
    lines = (arguments.line,) if arguments.line else LINES
    questions = 1 if arguments.quick else len(QUESTIONS)
    what = plans(arguments.cuts, questions, lines, null=True)
    all_parts = ("fake", "embedded") if arguments.parts == "both" else (arguments.parts,)
    answers: dict[str, Any] = {}
    with ExitStack() as stack:
        started = start(all_parts, stack)
        for parts, product in zip(all_parts, started, strict=True):
            prioritised = not arguments.plain and prioritise_product(product)
            at_once = arguments.at_once
            if parts == "embedded":
                at_once = min(at_once, MOST_EMBEDDED)
                what = plans(1, 1, lines, null=False) if arguments.quick else what
            rows = measure(product, what, at_once)
            for row in rows:
                print(json.dumps({"parts": parts, **row}), flush=True)
            answers[parts] = report(rows) | {"prioritised": prioritised}
    first = answers[all_parts[0]]
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }
    both = answers if len(answers) > 1 else {}
    print(json.dumps({"parts": all_parts[0], **first, **both, **machine}))


if __name__ == "__main__":
    main()
