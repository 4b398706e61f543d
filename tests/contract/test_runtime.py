"""The supervisor over small programs: start, ready, restart after a kill, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from voiceapp.configuration import Configuration, load
from voiceapp.runtime import (
    Program,
    StartError,
    Supervisor,
    check_addresses,
    only_one,
    prepare_folders,
)

SLEEPER = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    made = load({"VOICEAPP_DATA": str(tmp_path), "VOICEAPP_HTTP": "127.0.0.1:0"})
    prepare_folders(made)
    return made


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def program(code: str, name: str = "one", ready: Callable[[], Awaitable[bool]] = yes) -> Program:
    return Program(name, (sys.executable, "-c", code), ready)


def status(supervisor: Supervisor) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(supervisor.status_file.read_text())
    return read


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_killed_process_is_started_again(configuration: Configuration) -> None:
    supervisor = Supervisor(configuration, (program(SLEEPER),))
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(ready.set))
        await ready.wait()
        first = status(supervisor)["processes"]["one"]["pid"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: status(supervisor)["processes"]["one"]["starts"] == 2)
        second = status(supervisor)["processes"]["one"]["pid"]
        assert second != first
        supervisor.stop()
    assert not alive(second)
    assert not supervisor.status_file.exists()


async def test_a_process_that_cannot_be_started_is_tried_again_and_the_others_live(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(configuration, (program(SLEEPER), program(SLEEPER, "two")))
    ready = asyncio.Event()
    start, refusals = asyncio.create_subprocess_exec, [True]

    async def short_of_memory(*argv: str, **options: Any) -> asyncio.subprocess.Process:
        if ready.is_set() and refusals and refusals.pop():
            raise BlockingIOError("fork")
        return await start(*argv, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", short_of_memory)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(ready.set))
        await ready.wait()
        before = status(supervisor)["processes"]
        os.kill(before["one"]["pid"], signal.SIGKILL)
        await until(lambda: status(supervisor)["processes"]["one"]["starts"] == 2)
        assert status(supervisor)["processes"]["two"] == before["two"]
        supervisor.stop()
    assert not refusals


async def test_a_full_disk_ends_no_process(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(configuration, (program(SLEEPER), program(SLEEPER, "two")))
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run(ready.set))
        await ready.wait()
        before = status(supervisor)["processes"]
        with monkeypatch.context() as full:
            full.setattr(Path, "write_text", _no_space)
            os.kill(before["one"]["pid"], signal.SIGKILL)
            await until(lambda: not alive(before["one"]["pid"]))
            await asyncio.sleep(0.1)
            assert not running.done()
            assert alive(before["two"]["pid"])
        supervisor.stop()


def _no_space(*_: object, **__: object) -> int:
    raise OSError(28, "No space left on device")


async def test_a_process_that_does_not_end_is_killed(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceapp.runtime.STOP_S", 0.5)
    supervisor = Supervisor(configuration, (program(STUBBORN),))
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(ready.set))
        await ready.wait()
        pid = status(supervisor)["processes"]["one"]["pid"]
        await asyncio.sleep(0.3)  # until it ignores the signal
        supervisor.stop()
    assert not alive(pid)


async def test_a_program_that_is_never_ready_is_named(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voiceapp.runtime.READY_S", 0.3)
    programs = (program(SLEEPER), program(SLEEPER, "slow", no))
    with pytest.raises(StartError, match="slow did not become ready"):
        await Supervisor(configuration, programs).run(lambda: None)


async def test_output_of_a_program_is_kept(configuration: Configuration) -> None:
    supervisor = Supervisor(configuration, (program(f"print('hello', flush=True); {SLEEPER}"),))
    log = configuration.data / "log" / "one.log"
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(lambda: None))
        await until(lambda: log.exists() and "hello" in log.read_text())
        supervisor.stop()


def test_one_data_folder_has_one_supervisor(configuration: Configuration) -> None:
    with (
        only_one(configuration),
        pytest.raises(StartError, match="running already"),
        only_one(configuration),
    ):
        pass


def test_a_taken_rtp_port_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        taken = load(
            {
                "VOICEAPP_DATA": str(tmp_path),
                "VOICEAPP_HTTP": "127.0.0.1:0",
                "VOICEAPP_SIP": "127.0.0.1:0",
                "VOICEAPP_RTP_PORTS": f"{port}-{port}",
            }
        )
        with pytest.raises(StartError, match=f"UDP port {port}"):
            check_addresses(taken)


async def test_it_can_be_stopped_before_all_are_ready(configuration: Configuration) -> None:
    supervisor = Supervisor(configuration, (program(SLEEPER, ready=no),))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(lambda: None))
        await until(supervisor.status_file.exists)
        supervisor.stop()
    assert not supervisor.status_file.exists()


def test_an_address_of_another_machine_is_named_with_its_setting(tmp_path: Path) -> None:
    wrong = load({"VOICEAPP_DATA": str(tmp_path), "VOICEAPP_HTTP": "192.0.2.200:8000"})
    with pytest.raises(StartError, match=r"192\.0\.2\.200:8000.*VOICEAPP_HTTP="):
        check_addresses(wrong)
