"""A child process that runs an engine, seen from the event loop.

All methods return at once and must be called on the loop's thread. Death of the child is seen as the
end of its socket, so within a loop turn of a `kill -9`. No task and no thread: callbacks only.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agents.providers.child_channel import Frame, packed, unpack_from

ROOT: Final = Path(__file__).resolve().parents[2]
# A child that leaves this much unread is stuck; it is ended rather than fed on.
UNREAD_LIMIT_BYTES: Final = 4 << 20


class ChildProcess:
    """One running `python -m module FD ARGUMENTS...`.

    `on_frame` gets each message, `on_exit` is called once when the child is gone, unless it was
    ended by `end`.
    """

    def __init__(
        self,
        module: str,
        arguments: tuple[str, ...],
        on_frame: Callable[["ChildProcess", Frame], None],
        on_exit: Callable[["ChildProcess"], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_frame = on_frame
        self._on_exit = on_exit
        self._unsent = bytearray()
        self._received = bytearray()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                cwd=ROOT,
            )
        self._socket.setblocking(False)
        self._loop.add_reader(self._socket, self._readable)
        self.alive = True

    @property
    def pid(self) -> int:
        """Process id, for health pages and for tests that end it."""
        return self._process.pid

    def send(
        self, kind: int, context: int = 0, values: object = None, payload: bytes = b""
    ) -> None:
        """Hands a message to the child; nothing happens if it is gone."""
        if not self.alive:
            return
        waiting = bool(self._unsent)
        self._unsent += packed(kind, context, values, payload)
        if len(self._unsent) > UNREAD_LIMIT_BYTES:
            self.kill()
        elif not waiting:
            self._writable()

    def kill(self) -> None:
        """Ends a stuck child; `on_exit` follows on the next loop turn."""
        if self.alive:
            self._process.kill()
            self._unsent.clear()

    def end(self) -> None:
        """Ends the child for good, without `on_exit`. Idempotent."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._process.kill()
        self._process.wait()  # SIGKILL: returns within a millisecond

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the reader sees the end of the socket and reports it
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._socket, self._writable)
        else:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            try:
                data = self._socket.recv(1 << 18)
            except BlockingIOError:
                return
        if not data:
            self.end()
            self._on_exit(self)
            return
        self._received += data
        for frame in unpack_from(self._received):
            self._on_frame(self, frame)
