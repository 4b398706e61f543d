"""`manage.py run` as a user meets it: starts again quickly, says what is wrong, and ends calls when it stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.interop.waiting import until
from tests.running_product import RunningProduct, running_product
from voiceapp.configuration import REPOSITORY
from voiceapp.try_call.audio import speech
from voiceapp.try_call.caller import Caller
from voiceapp.try_call.phone import PhoneLine

pytestmark = pytest.mark.timeout(120)


async def stop_under_a_call(product: RunningProduct) -> tuple[float, bool]:
    """Seconds from Ctrl-C to the end of the process, and whether the caller was told by BYE before."""
    silence = speech(np.zeros(8000 * 60, np.int16), 8000)
    caller = Caller([silence], 8000)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(PhoneLine(product.uri, caller, user="last").hold())
        await until(lambda: caller.measured.first_audio_ms is not None)
        began = time.monotonic()
        product.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            await call
        told = product.process.poll() is None
        await asyncio.to_thread(product.process.wait, 10)
    return time.monotonic() - began, told


def test_it_stops_with_bye_within_five_seconds_and_is_ready_again_within_ten(
    tmp_path: Path,
) -> None:
    with running_product(tmp_path) as product:
        pids = [int(one["pid"]) for one in product.status()["processes"].values()]
        seconds, told = asyncio.run(stop_under_a_call(product))
        assert seconds < 5.0
        assert told
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert left == []

    began = time.monotonic()
    with running_product(tmp_path) as product:
        assert time.monotonic() - began < 10.0
        assert product.login()[0]


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VOICEAPP_")}
        environment |= {"VOICEAPP_DATA": str(tmp_path), "VOICEAPP_HTTP": address}
        result = subprocess.run(
            [sys.executable, "manage.py", "run"],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode != 0
    assert address in result.stderr
    assert "VOICEAPP_HTTP=" in result.stderr
    assert "Traceback" not in result.stderr
