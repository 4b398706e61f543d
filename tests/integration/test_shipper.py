"""The shipper: each event exactly once in the database, however often it is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from telephony.call.events import SlotFilled
from telephony.models import (
    CallEventRow,
    CallRecord,
    CallSummary,
    Outbox,
    RejectedEvent,
    ShipperPosition,
)
from telephony.selectors import log_of_call, row_of_call, state_of_call
from telephony.services import deliver_due, utc_now
from tests.integration.call_logs import NUMBER, fill_spool, live_call, log_of, whole_call
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.shipper import Shipper, hand_out

pytestmark = pytest.mark.django_db
REPOSITORY = Path(__file__).resolve().parent.parent.parent


@contextmanager
def shipper_of(data: Path) -> Iterator[Shipper]:
    shipper = Shipper(data / "spool", Keyring.load(data / "secrets" / "data.key"))
    yield shipper
    shipper.close()


def ship(data: Path) -> None:
    """A shipper that has just been started, until nothing waits."""
    with shipper_of(data) as shipper:
        while shipper.ship():
            pass


def test_a_log_arrives_as_it_was_written(data_folder: Path) -> None:
    records = log_of("c1", whole_call())
    fill_spool(data_folder, records)

    ship(data_folder)

    assert log_of_call("c1") == records


def test_the_row_of_a_call_follows_its_events(data_folder: Path) -> None:
    records = log_of("c1", whole_call())
    fill_spool(data_folder, records[:15])
    with shipper_of(data_folder) as shipper:
        shipper.ship()
        live = CallRecord.objects.get()

        fill_spool(data_folder, records)
        shipper.ship()

    ended = CallRecord.objects.get()
    assert (live.is_live, live.seq, live.caller, live.barge_ins) == (True, 15, NUMBER, 1)
    assert (ended.is_live, ended.seq, ended.end_cause) == (False, 20, "caller_hung_up")
    assert row_of_call("c1")["node"] == "node1"


def test_a_restarted_shipper_goes_on_from_the_database(data_folder: Path) -> None:
    records = log_of("c1", whole_call())
    fill_spool(data_folder, records[:7])
    ship(data_folder)
    fill_spool(data_folder, records)

    ship(data_folder)

    assert [row.seq for row in CallEventRow.objects.all()] == list(range(1, 21))


def test_rows_that_come_again_are_recognised(data_folder: Path) -> None:
    fill_spool(data_folder, log_of("c1", whole_call()))
    ship(data_folder)
    ShipperPosition.objects.update(position=0)

    ship(data_folder)

    assert CallEventRow.objects.count() == 20
    assert Outbox.objects.count() == 1
    assert not RejectedEvent.objects.exists()


def test_a_new_spool_of_the_same_node_is_read_from_its_beginning(data_folder: Path) -> None:
    path = fill_spool(data_folder, log_of("c1", whole_call()))
    ship(data_folder)
    path.unlink()
    fill_spool(data_folder, log_of("c2", live_call()))

    ship(data_folder)

    assert state_of_call("c2").seq == 15


def test_an_altered_row_is_kept_aside_and_the_others_arrive(data_folder: Path) -> None:
    path = fill_spool(data_folder, [*log_of("c1", whole_call()), *log_of("c2", live_call())])
    with closing(sqlite3.connect(path)) as spool, spool:
        spool.execute("UPDATE event SET body = x'00' WHERE call = 'c1' AND seq = 20")

    ship(data_folder)

    rejected = RejectedEvent.objects.get()
    assert (rejected.call, rejected.seq) == ("c1", 20)
    assert state_of_call("c1").seq == 19
    assert state_of_call("c2").seq == 15


def test_an_event_that_does_not_follow_is_kept_aside(data_folder: Path) -> None:
    records = log_of("c1", whole_call())
    fill_spool(data_folder, [*records[:3], *records[4:]])

    ship(data_folder)

    assert state_of_call("c1").seq == 3
    assert RejectedEvent.objects.count() == 16
    assert "does not follow" in RejectedEvent.objects.all()[0].reason


def test_a_file_that_is_no_spool_stops_nothing(data_folder: Path) -> None:
    fill_spool(data_folder, log_of("c1", live_call()))
    (data_folder / "spool" / "node0.db").write_text("not a database")

    ship(data_folder)

    assert state_of_call("c1").seq == 15


def test_the_end_of_a_call_writes_its_summary_once(data_folder: Path) -> None:
    fill_spool(data_folder, log_of("c1", whole_call()))
    ship(data_folder)

    assert hand_out() == 1
    assert hand_out() == 0

    summary = CallSummary.objects.get()
    assert "when are you open on friday" in summary.text
    assert summary.figures["median_response_ms"] == 600.0


def test_a_live_call_has_no_work_to_follow(data_folder: Path) -> None:
    fill_spool(data_folder, log_of("c1", live_call()))

    ship(data_folder)

    assert not Outbox.objects.exists()


def test_a_task_that_fails_comes_back_later_and_keeps_none_from_running() -> None:
    now = utc_now()
    for key in ("bad", "good"):
        Outbox.objects.create(topic="t", key=key, body={"key": key}, next_at=now)
    done: list[str] = []

    def deliver(topic: str, body: Mapping[str, Any]) -> None:
        if body["key"] == "bad":
            raise ValueError("no")
        done.append(body["key"])

    assert deliver_due(now=now, deliver=deliver) == 1
    assert deliver_due(now=now + timedelta(seconds=1), deliver=deliver) == 0
    assert done == ["good"]
    bad = Outbox.objects.get(key="bad")
    assert (bad.tries, bad.last_error, bad.done_at) == (1, "ValueError", None)
    deliver_due(now=now + timedelta(seconds=6), deliver=deliver)
    assert Outbox.objects.get(key="bad").tries == 2


# ------------------------------------------------------------------------------------- real processes

CALLS = 250


@pytest.mark.timeout(60)
def test_a_shipper_killed_again_and_again_leaves_no_gap_and_no_duplicate(tmp_path: Path) -> None:
    environment = os.environ | {"VOICEAPP_DATA": str(tmp_path)}
    manage = [sys.executable, str(REPOSITORY / "manage.py")]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)
    logs = [log_of(f"c{number}", whole_call()) for number in range(CALLS)]
    fill_spool(tmp_path, [record for log in logs for record in log])
    stored = tmp_path / "db.sqlite3"

    seen = []
    for _ in range(3):
        before = count(stored)
        process = subprocess.Popen([*manage, "shipper"], env=environment)
        deadline = time.monotonic() + 15
        while count(stored) == before and before < CALLS * 20 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(count(stored))
    assert 0 < seen[0] < CALLS * 20, "the first kill came before or after the work"
    subprocess.run([*manage, "shipper", "--once"], env=environment, check=True, timeout=30)

    with closing(sqlite3.connect(stored)) as database:
        stored_logs = database.execute(
            "SELECT count(*), min(seq), max(seq), count(DISTINCT seq)"
            " FROM telephony_calleventrow GROUP BY record_id"
        ).fetchall()
        summaries = database.execute("SELECT count(*) FROM telephony_callsummary").fetchone()[0]
    assert stored_logs == [(20, 1, 20, 20)] * CALLS
    assert summaries == CALLS


def count(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        found = connection.execute("SELECT count(*) FROM telephony_calleventrow").fetchone()
    return int(found[0])


def test_a_row_that_no_column_can_hold_is_put_aside_and_the_others_go_on(data_folder: Path) -> None:
    broken = live_call()
    broken[14] = SlotFilled(name="name", value="Ann \udcff")
    fill_spool(data_folder, [*log_of("c1", broken), *log_of("c2", whole_call())])

    ship(data_folder)

    rejected = RejectedEvent.objects.get()
    assert (rejected.call, rejected.seq, rejected.reason) == ("c1", 15, "UnicodeEncodeError")
    assert CallRecord.objects.get(pk="c1").seq == 14
    assert log_of_call("c2") == log_of("c2", whole_call())


def test_a_call_whose_log_was_altered_in_the_database_holds_no_other_up(data_folder: Path) -> None:
    records = log_of("c1", whole_call())
    fill_spool(data_folder, records[:7])
    ship(data_folder)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE telephony_calleventrow SET body = 'AAAA' WHERE seq = 3")
    fill_spool(data_folder, [*records[7:9], *log_of("c2", whole_call())])

    ship(data_folder)

    assert log_of_call("c2") == log_of("c2", whole_call())
    assert [row.seq for row in RejectedEvent.objects.order_by("seq")] == [8, 9]


def test_a_task_that_has_failed_for_weeks_is_still_put_off(data_folder: Path) -> None:
    now = utc_now()
    Outbox.objects.create(topic="call_ended", key="c1", tries=2_000, next_at=now)

    def fails(topic: str, body: Mapping[str, Any]) -> None:
        raise ValueError

    deliver_due(now=now, deliver=fails)

    assert Outbox.objects.get().next_at == now + timedelta(hours=1)
