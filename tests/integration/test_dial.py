"""`manage.py dial`: progress on the screen, outcome, exit codes; against a node on the real bus."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from telephony.call.events import CallEnded, CallEvent, CallStarted, LegAdded, LegConnected
from telephony.call.ids import CALLER
from telephony.call.timers import LoopScheduler
from telephony.call.transfer_events import LegRinging, TrunkMeasured
from telephony.models import AuditEvent
from tests.fakes.fake_node import RECEPTIONIST, FakeNode
from tests.integration import nodes
from voiceapp.adapters.bus_client import socket_path
from voiceapp.adapters.bus_local import LocalNodeBus
from voiceapp.configuration import load
from voiceapp.dial import DialError, Placed, follow
from voiceapp.management.commands import dial

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folder")]
NUMBER = "+4930123456"
MEASURED: dict[str, Any] = {
    "leg": CALLER,
    "trunk": "east",
    "direction": "outbound",
    "pdd_ms": 950.0,
}
ANSWERED: tuple[CallEvent, ...] = (
    LegRinging(leg=CALLER),
    TrunkMeasured(**MEASURED, status=200, answered=True, cause="normal"),
    LegConnected(leg=CALLER, codec="PCMU"),
)
ENDED = CallEnded(cause="caller_hung_up", by="caller")
BUSY = (
    TrunkMeasured(**MEASURED, status=486, answered=False, cause="busy"),
    CallEnded(cause="busy", by="system"),
)


class DialNode:
    """A node in a thread of its own, with a script for the call that it is asked for."""

    def __init__(self, run: Path) -> None:
        self.script: tuple[CallEvent, ...] = (*ANSWERED, ENDED)
        self.asked: list[Mapping[str, Any]] = []
        self.fake: FakeNode | None = None
        self._run = run
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        bus = LocalNodeBus("node1", socket_path(self._run, "node1"), LoopScheduler(self._loop))
        self.fake = FakeNode(bus)
        bus.serve("outbound.dial", self.fake._handler("outbound.dial", self._dial))
        await bus.start()
        self._up.set()
        await self._over.wait()
        await bus.close()

    async def _dial(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self.fake is not None
        self.asked.append(args)
        started = CallStarted(
            direction="outbound", transport="sip", called=args["destination"], caller="", agent=RECEPTIONIST
        )  # fmt: skip
        self.fake.record("out-1", started, LegAdded(leg=CALLER, role="caller", transport="sip"))
        for index, event in enumerate(self.script):
            self._loop.call_later(0.05 * (index + 1), self._happens, event)
        return {"call": "out-1"}

    def _happens(self, event: CallEvent) -> None:
        assert self.fake is not None
        self.fake.record("out-1", event, after_s=1.0)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DialNode]:
    configuration = replace(load(), data=tmp_path)
    configuration.run.mkdir(parents=True)
    monkeypatch.setattr(dial, "load", lambda: configuration)
    nodes.health.clear()
    nodes.health["node1"] = {"calls": 0}
    running = DialNode(configuration.run)
    running.start()
    yield running
    running.stop()
    nodes.health.clear()


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("dial", NUMBER, "--agent", "receptionist", *arguments, stdout=output)
    return output.getvalue()


def test_a_call_is_shown_from_dialling_to_its_end(node: DialNode) -> None:
    text = run("--trunk", "east", "--caller-id", "+4930999", "--variable", "order=17")

    steps = [line.split(" s  ")[1] for line in text.splitlines()[:-1]]
    assert steps == ["dialling", "ringing", "answered (PCMU)", "ended: the person called hung up"]
    assert text.splitlines()[-1] == "out-1: answered, 1.0 s, PDD 0.95 s, by east"
    asked = dict(node.asked[0])
    assert asked.pop("id").startswith("cli-")
    assert asked == {
        "destination": NUMBER, "agent": "receptionist", "trunk": "east", "caller_id": "+4930999",
        "variables": {"order": "17"},
    }  # fmt: skip


def test_a_call_that_nobody_takes_ends_with_1_and_says_why(node: DialNode) -> None:
    node.script = BUSY
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("dial", NUMBER, "--agent", "receptionist", stdout=output)
    assert ended.value.code == 1
    assert "east said 486 busy" in output.getvalue()
    assert "out-1: busy, 0.0 s, PDD 0.95 s, by east" in output.getvalue()


def test_the_outcome_alone_comes_as_json(node: DialNode) -> None:
    outcome = json.loads(run("--json"))
    assert (outcome["outcome"], outcome["pdd_ms"], outcome["seconds"]) == ("answered", 950.0, 1.0)


def test_a_refusal_is_one_line_and_exit_2(
    node: DialNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert node.fake is not None
    node.fake.refuse["outbound.dial"] = ("destination", "This destination is not allowed.")
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "This destination is not allowed. (destination)\n"
    assert not AuditEvent.objects.filter(what="call.dialled").exists()


def test_who_dialled_is_in_the_audit_and_the_number_is_not(node: DialNode) -> None:
    run()
    row = AuditEvent.objects.get(what="call.dialled")
    assert (row.object, row.detail["agent"]) == ("out-1", "receptionist")
    assert row.who.startswith("cli:")
    assert NUMBER not in f"{row} {row.detail}"


def test_an_interrupt_hangs_up(node: DialNode) -> None:
    node.script = ANSWERED
    threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT)).start()

    text = run()

    assert "ended: hung up here" in text


def test_without_a_node_nothing_is_dialled(capsys: pytest.CaptureFixture[str]) -> None:
    nodes.health.clear()
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert "No media node is running" in capsys.readouterr().err


def test_a_variable_without_a_value_is_refused() -> None:
    with pytest.raises(CommandError, match="NAME=VALUE"):
        run("--variable", "order")


def test_a_node_that_is_gone_is_told_in_words(tmp_path: Path) -> None:
    placed = Placed(tmp_path, "gone", "c-1", "0")
    with pytest.raises(DialError, match="knows nothing of the call"):
        asyncio.run(follow(placed, "cli:test", lambda seconds, words: None))
