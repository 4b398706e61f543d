"""Calls that we place, through the whole product: from the admin's trunk to a phone that answers (sipp)."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_range
from tests.running_product import RunningProduct, running_product
from voiceapp.configuration import REPOSITORY

pytestmark = pytest.mark.timeout(120)
NUMBER = "+4930123456"
SET_UP = """
from agents.services import publish_snapshot
from telephony.models import ApiToken, CallerId, Destination, DialRight, Trunk
from telephony.services import new_token
trunk = Trunk.objects.create(name="carrier", hosts=["127.0.0.1:{port}"], ping_s=0, number_format="plain")
CallerId.objects.create(trunk=trunk, number="+4930999")
Destination.objects.create(trunk=trunk, prefix="+49")
DialRight.objects.create(agent="receptionist")
token = ApiToken(label="shop", may_dial=True, agents=["receptionist"])
print(new_token(token))
token.save()
print(publish_snapshot().refusals)
"""
FIGURES = """
from telephony.models import TrunkCall
for row in TrunkCall.objects.order_by("at"):
    print(row.trunk, row.direction, row.status, row.answered, row.pdd_ms is not None)
"""


@contextlib.contextmanager
def answering_phone(folder: Path, port: int) -> Iterator[Path]:
    """A phone that rings, answers and echoes; yields the file with what it was sent."""
    wire = folder / "phone.txt"
    with (folder / "sipp.out").open("w") as output:
        process = subprocess.Popen(
            [
                "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-rtp_echo",
                "-trace_msg", "-message_file", str(wire), "-nostdin",
            ],
            cwd=folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield wire
        finally:
            process.kill()
            process.wait()


class Shop:
    """A program with a token."""

    def __init__(self, product: RunningProduct, secret: str) -> None:
        self._product = product
        self._secret = secret

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"{self._product.base}/api/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._secret}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def dial(product: RunningProduct, number: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "dial", number, "--agent", "receptionist"],
        cwd=REPOSITORY, env=product._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_number_is_dialled_by_command_and_by_program(tmp_path: Path) -> None:
    port = free_range(2)
    with running_product(tmp_path) as product, answering_phone(tmp_path, port) as wire:
        secret, refusals = product.administer(SET_UP.format(port=port)).split()
        assert refusals == "{}"

        shown = []
        with dial(product, "+49 30 123456") as process:
            assert process.stdout is not None
            for line in process.stdout:
                shown.append(line)
                if "answered (" in line:
                    process.send_signal(signal.SIGINT)
        assert process.returncode == 0
        text = "".join(shown)
        assert all(
            word in text for word in ("dialling", "ringing", "ended", "PDD 0.", "by carrier")
        )
        sent = wire.read_text()
        assert "INVITE sip:4930123456@127.0.0.1" in sent
        assert "<sip:4930999@" in sent

        with dial(product, "+1900123456") as refused:
            _, errors = refused.communicate(timeout=20)
        assert (refused.returncode, "allowed" in errors) == (2, True)

        shop = Shop(product, secret)
        status, placed = shop.ask("calls", {"destination": NUMBER, "agent": "receptionist"})
        assert status == 202
        call = f"calls/{placed['id']}"
        product.until(lambda: shop.ask(call)[1]["state"] == "answered", what="the answer")
        product.ask("desk.end", call=placed["id"], who="test", id="end-1")
        product.until(lambda: shop.ask(call)[1]["state"] == "ended", what="the end")
        told = shop.ask(call)[1]
        assert (told["outcome"], told["status"], told["trunk"]) == ("answered", 200, "carrier")
        status, error = shop.ask("calls", {"destination": "+33123456789", "agent": "receptionist"})
        assert (status, error["error"]["code"]) == (403, "destination")

        wanted = ["carrier outbound 200 True True"] * 2
        product.until(
            lambda: product.administer(FIGURES).splitlines() == wanted, 30, "figures of the trunk"
        )
        assert "30123456" not in (tmp_path / "run.err").read_text()
