"""The spool of a media node: one SQLite file in WAL mode that holds events until the shipper has taken them.

Written by the node's writer thread (`event_log_sqlite`), read and emptied by the shipper's process. A connection is
for one thread at a time. Bodies with speech or personal data are encrypted.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from telephony.call.errors import BrokenLogError
from telephony.call.events import Recorded
from telephony.call.ids import CallId
from telephony.call.serial import VERSION, event_to_json, holds_personal_data, record_from_json
from voiceapp.adapters.encryption import Keyring

log = logging.getLogger(__name__)

BUSY_MS: Final = 5_000

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS spool (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    call TEXT NOT NULL, seq INTEGER NOT NULL, at_us INTEGER NOT NULL,
    kind TEXT NOT NULL, version INTEGER NOT NULL, actor TEXT NOT NULL, id TEXT,
    private INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (call, seq)
);
CREATE UNIQUE INDEX IF NOT EXISTS event_id ON event (call, id) WHERE id IS NOT NULL;
"""

_COLUMNS: Final = "position, call, seq, at_us, kind, version, actor, id, private, body"

# A value that is not JSON becomes text that no reader accepts: one bad record must not stop the writer.
_to_text: Final = json.JSONEncoder(separators=(",", ":"), default=repr).encode

Row = tuple[int, str, int, int, str, int, str, str | None, int, bytes]


@dataclass(frozen=True, slots=True)
class SpoolRow:
    """A record and its position in the spool; `record` None: it cannot be read, and `fault` says why."""

    position: int
    call: CallId
    seq: int
    record: Recorded | None
    fault: str = ""


class SpoolFile:
    """An open spool. `spool_id` tells one file from its successor: positions are counted per file."""

    def __init__(self, connection: sqlite3.Connection, keyring: Keyring) -> None:
        self._connection = connection
        self._keyring = keyring
        self.spool_id: str = connection.execute("SELECT id FROM spool").fetchone()[0]

    @classmethod
    def attach(cls, path: Path, keyring: Keyring) -> SpoolFile:
        """Opens an existing spool. Raises: FileNotFoundError also while its node is making it, sqlite3.Error."""
        if not path.exists():
            raise FileNotFoundError(path.name)
        connection = _connect(path)
        if not _begun(connection):
            connection.close()
            raise FileNotFoundError(path.name)
        return cls(connection, keyring)

    @classmethod
    def create(cls, path: Path, keyring: Keyring) -> SpoolFile:
        """Opens or makes a spool; one that fails its check is set aside first, beside the new one.

        Raises: OSError or sqlite3.OperationalError when the folder cannot be written.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return cls._checked(path, keyring)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            set_aside(path, str(error))
            return cls._checked(path, keyring)

    @classmethod
    def _checked(cls, path: Path, keyring: Keyring) -> SpoolFile:
        path.touch(mode=0o600)
        connection = _connect(path)
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError("quick_check failed")
            connection.executescript(SCHEMA)
            with connection:
                name = secrets.token_hex(8)
                connection.execute(
                    "INSERT INTO spool SELECT ? WHERE NOT EXISTS (SELECT 1 FROM spool)", (name,)
                )
            return cls(connection, keyring)
        except sqlite3.Error:
            connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    # ---------------------------------------------------------------------------------------- the node

    def insert(self, records: Sequence[Recorded]) -> None:
        """One transaction; a record that is there already is left as it is. Raises: sqlite3.Error."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO event"
                " (call, seq, at_us, kind, version, actor, id, private, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [self._to_row(record) for record in records],
            )

    def read(self, call: CallId, since: int = 0) -> list[Recorded]:
        """Records of a call after `since`. Raises: BrokenLogError, with the position in the text."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM event WHERE call = ? AND seq > ? ORDER BY seq",  # noqa: S608 - constant columns
            (call, since),
        )
        return [self._to_record(row) for row in rows]

    def unfinished(self) -> dict[CallId, int]:
        """Calls without an end, and their last `seq`: a node that starts closes what its predecessor left."""
        rows = self._connection.execute(
            "SELECT call, max(seq) FROM event GROUP BY call HAVING sum(kind = 'CallEnded') = 0"
        )
        return {CallId(call): seq for call, seq in rows}

    # ------------------------------------------------------------------------------------- the shipper

    def rows_after(self, position: int, limit: int = 500) -> list[SpoolRow]:
        """The next rows to be shipped, in the order of writing. An unreadable one is a row with its fault."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM event WHERE position > ? ORDER BY position LIMIT ?",  # noqa: S608 - constant columns
            (position, limit),
        )
        return list(self._shippable(rows.fetchall()))

    def delete_shipped(self, position: int, ended_before_us: int) -> int:
        """Deletes shipped rows of calls that ended before that wall time; answers how many."""
        with self._connection:
            done = self._connection.execute(
                "DELETE FROM event WHERE position <= ? AND call IN"
                " (SELECT call FROM event WHERE kind = 'CallEnded' AND at_us < ?)",
                (position, ended_before_us),
            )
        return done.rowcount

    # -------------------------------------------------------------------------------------------- rows

    def _shippable(self, rows: Sequence[Row]) -> Iterator[SpoolRow]:
        for row in rows:
            position, call, seq = row[0], CallId(row[1]), row[2]
            try:
                yield SpoolRow(position, call, seq, self._to_record(row))
            except BrokenLogError as error:
                yield SpoolRow(position, call, seq, None, str(error))

    def _to_row(self, record: Recorded) -> tuple[object, ...]:
        kind = record.kind
        body = _to_text(event_to_json(record.event)).encode()
        private = holds_personal_data(kind)
        if private:
            body = self._keyring.encrypt(body, _context(record.call, record.seq, kind))
        return (
            record.call,
            record.seq,
            record.at_us,
            kind,
            VERSION,
            record.actor,
            record.idempotency_key,
            private,
            body,
        )

    def _to_record(self, row: Row) -> Recorded:
        position, call, seq, at_us, kind, version, actor, name, private, body = row
        if private:
            body = self._keyring.decrypt(body, _context(call, seq, kind))
        values = {
            "call": call,
            "seq": seq,
            "at_us": at_us,
            "kind": kind,
            "version": version,
            "actor": actor,
            "id": name,
            "event": _event_body(body, position),
        }
        return record_from_json(values)


def set_aside(path: Path, reason: str) -> Path:
    """Renames a damaged spool (and its WAL, without which it may be worse) out of the way; answers its new name."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    log.error("spool_set_aside", extra={"file": aside.name, "reason": reason})
    return aside


def damaged_spools(folder: Path) -> list[Path]:
    """Spools that were set aside and wait for a person."""
    aside = folder.glob("*.damaged-*")
    return sorted(path for path in aside if not path.name.endswith(("-wal", "-shm")))


def _begun(connection: sqlite3.Connection) -> bool:
    """Whether the file has its tables and its name."""
    tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('spool', 'event')"
    if connection.execute(tables).fetchone()[0] < 2:
        return False
    return connection.execute("SELECT 1 FROM spool").fetchone() is not None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _context(call: str, seq: int, kind: str) -> str:
    return f"{call}:{seq}:{kind}"


def _event_body(body: bytes, position: int) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise BrokenLogError(f"the body at position {position} is not JSON") from error
    if not isinstance(value, dict):
        raise BrokenLogError(f"the body at position {position} is not an object")
    return value


def read_call(path: Path, keyring: Keyring, call: CallId, since: int) -> list[Recorded]:
    """Reads a call on a connection of its own; for a worker thread. Raises: as `SpoolFile.read`."""
    with closing(SpoolFile.attach(path, keyring)) as spool:
        return spool.read(call, since)
