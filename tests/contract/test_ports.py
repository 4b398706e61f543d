"""Ports of test programs: no two processes of a machine have the same."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_ports, free_range

FEW = range(9_900, 9_940)
ASK = (
    "from tests.ports import free_range; print(free_range({}, range({}, {})), flush=True); input()"
)


@contextmanager
def another_process(count: int, among: range) -> Iterator[int]:
    """Asks for this many in a row and lives on; the first that it was given."""
    with subprocess.Popen(
        [sys.executable, "-c", ASK.format(count, among.start, among.stop)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate("\n", 10)


def test_what_another_process_was_given_stays_its_own_until_it_ends() -> None:
    with another_process(32, FEW) as theirs:
        ours = [free_range(2, FEW) for _ in range(4)]
        assert all(number + 1 < theirs or number >= theirs + 32 for number in ours)
    again = FEW[(theirs - FEW.start) : (theirs - FEW.start) + 32]
    assert free_range(32, again) == theirs


def test_no_port_is_given_twice_and_none_that_a_program_without_a_lock_holds() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as left:
        among = range(9_860, 9_900)
        left.bind(("127.0.0.9", 9_871))
        given = [free_range(2, among) for _ in range(19)]
        assert len(set(given)) == 19
        assert 9_870 not in given


def test_ports_leave_their_neighbours_to_the_same_program() -> None:
    one, other = free_ports(2)
    assert one % 2 == other % 2 == 0
    assert one != other
