"""What every `EventLog` does; and what the spool promises beside: kills, damage, full disks, the shipper's reading."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import LogFullError
from telephony.call.events import (
    CallEnded,
    CallEvent,
    CallStarted,
    LegAdded,
    PersonRequested,
    Recorded,
    SegmentHeard,
)
from telephony.call.ids import CALLER, CallId, TurnId
from telephony.call.log import MemoryEventLog
from telephony.call.machine import replay
from telephony.call.ports import EventLog
from voiceapp.adapters.encryption import Keyring, UnreadableBodyError
from voiceapp.adapters.event_log_sqlite import SqliteEventLog
from voiceapp.adapters.spool import SCHEMA, SpoolFile, damaged_spools

CALL, OTHER = CallId("call-1"), CallId("call-2")
CANARY = "my number is five five five"
KEYS = Keyring(bytes(range(32)))


def heard(text: str) -> SegmentHeard:
    return SegmentHeard(
        leg=CALLER,
        role="caller",
        turn=TurnId(1),
        text=text,
        start_s=1.0,
        end_s=1.2,
        pause_before_s=0.3,
    )


EVENTS: tuple[CallEvent, ...] = (
    CallStarted(direction="inbound", transport="sip", called="demo", caller="ann", agent=None),
    LegAdded(leg=CALLER, role="caller", transport="sip"),
    heard(CANARY),
    PersonRequested(reason="asked"),
)


def records(call: CallId = CALL, since: int = 0) -> list[Recorded]:
    return [
        Recorded(
            call=call,
            seq=number,
            at_us=number,
            event=event,
            actor="system",
            idempotency_key=f"k{number}" if number == 4 else None,
        )
        for number, event in enumerate(EVENTS, 1)
        if number > since
    ]


def end(seq: int, call: CallId = CALL, at_us: int = 9) -> Recorded:
    ended = CallEnded(cause="bye", by="caller")
    return Recorded(call=call, seq=seq, at_us=at_us, event=ended, actor="system")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "node1.sqlite3"


@pytest.fixture
def spool(path: Path) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(path, KEYS, retry_s=0.02)
    log.start()
    yield log
    log.close()


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest) -> Any:
    return MemoryEventLog() if request.param == "memory" else request.getfixturevalue("spool")


async def test_records_are_read_back_as_they_were_appended(log: EventLog):
    log.append(records())
    assert list(await log.read(CALL)) == records()
    await log.committed(CALL, 4)
    assert list(await log.read(CALL)) == records()
    assert list(await log.read(CALL, since=3)) == records(since=3)


async def test_calls_do_not_mix(log: EventLog):
    log.append(records())
    log.append(records(OTHER))
    assert list(await log.read(OTHER)) == records(OTHER)
    assert list(await log.read(CallId("nobody"))) == []


async def test_committed_returns_at_once_when_nothing_waits(log: EventLog):
    await log.committed(CALL, 0)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_full_log_refuses_all_but_ends(kind: str, path: Path):
    log: MemoryEventLog | SqliteEventLog
    log = MemoryEventLog(4) if kind == "memory" else SqliteEventLog(path, KEYS, capacity=4)
    log.append(records())
    with pytest.raises(LogFullError):
        log.append(records(OTHER)[:1])
    log.append([end(5)])


# -------------------------------------------------------------------------------------------------- the spool


async def test_class_a_does_not_wait_for_the_batch(spool: SqliteEventLog):
    spool.append(records())
    began = time.monotonic()
    await spool.committed(CALL, 4)
    assert time.monotonic() - began < 1.0
    assert spool.waiting == 0


async def test_a_wait_that_was_given_up_harms_nobody(spool: SqliteEventLog):
    spool.append(records())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await spool.committed(CALL, 4)
    await spool.committed(CALL, 4)


async def test_what_was_said_is_not_readable_on_disk(spool: SqliteEventLog, path: Path):
    spool.append(records())
    await spool.committed(CALL, 4)
    stored = b"".join(part.read_bytes() for part in path.parent.iterdir())
    assert b"PersonRequested" in stored
    assert CANARY.encode() not in stored
    assert b"five" not in stored


def test_the_spool_is_for_its_owner_only(spool: SqliteEventLog, path: Path):
    assert path.stat().st_mode & 0o077 == 0


def overwrite_pages(path: Path) -> None:
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))


async def test_a_body_moved_to_another_record_is_not_accepted(spool: SqliteEventLog, path: Path):
    spool.append([*records(), *records(OTHER)])
    await spool.committed(CALL, 4)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET call = 'call-3' WHERE call = 'call-2'")
    with pytest.raises(UnreadableBodyError):
        await spool.read(CallId("call-3"))
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        faults = [row.fault for row in reader.rows_after(0)]
    assert [bool(fault) for fault in faults] == [False] * 4 + [True, False, True, False]


async def test_the_shipper_reads_on_after_a_position_and_deletes_ended_calls(
    spool: SqliteEventLog, path: Path
):
    spool.append([*records(), end(5, at_us=100), *records(OTHER)])
    await spool.committed(OTHER, 4)
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        first = reader.rows_after(0, limit=3)
        rest = reader.rows_after(first[-1].position)
        assert [row.record for row in first + rest] == [
            *records(),
            end(5, at_us=100),
            *records(OTHER),
        ]
        last = rest[-1].position
        assert reader.delete_shipped(last, ended_before_us=100) == 0
        assert reader.delete_shipped(3, ended_before_us=101) == 3
        assert reader.delete_shipped(last, ended_before_us=101) == 2
        assert reader.rows_after(last) == []
    assert list(await spool.read(OTHER)) == records(OTHER)
    spool.append([end(5, OTHER)])
    await spool.committed(OTHER, 5)
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        assert [row.position for row in reader.rows_after(last)] == [last + 1]


async def test_a_record_appended_twice_is_stored_once(spool: SqliteEventLog):
    spool.append(records())
    spool.append(records())
    await spool.committed(CALL, 4)
    assert list(await spool.read(CALL)) == records()


async def test_a_node_that_starts_again_finds_what_its_predecessor_left(path: Path):
    first = SqliteEventLog(path, KEYS)
    first.start()
    first.append([*records(), end(5), *records(OTHER)])
    first.close()
    second = SqliteEventLog(path, KEYS)
    second.start()
    assert second.unfinished() == {OTHER: 4}
    assert replay(await second.read(CALL)).end_cause == "bye"
    second.close()


@pytest.mark.parametrize("body", [b"no json", b"[]"])
async def test_a_row_that_is_damaged_is_shipped_with_its_fault(
    spool: SqliteEventLog, path: Path, body: bytes
):
    spool.append(records())
    await spool.committed(CALL, 4)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET body = ? WHERE seq = 2", (body,))
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        rows = reader.rows_after(0)
    assert [row.record is None for row in rows] == [False, True, False, False]
    assert "position 2" in rows[1].fault


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path):
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="spool"):
        SqliteEventLog(tmp_path / "spool" / "node1.sqlite3", KEYS).start()


@pytest.mark.parametrize("made_so_far", ["", "CREATE TABLE spool (id TEXT NOT NULL);", SCHEMA])
def test_a_shipper_that_comes_while_the_node_makes_its_spool_is_told(path: Path, made_so_far: str):
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(made_so_far)
    with pytest.raises(FileNotFoundError):
        SpoolFile.attach(path, KEYS)


def test_a_shipper_that_comes_before_the_node_is_told(path: Path):
    with pytest.raises(FileNotFoundError):
        SpoolFile.attach(path, KEYS)


@pytest.mark.parametrize("damage", [b"garbage" * 1000, b""])
def test_a_damaged_spool_is_set_aside_and_a_new_one_begun(path: Path, damage: bytes, caplog: Any):
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    log = SqliteEventLog(path, KEYS)
    log.start()
    log.append(records())
    log.close()
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        assert len(reader.rows_after(0)) == 4
    kept = damaged_spools(path.parent)
    assert [file.read_bytes() for file in kept] == ([damage] if damage else [])


async def test_a_spool_damaged_while_in_use_is_set_aside_and_nothing_is_lost(
    spool: SqliteEventLog, path: Path, caplog: Any
):
    spool.append(records())
    await spool.committed(CALL, 4)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite_pages(path)
    spool.append(records(OTHER))
    await spool.committed(OTHER, 4)
    assert list(await spool.read(OTHER)) == records(OTHER)
    assert len(damaged_spools(path.parent)) == 1
    assert spool.trouble is None


async def test_records_wait_while_the_disk_is_away(spool: SqliteEventLog, path: Path, caplog: Any):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        spool.append(records())
        await spool.committed(CALL, 4)
        other.execute("DROP TABLE event")
        spool.append(records(OTHER))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await spool.committed(OTHER, 4)
        assert spool.trouble is not None
        with closing(SpoolFile.create(path, KEYS)):
            await spool.committed(OTHER, 4)
    assert list(await spool.read(OTHER)) == records(OTHER)
    assert spool.trouble is None


def test_a_record_that_is_no_json_does_not_stop_the_writer(path: Path):
    log = SqliteEventLog(path, KEYS)
    log.start()
    odd = PersonRequested(reason=object())  # type: ignore[arg-type]
    log.append([Recorded(call=CALL, seq=1, at_us=1, event=odd, actor="x"), *records(OTHER)])
    log.close()
    with closing(SpoolFile.attach(path, KEYS)) as reader:
        assert len(reader.rows_after(0)) == 5


async def test_a_record_that_no_file_can_hold_does_not_stop_the_writer(path: Path):
    log = SqliteEventLog(path, KEYS)
    log.start()
    odd = replace(records()[3], idempotency_key="\udcff")
    log.append([*records()[:3], odd, *records(OTHER)])

    async with asyncio.timeout(1.0):
        await log.committed(OTHER, 4)

    assert (await log.read(CALL), await log.read(OTHER)) == (records()[:3], records(OTHER))
    log.close()


WRITER = """
import sys, time
from pathlib import Path
from tests.contract.test_event_log import KEYS, heard, Recorded, CALL, EVENTS
from voiceapp.adapters.event_log_sqlite import SqliteEventLog
log = SqliteEventLog(Path(sys.argv[1]), KEYS)
log.start()
seq = 0
while True:
    seq += 1
    event = EVENTS[seq - 1] if seq < 3 else heard("word")
    log.append([Recorded(call=CALL, seq=seq, at_us=1, event=event, actor="x")])
    sys.stdout.write(f"{seq} {time.monotonic_ns()}\\n")
    sys.stdout.flush()
    time.sleep(0.001)
"""


def test_a_killed_process_loses_its_last_20_ms_at_most(path: Path):
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(300)]
        os.kill(writer.pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        lines += writer.stdout.readlines()
    appended = {
        int(seq): int(at) for seq, at in (line.split() for line in lines if line[-1] == "\n")
    }
    with closing(SpoolFile.create(path, KEYS)) as spool:
        stored = spool.read(CALL)
    assert replay(stored).seq == len(stored)
    lost = [at for seq, at in appended.items() if seq > len(stored)]
    # 20 ms are the promise; the rest is what a busy test machine may add between two instructions.
    assert all(killed_ns - at < 60_000_000 for at in lost)
    assert not damaged_spools(path.parent)
