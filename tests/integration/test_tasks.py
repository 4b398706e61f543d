"""What follows a call: in-process without a broker, by a real Celery worker with a real Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.conversation.summary import summarise
from agents.tasks import write_summary
from telephony.call.errors import CallGoneError
from telephony.call.events import CallStarted, PersonRequested
from tests.integration.call_logs import fill_spool, live_call, log_of, whole_call
from tests.ports import free_range

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def test_a_summary_says_who_what_and_how_it_ended() -> None:
    summary = summarise(log_of("c1", whole_call()))

    assert summary.text.splitlines() == [
        "+4930555017 called demo and spoke with receptionist (version 1) for 8 s.",
        "The caller said: “when are you open on friday”; “and can I book a check up”.",
        "Noted: name: Ann Canary.",
        "Taken over by sam.",
        "It ended at the step “welcome”: caller hung up.",
        "2 turns, 1 interruption; median response 600 ms.",
    ]


def test_the_figures_of_a_summary_hold_numbers_alone() -> None:
    figures = summarise(log_of("c1", whole_call())).figures

    assert figures["takeovers"] == 1
    assert all(value is None or isinstance(value, int | float) for value in figures.values())


def test_a_request_for_a_person_that_nobody_took_is_mentioned() -> None:
    summary = summarise(log_of("c1", [*live_call(), PersonRequested(reason="asked")]))

    assert "A person was asked for and none took the call." in summary.text


def test_a_call_without_words_has_a_summary_too() -> None:
    started = CallStarted(
        direction="inbound", transport="sip", called="demo", caller="", agent=None
    )

    text = summarise(log_of("c1", [started])).text

    assert "An unknown caller called demo and spoke with no agent." in text
    assert "said nothing that was understood" in text


@pytest.mark.django_db
def test_a_summary_of_an_unknown_call_is_an_error_for_the_outbox() -> None:
    with pytest.raises(CallGoneError):
        write_summary.run("nope")


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: `make setup-test` installs it"
    port = free_range(2)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not accepts(port) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(10)


@pytest.mark.timeout(90)
def test_with_a_broker_a_celery_worker_writes_the_summary(tmp_path: Path, redis_url: str) -> None:
    environment = os.environ | {"VOICEAPP_DATA": str(tmp_path), "VOICEAPP_REDIS_URL": redis_url}
    manage = [sys.executable, str(REPOSITORY / "manage.py")]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)
    fill_spool(tmp_path, log_of("c1", whole_call()))

    subprocess.run([*manage, "shipper", "--once"], env=environment, check=True, timeout=30)
    assert summaries(manage, environment) == "0"
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "voiceapp.celery:application",
            "worker",
            "-P",
            "solo",
        ],
        env=environment,
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while summaries(manage, environment) == "0" and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        worker.terminate()
        worker.wait(20)

    assert summaries(manage, environment) == "1"


def summaries(manage: list[str], environment: dict[str, str]) -> str:
    count = "from telephony.models import CallSummary; print(CallSummary.objects.count())"
    done = subprocess.run(
        [*manage, "shell", "-v0", "-c", count],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
