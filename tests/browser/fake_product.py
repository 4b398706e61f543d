"""The web process as it is, beside a node that only plays a scene: pages are tried without speech engines."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.ports import free_range
from voiceapp.adapters.bus_client import request_sync

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "a-long-enough-password"
START_S: Final = 40.0

PREPARE: Final = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "voiceapp.settings"
from voiceapp.adapters.encryption import Keyring
from voiceapp.configuration import load
from voiceapp.keys import keep_session_key
configuration = load()
(configuration.data / "run").mkdir(parents=True)
Keyring.load(configuration.data_key)
keep_session_key(configuration)
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from telephony.services.routing import allow_widget
base, password = sys.argv[1:]
for name in ("ravi", "asha", "watcher"):
    user = get_user_model().objects.create_user(name, password=password)
    may = Permission.objects.filter(content_type__app_label="telephony")
    user.user_permissions.set(may.filter(codename="view_call") if name == "watcher" else may)
get_user_model().objects.create_superuser("chief", password=password)
allow_widget(key="demo", label="", agent="receptionist", origins=[base])
from datetime import timedelta
from telephony.models import Trunk, TrunkCall
from telephony.services import utc_now
Trunk.objects.create(name="east", label="Carrier East", hosts=["192.0.2.10"])
for number in range(40):
    answered = number % 4 > 0
    TrunkCall.objects.create(
        trunk="east", call=f"c-{number}", seq=1, leg="caller", direction="outbound", answered=answered,
        delivered=answered, status=200 if answered else 503, cause="normal" if answered else "unavailable",
        at=utc_now() - timedelta(minutes=30 * number), pdd_ms=900.0, seconds=60.0, reports=1, mos_sum=4.2,
        mos_least=4.2, loss_sum=0.4, jitter_sum=6.0,
    )
"""


@dataclass(frozen=True, slots=True)
class FakeProduct:
    """Where it is served, and a way to ask the node what it heard."""

    base: str
    data: Path

    def ask_node(self, name: str, **args: Any) -> Mapping[str, Any]:
        return request_sync(self.data / "run", "node1", name, args)


@contextlib.contextmanager
def fake_product(data: Path) -> Iterator[FakeProduct]:
    """Starts scene and web process; ends both."""
    port = free_range(2)
    base = f"http://127.0.0.1:{port}"
    environment = os.environ | {"VOICEAPP_DATA": str(data), "VOICEAPP_HTTP": f"127.0.0.1:{port}"}
    run = {"cwd": ROOT, "env": environment}
    subprocess.run([sys.executable, "-c", PREPARE, base, PASSWORD], check=True, **run)  # type: ignore[call-overload]
    with (data / "processes.log").open("w") as log:
        commands = (
            [sys.executable, "-m", "tests.browser.scene", str(data)],
            [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "voiceapp.asgi:application"],
        )  # fmt: skip
        processes = [
            subprocess.Popen(command, stdout=log, stderr=log, **run)  # type: ignore[call-overload]
            for command in commands
        ]
        try:
            _wait_for(base, data)
            yield FakeProduct(base, data)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(10)


def _wait_for(base: str, data: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/try/", timeout=5):
            if (data / "run" / "node1.bus").exists():
                return
        time.sleep(0.1)
    raise AssertionError((data / "processes.log").read_text())
