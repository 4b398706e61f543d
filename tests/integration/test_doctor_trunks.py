"""What `manage.py doctor` says of trunks, as the running nodes see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from telephony.call.errors import NodeUnreachableError
from voiceapp import checkup
from voiceapp.checkup import Finding
from voiceapp.configuration import load


def findings(
    monkeypatch: pytest.MonkeyPatch, trunks: Mapping[str, Any] | None, **settings: str
) -> list[Finding]:
    def ask(run: Any, node: str, name: str, args: Any, timeout_s: float) -> Mapping[str, Any]:
        if trunks is None:
            raise NodeUnreachableError("nobody is there")
        return {"health": {"trunks": trunks}}

    monkeypatch.setattr(checkup, "request_sync", ask)
    return [one for one in checkup.trunk_findings(load(settings)) if one.name.startswith("trunk")]


def state(word: str, error: str = "", calls: int = 0) -> dict[str, Any]:
    return {"state": word, "last_error": error, "calls": calls}


def test_a_trunk_that_is_registered_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = findings(monkeypatch, {"carrier": state("registered", calls=3)})
    assert found == Finding("trunk carrier", True, "registered, 3 calls")


@pytest.mark.parametrize(
    "trunk", [state("down", "status 408"), state("failed", "status 403"), state("unknown", "dns")]
)
def test_a_trunk_that_does_not_work_is_named_with_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, trunk: dict[str, Any]
) -> None:
    [found] = findings(monkeypatch, {"carrier": trunk})
    assert not found.ok
    assert trunk["last_error"] in found.found
    assert "password" in found.remedy


def test_each_node_says_what_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(monkeypatch, {"carrier": state("up")}, VOICEAPP_MEDIA_NODES="2")
    assert [one.name for one in found] == ["trunk carrier, node1", "trunk carrier, node2"]


def test_while_nothing_runs_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(monkeypatch, None) == []
