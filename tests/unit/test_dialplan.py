from __future__ import annotations

import copy
from typing import Any

import pytest

from telephony.dialplan import SnapshotError, parse_snapshot

SNAPSHOT: dict[str, Any] = {
    "revision": 7,
    "agents": {"desk@3": {"greeting": "Hello"}, "desk@4": {}},
    "routes": [
        {"number": "demo", "agent": "desk", "version": 3},
        {"number": "+49 (30) 123-45", "agent": "desk", "version": 4},
    ],
    "widgets": [{"key": "k1", "agent": "desk", "version": 3, "origins": ["http://127.0.0.1:8000"]}],
}


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(SNAPSHOT)
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return body


def test_a_called_extension_finds_its_agent_and_version() -> None:
    choice = parse_snapshot(SNAPSHOT).for_number("Demo")
    assert choice is not None
    assert (choice.name, choice.definition) == ("desk@3", {"greeting": "Hello"})


@pytest.mark.parametrize("called", ["+493012345", "+49-30-12345", "+49 (30) 12345"])
def test_a_number_is_found_however_it_is_written(called: str) -> None:
    choice = parse_snapshot(SNAPSHOT).for_number(called)
    assert choice is not None
    assert choice.version == 4


@pytest.mark.parametrize("called", ["", "nobody", "+4930123456", "demo2"])
def test_an_unknown_number_has_no_agent(called: str) -> None:
    assert parse_snapshot(SNAPSHOT).for_number(called) is None


def test_a_route_without_plus_serves_the_same_figures_with_it() -> None:
    plan = parse_snapshot(changed(["routes", 1, "number"], "493012345"))
    assert plan.for_number("+493012345") is not None


@pytest.mark.parametrize(
    ("key", "origin", "known"),
    [
        ("k1", "http://127.0.0.1:8000", True),
        ("k1", "http://127.0.0.1:8001", False),
        ("k1", "https://127.0.0.1:8000", False),
        ("k1", "", False),
        ("k2", "http://127.0.0.1:8000", False),
    ],
)
def test_a_widget_works_on_its_exact_origin_only(key: str, origin: str, known: bool) -> None:
    assert (parse_snapshot(SNAPSHOT).for_widget(key, origin) is not None) is known


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (["revision"], "7", "revision"),
        (["revision"], True, "revision"),
        (["agents"], [], "agents"),
        (["agents", "desk@3"], "x", "agents.desk@3"),
        (["routes"], "x", "routes"),
        (["routes", 0], [], "routes[0]"),
        (["routes", 0, "number"], "", "routes[0].number"),
        (["routes", 0, "version"], 9, "routes[0].agent"),
        (["routes", 1, "number"], "DEMO", "routes[1].number"),
        (["widgets", 0, "origins"], [], "widgets[0].origins"),
        (["widgets", 0, "origins"], ["*"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["https://*.example.com"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["https://example.com/x"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["null"], "widgets[0].origins[0]"),
        (["widgets", 0, "key"], None, "widgets[0].key"),
    ],
)
def test_a_wrong_snapshot_is_refused_with_the_place(
    path: list[Any], value: Any, where: str
) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(changed(path, value))
    assert refused.value.where == where


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_what_is_no_snapshot_at_all_is_refused(body: Any) -> None:
    with pytest.raises(SnapshotError):
        parse_snapshot(body)
