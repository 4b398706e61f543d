"""Log lines and secrets: no personal data unless asked for, and files for their owner alone."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from voiceapp.configuration import load
from voiceapp.keys import keep_secret, keep_session_key, session_key
from voiceapp.logs import JsonFormatter, PersonalDataFilter

CANARY = "+4930555017"


def line_of(*, allowed: bool) -> dict[str, object]:
    values = {"call_id": "c1", "pii_caller": CANARY}
    record = logging.makeLogRecord(
        {"name": "x", "msg": "call_started", "levelname": "INFO"} | values
    )
    assert PersonalDataFilter(allowed=allowed).filter(record)
    line: dict[str, object] = json.loads(JsonFormatter().format(record))
    return line


def test_a_line_says_what_happened_without_personal_data() -> None:
    line = line_of(allowed=False)

    assert (line["event"], line["call_id"]) == ("call_started", "c1")
    assert CANARY not in json.dumps(line)


def test_personal_data_is_there_when_the_operator_asked_for_it() -> None:
    assert line_of(allowed=True)["pii_caller"] == CANARY


def test_a_line_stays_one_line_whatever_it_holds() -> None:
    record = logging.makeLogRecord({"msg": "a\nb", "reason": "c\nd"})

    assert "\n" not in JsonFormatter().format(record)


def test_the_session_key_is_made_once_and_kept(tmp_path: Path) -> None:
    configuration = load({"VOICEAPP_DATA": str(tmp_path)})
    before = session_key(configuration)

    keep_session_key(configuration)
    kept = session_key(configuration)
    keep_session_key(configuration)

    assert before != kept == session_key(configuration)
    assert len(kept) > 50
    assert stat.S_IMODE((tmp_path / "secrets" / "session.key").stat().st_mode) == 0o600


def test_reading_the_settings_writes_nothing(tmp_path: Path) -> None:
    session_key(load({"VOICEAPP_DATA": str(tmp_path / "none")}))

    assert not (tmp_path / "none").exists()


def test_the_session_key_of_the_environment_is_used_and_not_written(tmp_path: Path) -> None:
    values = {"VOICEAPP_DATA": str(tmp_path), "VOICEAPP_SECRET_KEY": "given"}
    configuration = load(values)

    keep_session_key(configuration)

    assert session_key(configuration) == "given"
    assert list(tmp_path.iterdir()) == []


def test_of_two_processes_that_start_at_once_both_have_the_first_secret(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "x.key"

    def made_by_another() -> bytes:
        path.write_bytes(b"first")
        return b"second"

    assert keep_secret(path, made_by_another) == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["x.key"]


@pytest.mark.django_db
def test_the_migrations_are_those_of_the_models() -> None:
    call_command("makemigrations", "--check", "--dry-run", "-v0")


@pytest.mark.django_db
def test_the_roles_exist_with_their_rights() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT g.name, p.codename FROM auth_group g"
            " JOIN auth_group_permissions gp ON gp.group_id = g.id"
            " JOIN auth_permission p ON p.id = gp.permission_id"
        )
        rights = set(cursor.fetchall())

    assert {
        ("Supervisor", "listen_call"),
        ("Supervisor", "take_over_call"),
        ("Supervisor", "end_call"),
        ("Supervisor", "view_transcript"),
        ("Admin", "publish_agent"),
        ("Admin", "view_pii"),
        ("Admin", "change_widgetkey"),
    } <= rights
    assert ("Supervisor", "view_pii") not in rights
    assert ("Admin", "listen_call") not in rights
