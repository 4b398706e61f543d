"""Ports of test programs: each is given once, to one process of this machine, whatever else runs beside it.

A test that opens the socket itself binds port 0. One that must name a port beforehand asks here. Each port is one byte
of a lock file: the kernel holds a record lock as long as the process that asked lives, and no longer. What a program
still holds whose test died is seen by trying.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

PORTS = range(17_000, 32_768)
"""Above the ports of a product that runs with its defaults, below those that the kernel gives for port 0."""
FOUR_DIGITS = range(6_000, 10_000)
"""For programs that cut longer numbers (sipsak)."""
LOCKS = Path(tempfile.gettempdir()) / f"voiceapp-test-ports-{os.getuid()}"
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
_given: set[int] = set()
_asking = threading.Lock()
_file: list[int] = []


def free_range(count: int, among: range = PORTS) -> int:
    """First of `count` ports in a row, all free for UDP and TCP; an even number, as RTP wants. They stay this process's own."""
    steps = len(among) // 2
    begin = os.getpid() * 37 % steps
    with _asking:
        for step in range(steps):
            first = among[(begin + step) % steps * 2]
            wanted = range(first, first + count)
            if wanted.stop <= among.stop and _given.isdisjoint(wanted) and _take(wanted):
                return first
    raise AssertionError(f"no {count} ports in a row are free in {among}")


def free_ports(count: int, among: range = PORTS) -> list[int]:
    """Single ports, for UDP and TCP; the one after each is nobody else's: some programs take it too."""
    return [free_range(2, among) for _ in range(count)]


def _take(wanted: range) -> bool:
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, len(wanted), wanted.start)
    except (BlockingIOError, PermissionError):  # another process has one of them
        return False
    if not all(_is_free(number) for number in wanted):
        fcntl.lockf(_locks(), fcntl.LOCK_UN, len(wanted), wanted.start)
        return False
    _given.update(wanted)
    return True


def _locks() -> int:
    # Opened once and never closed: to close any handle of the file gives up all the locks of a process.
    if not _file:
        _file.append(os.open(LOCKS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return _file[0]


def _is_free(number: int) -> bool:
    """At every address of this machine."""
    with ExitStack() as tried:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            end = tried.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                end.bind(("0.0.0.0", number))
            except OSError as error:
                if error.errno in _TAKEN:
                    return False
                raise
    return True
