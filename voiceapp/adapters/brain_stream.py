"""One connection to an agent worker: messages over a Unix stream.

What arrives at once is handed on for 2 ms at a time, so that others have their turn in the loop between. What is said in
one turn of the loop leaves in one piece at its end, for each write is a system call. A worker that says more than is
handed on waits until it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agents.brain import FromWorker, ToWorker
from agents.brain_wire import BrainMessageError, Decoder, encode

log = logging.getLogger(__name__)

STALLED_S: Final = 2.5
"""Five heartbeats: a worker that is silent for longer answers no caller in time."""
MOST_UNSENT_BYTES: Final = 4 << 20
READ_BYTES: Final = 1 << 16
TURN_S: Final = 0.002
MOST_WAITING: Final = 1_000
"""Messages that wait to be handed on; with more, nothing is read until there are none."""

Take = Callable[[FromWorker | ToWorker], None]


class WorkerStream(asyncio.BufferedProtocol):
    """Says `first` before all else, hands each message to `take` and tells `reject` of each that is none."""

    def __init__(self, take: Take, first: ToWorker, reject: Callable[[], None]) -> None:
        self._take = take
        self._reject = reject
        self._first = first
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._read = bytearray(READ_BYTES)
        self._arrived: deque[FromWorker | ToWorker] = deque()
        self._unsent: list[bytes] = []
        self._heard_at = self._loop.time()
        self._gone = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def connect(self, path: Path) -> None:
        """Once. Raises: OSError if nobody listens there, or takes the connection in time."""
        async with asyncio.timeout(STALLED_S):
            await self._loop.create_unix_connection(lambda: self, str(path))
        self._heard_at = self._loop.time()

    async def wait_gone(self) -> bool:
        """Returns when the connection has ended, True, or when the worker has been silent for too long."""
        while not self._gone.is_set():
            left = self._heard_at + STALLED_S - self._loop.time()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(left):
                    await self._gone.wait()
            except TimeoutError:
                continue
        return True

    def write(self, message: ToWorker) -> None:
        """Never blocks. A worker that does not read its messages is stalled, and is given up like a dead one."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(encode(message))

    def abort(self) -> None:
        """Ends the connection; what is unsent is lost."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self._transport.abort()

    # ------------------------------------------------------------------------------- of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            # Here, for the worker's first word is answered as soon as it is read.
            self.write(self._first)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        self._heard_at = self._loop.time()
        waiting = bool(self._arrived)
        try:
            for message in self._decoder.feed(memoryview(self._read)[:nbytes]):
                if isinstance(message, BrainMessageError):
                    self._reject()
                else:
                    self._arrived.append(message)
        except BrainMessageError as error:
            log.warning("worker_talks_nonsense", extra={"reason": str(error)})
            self.abort()
        if len(self._arrived) > MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()
        if not waiting:
            self._hand_on()

    def _hand_on(self) -> None:
        # What waits was said: it is not the worker who is late.
        now = self._heard_at = self._loop.time()
        while self._arrived and not self._gone.is_set():
            try:
                self._take(self._arrived.popleft())
            except Exception:  # what the worker says from now on would mean something else
                log.exception("worker_message_failed")
                self._arrived.clear()
                self.abort()
                return
            if self._arrived and self._loop.time() > now + TURN_S:
                self._loop.call_soon(self._hand_on)
                return
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._gone.set()
