"""Logs of calls as they were written once: they replay to the same state for ever.

A change of format adds a reader for the old one; the files are never edited.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from telephony.call.events import Recorded
from telephony.call.machine import replay
from telephony.call.serial import EVENTS, record_from_json, record_to_json, row

GOLDEN = Path(__file__).parent / "golden"
LOGS = sorted(GOLDEN.glob("*.jsonl"))


def read(log: Path) -> list[Recorded]:
    lines = log.read_text(encoding="utf-8").splitlines()
    return [record_from_json(json.loads(line)) for line in lines]


def shown(records: list[Recorded]) -> dict[str, Any]:
    state = replay(records)
    talk = state.conversation
    return {
        "row": row(state, "node1"),
        "slots": dict(talk.slots),
        "brief": talk.brief,
        "agent_failed": talk.agent_failed,
        "said": [[said.role, said.heard, said.interrupted] for said in talk.said],
        "legs": {name: leg.phase.value for name, leg in state.legs.items()},
    }


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_golden_log_replays_to_its_state(log: Path):
    """A row may have more to say than when the log was written, and says the same of what it said then."""
    expected = json.loads(log.with_suffix(".json").read_text(encoding="utf-8"))
    found = shown(read(log))
    found["row"] = {name: found["row"][name] for name in expected["row"]}
    assert found == expected


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_golden_log_is_written_as_it_was_read(log: Path):
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [record_to_json(record) for record in read(log)] == lines


def test_every_kind_of_event_is_in_a_golden_log():
    kinds = {record.kind for log in LOGS for record in read(log)}
    assert kinds == set(EVENTS)
