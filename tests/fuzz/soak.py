"""Hostile input in bulk: `python -m tests.fuzz.soak --inputs 1000000 --seed 1`. `make fuzz` runs it.

Whatever is raised, or takes too long, is kept under `corpus/<target>/`, which each run of the tests tries again.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.mutation import Mutator
from tests.fuzz.targets import Check, Target, targets

CORPUS = Path(__file__).parent / "corpus"
SLOW_S = 0.5  # of this thread's CPU: pauses of a shared machine do not count, a collection of garbage does
MOST_GROWTH_MB = 60.0
_SHOWN = 5


@dataclass
class Tally:
    """Of one target. `finds`: first line of each traceback, with its count."""

    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    finds: dict[str, int] = field(default_factory=dict)


def attack(name: str, target: Target, count: int, seed: int, corpus: Path = CORPUS) -> Tally:
    """Throws `count` inputs at one target. Never raises what the target raises."""
    tally = Tally()
    mutator = Mutator(seed, target.seeds)
    check = target.make()
    began = time.perf_counter()
    for _ in range(count):
        data = mutator.next()
        if not _survives(check, data, name, tally, corpus):
            check = target.make()  # its state may be broken by now
        tally.inputs += 1
    tally.seconds = time.perf_counter() - began
    return tally


def _survives(check: Check, data: bytes, name: str, tally: Tally, corpus: Path) -> bool:
    before = time.thread_time()
    find = ""
    try:
        check(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the find
        last = traceback.extract_tb(error.__traceback__)[-1]
        find = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
    took = time.thread_time() - before
    tally.slowest = max(tally.slowest, took)
    if took > SLOW_S:
        find = find or "too slow"
    if find:
        tally.finds[find] = tally.finds.get(find, 0) + 1
        if tally.finds[find] <= _SHOWN:
            keep(corpus / name, data)
    return not find


def keep(folder: Path, data: bytes) -> Path:
    """A find as a file named by its contents."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path


def memory_mb() -> float:
    """Resident now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def run(inputs: int, seed: int, minutes: float, only: list[str]) -> int:
    """All targets by their shares, round by round, so that memory can be watched. Returns the number of finds."""
    chosen = {name: t for name, t in targets().items() if not only or name in only}
    shares = sum(target.share for target in chosen.values())
    rounds = max(1, inputs // 50_000)
    tallies = {name: Tally() for name in chosen}
    ends = time.monotonic() + minutes * 60 if minutes else float("inf")
    base = 0.0
    for number in range(rounds):
        for name, target in chosen.items():
            count = inputs * target.share // shares // rounds
            one = attack(name, target, count, seed * 1_000_003 + number)
            total = tallies[name]
            total.inputs += one.inputs
            total.seconds += one.seconds
            total.slowest = max(total.slowest, one.slowest)
            for find, times in one.finds.items():
                total.finds[find] = total.finds.get(find, 0) + times
        base = base or memory_mb()
        print(f"round {number + 1}/{rounds}: {memory_mb() - base:+.1f} MB", flush=True)
        if time.monotonic() > ends:
            break
    return report(tallies, memory_mb() - base, seed)


def report(tallies: dict[str, Tally], growth_mb: float, seed: int) -> int:
    found = 0
    for name, tally in tallies.items():
        each = tally.seconds / max(1, tally.inputs) * 1e6
        print(
            f"{name:10} {tally.inputs:9,} inputs  {each:7.1f} us each  slowest {tally.slowest * 1e3:6.1f} ms"
        )
        for find, times in tally.finds.items():
            print(f"  FOUND {times} times: {find}")
            found += times
    total = sum(tally.inputs for tally in tallies.values())
    print(f"{total:,} inputs, seed {seed}: {found} finds, memory {growth_mb:+.1f} MB")
    if growth_mb > MOST_GROWTH_MB:
        print("memory is not flat")
        found += 1
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="stop after the round that passes this"
    )
    parser.add_argument("--only", nargs="*", default=[], help="targets")
    given = parser.parse_args()
    return 1 if run(given.inputs, given.seed, given.minutes, given.only) else 0


if __name__ == "__main__":
    sys.exit(main())
