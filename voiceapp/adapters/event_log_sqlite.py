"""`EventLog` of a media node: a ring in memory, and a thread that writes it to the spool in batches.

`append` costs the loop a list operation; serialising, encrypting and SQLite happen in the thread. What a killed
process loses is what was appended within the last batch (`BATCH_S` and its commit: 20 ms). While the disk is away the
ring holds the records and the thread tries again; a full ring refuses (`LogFullError`), but never the end of a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from telephony.call.errors import LogFullError
from telephony.call.events import CallEnded, Recorded
from telephony.call.ids import CallId
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.spool import SpoolFile, read_call, set_aside

log = logging.getLogger(__name__)

CAPACITY: Final = 10_000
BATCH_S: Final = 0.010
BATCH_RECORDS: Final = 1_000
RETRY_S: Final = 0.5
STOP_S: Final = 5.0

Waiter = tuple[int, asyncio.AbstractEventLoop, asyncio.Future[None]]


class SqliteEventLog:
    """The writer of one spool. `trouble`: what keeps it from writing, or None."""

    def __init__(
        self, path: Path, keyring: Keyring, *, capacity: int = CAPACITY, retry_s: float = RETRY_S
    ) -> None:
        self._path = path
        self._keyring = keyring
        self._capacity = capacity
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._ring: deque[Recorded] = deque()
        self._appended = 0
        self._written = 0
        self._waiters: list[Waiter] = []
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"spool {path.stem}", daemon=True)
        self._file: SpoolFile | None = None
        self.trouble: str | None = None

    def start(self) -> None:
        """Opens the spool, checks it, and begins to write. Blocks; call it before the loop has work.

        Raises: OSError or sqlite3.OperationalError when the folder cannot be written.
        """
        self._file = SpoolFile.create(self._path, self._keyring)
        self._thread.start()

    def close(self) -> None:
        """Writes what is left and stops; blocks for `STOP_S` at most."""
        self._stopping.set()
        self._hurry.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return len(self._ring)

    def unfinished(self) -> dict[CallId, int]:
        """See `SpoolFile.unfinished`; call it between `start` and the first `append`."""
        return {} if self._file is None else self._file.unfinished()

    def append(self, records: Sequence[Recorded]) -> None:
        with self._lock:
            ends = any(isinstance(record.event, CallEnded) for record in records)
            if len(self._ring) + len(records) > self._capacity and not ends:
                raise LogFullError(f"{len(self._ring)} records wait")
            self._ring.extend(records)
            self._appended += len(records)
        self._wake.set()

    async def committed(self, call: CallId, seq: int) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._written == self._appended:
                return
            future = loop.create_future()
            self._waiters.append((self._appended, loop, future))
        self._hurry.set()
        await future

    async def read(self, call: CallId, since: int = 0) -> Sequence[Recorded]:
        with self._lock:
            waiting = [one for one in self._ring if one.call == call and one.seq > since]
        stored = await asyncio.to_thread(read_call, self._path, self._keyring, call, since)
        known = {record.seq for record in stored}
        return [*stored, *(record for record in waiting if record.seq not in known)]

    # ----------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._hurry.wait(BATCH_S)
            self._hurry.clear()
            self._drain()
            if self._stopping.is_set():
                break
        if self._file is not None:
            self._file.close()

    def _drain(self) -> None:
        while self._ring:
            with self._lock:
                batch = list(islice(self._ring, BATCH_RECORDS))
            if self._write(batch):
                self._done(len(batch))
            elif self._stopping.wait(self._retry_s):
                return

    def _write(self, batch: Sequence[Recorded]) -> bool:
        try:
            if self._file is None:
                self._file = SpoolFile.create(self._path, self._keyring)
            self._file.insert(batch)
        except (sqlite3.OperationalError, OSError) as error:
            self._troubled(error)
            return False
        except sqlite3.DatabaseError as error:
            self._troubled(error)
            self._file_is_damaged(error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever a record does, the thread writes on for all other calls
            return self._write_what_fits(batch, error)
        if self.trouble is not None:
            log.warning("spool_writes_again", extra={"file": self._path.name})
            self.trouble = None
        return True

    def _write_what_fits(self, batch: Sequence[Recorded], error: Exception) -> bool:
        """One record that SQLite cannot hold is given up; its call's log then has a gap that readers report."""
        if len(batch) > 1:
            return all(self._write([record]) for record in batch)
        about = {"call_id": batch[0].call, "seq": batch[0].seq, "kind": batch[0].kind}
        log.error("record_given_up", extra={**about, "reason": type(error).__name__})
        return True

    def _troubled(self, error: sqlite3.Error | OSError) -> None:
        if self.trouble is None:
            log.error("spool_write_failed", extra={"file": self._path.name, "reason": str(error)})
        self.trouble = str(error)

    def _file_is_damaged(self, error: sqlite3.Error) -> None:
        """The next attempt begins a new file; what is in the ring is not lost."""
        if self._file is not None:
            self._file.close()
            self._file = None
        try:
            set_aside(self._path, str(error))
        except OSError as failure:
            self._troubled(failure)

    def _done(self, count: int) -> None:
        with self._lock:
            for _ in range(count):
                self._ring.popleft()
            self._written += count
            ready = [waiter for waiter in self._waiters if waiter[0] <= self._written]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self._written]
        for _, loop, future in ready:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
