"""The product as a user starts it: `manage.py run` with a data folder and ports of its own, for whole-call tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_ports, free_range
from voiceapp.adapters.bus_client import request_sync
from voiceapp.configuration import REPOSITORY, Configuration, load

START_S = 90.0


class RunningProduct:
    """Addresses, processes and calls of a running product."""

    def __init__(
        self,
        configuration: Configuration,
        process: subprocess.Popen[str],
        environment: Mapping[str, str],
    ) -> None:
        self.configuration = configuration
        self.process = process
        self._environment = dict(environment)
        self.base = f"http://{configuration.http}"
        self.uri = f"sip:demo@{configuration.sip}"

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(
            (self.configuration.run / "status.json").read_text(encoding="utf-8")
        )
        return status

    def pid(self, name: str) -> int:
        return int(self.status()["processes"][name]["pid"])

    def kill(self, name: str) -> None:
        """kill -9, and nothing more."""
        os.kill(self.pid(name), signal.SIGKILL)

    def login(self) -> tuple[str, str]:
        """Name and password of the first supervisor."""
        lines = (self.configuration.data / "first-login.txt").read_text().splitlines()
        values = dict(line.split(": ", 1) for line in lines if ": " in line)
        return values["user"], values["password"]

    def ask(self, name: str, *, node: str = "node1", **args: Any) -> Mapping[str, Any]:
        """A request to a media node."""
        return request_sync(self.configuration.run, node, name, args)

    def administer(self, script: str) -> str:
        """Runs Python with Django against the product's own database, as an administrator's change; what it printed."""
        result = subprocess.run(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", script],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return result.stdout

    def rows(self, node: str = "node1") -> list[dict[str, Any]]:
        return list(self.ask("calls.rows", node=node)["rows"])

    def newest_call(self, **wanted: Any) -> str:
        """Id of the newest call whose row has these values."""
        rows = [r for r in self.rows() if all(r[k] == v for k, v in wanted.items())]
        assert rows, f"no call with {wanted}"
        return str(max(rows, key=lambda row: row["started_us"])["id"])

    def events(self, call: str) -> list[dict[str, Any]]:
        return list(self.ask("calls.events", call=call, since=0)["events"])

    def said(self, call: str, role: str) -> str:
        """All that this role said, as the log has it, in small letters."""
        parts = []
        for event in self.events(call):
            body = event["event"]
            if event["kind"] == "SegmentHeard" and body["role"] == role:
                parts.append(body["text"])
            elif event["kind"] == "UtteranceEnded" and role == "agent":
                parts.append(body["heard"])
        return " ".join(parts).lower()

    def until(self, condition: Callable[[], bool], seconds: float = 15.0, what: str = "") -> None:
        """Waits in real time for something that is due."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.05)


@contextmanager
def running_product(folder: Path, **settings: str) -> Iterator[RunningProduct]:
    """Started when it says so; stopped, and its log shown, at the end."""
    http, sip = free_ports(2)
    rtp = free_range(32)
    ours = {
        "VOICEAPP_DATA": str(folder),
        "VOICEAPP_HTTP": f"127.0.0.1:{http}",
        "VOICEAPP_SIP": f"127.0.0.1:{sip}",
        "VOICEAPP_RTP_PORTS": f"{rtp}-{rtp + 31}",
        **settings,
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VOICEAPP_")} | ours
    errors = (folder / "run.err").open("w")
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run", "--json"],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    try:
        _wait_until_ready(process, folder)
        yield RunningProduct(load(ours), process, environment)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            errors.close()
            if process.stdout is not None:
                process.stdout.close()


def _wait_until_ready(process: subprocess.Popen[str], folder: Path) -> None:
    end = time.monotonic() + START_S
    assert process.stdout is not None
    while time.monotonic() < end:
        line = process.stdout.readline()
        if line.startswith("{") and '"desk"' in line:
            return
        if not line and process.poll() is not None:
            break
    raise AssertionError(f"the product did not start: {(folder / 'run.err').read_text()[-2000:]}")
