"""The operator's commands: what they print, and their exit codes."""

from __future__ import annotations

import io
import json
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from agents.models import Agent, AgentVersion
from agents.services import publish_agent
from agents.speech.engines import EngineChoice
from telephony.models import Extension, Number, WidgetKey
from tests.integration import nodes
from tests.integration.call_logs import NUMBER, fill_spool, live_call, log_of, whole_call
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.shipper import Shipper
from voiceapp.checkup import Finding, examine
from voiceapp.configuration import load

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_calls(data_folder: Path) -> None:
    fill_spool(data_folder, [*log_of("over", whole_call()), *log_of("live", live_call())])
    shipper = Shipper(data_folder / "spool", Keyring.load(data_folder / "secrets" / "data.key"))
    shipper.ship()
    shipper.close()


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


@pytest.mark.usefixtures("two_calls")
def test_calls_lists_both_and_masks_numbers() -> None:
    text = run("calls")

    assert len(text.splitlines()) == 2
    assert "···17" in text
    assert NUMBER not in text


@pytest.mark.usefixtures("two_calls")
def test_calls_live_lists_only_what_is_up() -> None:
    rows = json.loads(run("calls", "--live", "--json"))

    assert [row["call"] for row in rows] == ["live"]


@pytest.mark.usefixtures("two_calls")
def test_events_prints_the_whole_log_in_order() -> None:
    rows = json.loads(run("events", "over", "--json"))

    assert [row["seq"] for row in rows] == list(range(1, 21))
    assert rows[-1]["kind"] == "CallEnded"
    assert len(run("events", "over").splitlines()) == 20


@pytest.mark.usefixtures("two_calls")
def test_replay_is_the_state_at_the_end_of_the_log() -> None:
    state = json.loads(run("replay", "over", "--json"))

    assert state["phase"] == "ended"
    assert state["conversation"]["slots"] == {"name": "Ann Canary"}


@pytest.mark.usefixtures("two_calls")
def test_replay_shows_an_earlier_moment() -> None:
    assert json.loads(run("replay", "over", "--json", "--upto", "4"))["phase"] == "active"


@pytest.mark.parametrize("command", ["events", "replay"])
@pytest.mark.usefixtures("data_folder")
def test_an_unknown_call_is_one_line_and_exit_2(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(command, "nope")

    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.usefixtures("two_calls")
def test_replay_of_nothing_is_one_line_and_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("replay", "over", "--upto", "0")

    assert ended.value.code == 2
    assert "the log is empty" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- first start


def test_the_demo_is_loaded_once_and_published(data_folder: Path) -> None:
    run("load_demo")
    assert run("load_demo", "-v0") == ""

    assert Agent.objects.get().slug == "receptionist"
    assert AgentVersion.objects.count() == 1
    assert Number.objects.get().dialled == "demo"
    origins = WidgetKey.objects.get(key="demo").origins
    port = load().http.port
    assert {f"http://127.0.0.1:{port}", f"http://localhost:{port}"} <= set(origins)
    snapshot = json.loads((data_folder / "snapshot.json").read_text())
    assert snapshot["routes"] == [{"number": "demo", "agent": "receptionist", "version": 1}]
    assert nodes.requests[-1][1]["snapshot"] == snapshot


def test_loading_the_demo_again_puts_back_nothing_that_people_changed(data_folder: Path) -> None:
    run("load_demo")
    agent = Agent.objects.get()
    agent.steps.filter(name=agent.start).update(say="Good day.\nI am the automated assistant.")
    publish_agent(agent=agent, who="ada")
    Number.objects.all().delete()
    WidgetKey.objects.all().delete()

    run("load_demo")

    snapshot = json.loads((data_folder / "snapshot.json").read_text())
    assert Agent.objects.values_list("published__number").get() == (2,)
    assert snapshot["routes"] == snapshot["widgets"] == []


def test_loading_the_demo_again_opens_no_key_that_was_closed(data_folder: Path) -> None:
    run("load_demo")
    WidgetKey.objects.update(origins=[])

    run("load_demo")

    assert WidgetKey.objects.get().origins == []


def test_the_first_login_works_and_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setenv("VOICEAPP_DATA", str(tmp_path))

    run("first_login")

    path = tmp_path / "first-login.txt"
    lines = path.read_text().splitlines()
    password = lines[1].removeprefix("password: ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert client.login(username="supervisor", password=password)


def test_a_second_first_login_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICEAPP_DATA", str(tmp_path))
    User.objects.create_user("somebody")

    assert "There are users already" in run("first_login")
    assert not (tmp_path / "first-login.txt").exists()
    assert User.objects.count() == 1


# ------------------------------------------------------------------------------------------ doctor


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def finding(name: str, **variables: str) -> Finding:
    variables.setdefault("engines", "fake")
    values = {f"VOICEAPP_{key.upper()}": value for key, value in variables.items()}
    return next(one for one in examine(load(values)) if one.name == name)


def test_a_port_of_another_program_is_named_with_what_to_do(tmp_path: Path) -> None:
    with taken_port() as port:
        found = finding("port HTTP", data=str(tmp_path), http=f"127.0.0.1:{port}")

    assert not found.ok
    assert "set VOICEAPP_HTTP" in found.remedy


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    found = finding("port SIP over UDP", data=str(tmp_path), sip="192.0.2.1:5060")

    assert not found.ok
    assert "set VOICEAPP_SIP" in found.remedy


def test_a_data_folder_that_others_can_read_is_a_fault(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    assert finding("data folder", data=str(tmp_path)).remedy == f"chmod 700 {tmp_path}"


def test_a_missing_data_folder_is_a_fault(tmp_path: Path) -> None:
    assert not finding("data folder", data=str(tmp_path / "none")).ok


def test_keys_that_others_can_read_are_a_fault(tmp_path: Path) -> None:
    Keyring.load(tmp_path / "secrets" / "data.key")
    (tmp_path / "secrets" / "data.key").chmod(0o644)

    assert "data.key" in finding("secrets", data=str(tmp_path)).found


def test_a_spool_that_cannot_be_read_is_a_finding_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "node1.db").write_text("not a database")

    assert not finding("spools", data=str(tmp_path)).ok


def test_a_readable_spool_and_a_migrated_database_are_fine(tmp_path: Path) -> None:
    fill_spool(tmp_path, log_of("c1", live_call()))

    assert finding("spool", data=str(tmp_path)).ok
    assert finding("migrations", data=str(tmp_path)).ok


@pytest.mark.timeout(40)  # engines load their models
def test_the_doctor_tries_the_engines_that_a_worker_would_start(tmp_path: Path) -> None:
    found = finding("voice", data=str(tmp_path), engines="embedded")

    assert found == Finding("voice", True, "flite, first choice")


@pytest.mark.parametrize(
    ("engine", "ok", "told"),
    [("espeak", True, "espeak, because flite is missing"), ("none", False, "no engine can run")],
)
def test_a_voice_that_is_not_the_first_choice_is_told_with_what_to_install(
    engine: str, ok: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = (("flite", "flite: not found (apt install flite)"),)
    why = told.removeprefix("espeak, ")
    choice = EngineChoice("tts", engine, why, refused)
    monkeypatch.setattr("voiceapp.checkup.engine_choices", lambda _: (choice,))

    found = finding("voice", data=str(tmp_path), engines="embedded")

    assert found.ok is ok
    assert told in found.found
    assert "apt install flite" in found.remedy


def test_an_engine_that_was_asked_for_and_cannot_run_is_a_fault(tmp_path: Path) -> None:
    found = finding(
        "speech engines", data=str(tmp_path), engines="embedded", llm_url="http://[::1]:9/"
    )

    assert not found.ok
    assert "model name" in found.found


def test_the_doctor_names_the_libopus_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceapp.checkup.library_name", lambda: "/venv/av.libs/libopus-1a2b.so")

    assert finding("codec Opus", data=str(tmp_path)).found == "libopus-1a2b.so inside PyAV"


def test_the_doctor_sees_phones_that_cannot_log_in_and_a_registrar_without_phones(
    tmp_path: Path,
) -> None:
    data = str(tmp_path)

    def named() -> list[str]:
        return [one.name for one in examine(load({"VOICEAPP_DATA": data}))]

    assert "extensions" not in named()
    empty = finding("extensions", data=data, registrar="1")
    assert (empty.ok, "none is set up" in empty.found, "Extensions" in empty.remedy) == (True,) * 3
    Extension.objects.create(name="200", label="Front desk")
    locked = finding("extensions", data=data)
    assert (locked.ok, locked.found) == (False, "1 set up, but no phone can log in")
    assert "VOICEAPP_REGISTRAR=1" in locked.remedy
    assert finding("extensions", data=data, registrar="1").ok


@pytest.mark.parametrize(("ok", "code"), [(True, None), (False, 1)])
def test_the_doctor_exits_by_what_it_found(
    ok: bool, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = [Finding("thing", ok=ok, found="there", remedy="" if ok else "mend it")]
    monkeypatch.setattr("voiceapp.management.commands.doctor.examine", lambda _: found)
    output = io.StringIO()

    try:
        call_command("doctor", "--json", stdout=output)
        ended = None
    except SystemExit as leaving:
        ended = leaving.code

    assert ended == code
    assert json.loads(output.getvalue())[0]["remedy"] == found[0].remedy


@pytest.mark.parametrize("command", [("calls", "--live"), ("events", "c1"), ("replay", "c1")])
def test_a_data_folder_that_was_never_started_is_named_in_one_line(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", list)

    with pytest.raises(SystemExit) as leaving:
        run(*command)

    assert leaving.value.code == 2
    assert capsys.readouterr().err == (
        "The database is empty: `make run` fills it, or `manage.py migrate`.\n"
    )


def test_try_call_refuses_a_recording_that_cannot_be_kept_before_it_calls(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No such file or directory.*away/out.wav"):
        run("try_call", "--record", str(tmp_path / "away" / "out.wav"), "--sip", "not a uri")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("demo", "is no SIP URI such as sip:demo@127.0.0.1:5060"),
        ("tel:+4930555017", "cannot be called"),
        ("sip:127.0.0.1", "cannot be called"),
        ("sip:demo@nowhere.invalid", "there is no machine nowhere.invalid"),
    ],
)
def test_try_call_says_what_is_wrong_with_a_uri(uri: str, words: str) -> None:
    with pytest.raises(CommandError, match=re.escape(words)):
        run("try_call", "--sip", uri)
