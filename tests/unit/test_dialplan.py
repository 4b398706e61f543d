from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from telephony.dialplan import (
    Agent,
    Decision,
    DialPlan,
    Refuse,
    RouteFacts,
    SnapshotError,
    parse_snapshot,
)

SNAPSHOT: dict[str, Any] = {
    "revision": 7,
    "agents": {"desk@3": {"greeting": "Hello"}, "desk@4": {}},
    "routes": [
        {"number": "demo", "agent": "desk", "version": 3},
        {"number": "+49 (30) 123-45", "agent": "desk", "version": 4},
    ],
    "widgets": [{"key": "k1", "agent": "desk", "version": 3, "origins": ["http://127.0.0.1:8000"]}],
}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(SNAPSHOT)
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return body


def decide(plan: DialPlan, *called: str) -> Decision:
    return plan.decide(RouteFacts(called=called, at=NOON))


def agent_of(plan: DialPlan, *called: str) -> str:
    decision = decide(plan, *called)
    assert isinstance(decision, Agent)
    return decision.choice.name


def test_a_called_extension_finds_its_agent_and_version() -> None:
    decision = decide(parse_snapshot(SNAPSHOT), "Demo")
    assert isinstance(decision, Agent)
    assert (decision.choice.name, decision.choice.definition) == ("desk@3", {"greeting": "Hello"})
    assert decision.number == "Demo"


@pytest.mark.parametrize("called", ["+493012345", "+49-30-12345", "+49 (30) 12345"])
def test_a_number_is_found_however_it_is_written(called: str) -> None:
    assert agent_of(parse_snapshot(SNAPSHOT), called) == "desk@4"


@pytest.mark.parametrize("called", ["", "nobody", "+4930123456", "demo2", "*", "dem*"])
def test_an_unknown_number_is_not_found(called: str) -> None:
    decision = decide(parse_snapshot(SNAPSHOT), called)
    assert isinstance(decision, Refuse)
    assert decision.status == 404


def test_a_route_without_plus_serves_the_same_figures_with_it() -> None:
    plan = parse_snapshot(changed(["routes", 1, "number"], "493012345"))
    assert agent_of(plan, "+493012345") == "desk@4"


def test_candidates_are_tried_in_their_order() -> None:
    plan = parse_snapshot(SNAPSHOT)
    assert agent_of(plan, "unknown", "+493012345", "demo") == "desk@4"


@pytest.mark.parametrize(
    ("called", "answered_by"),
    [
        ("+493012345", "desk@4"),  # exact
        ("+493099999", "desk@3"),  # +4930*
        ("493099999", "desk@3"),
        ("+4940", "wide@1"),  # *
    ],
)
def test_the_narrowest_number_decides(called: str, answered_by: str) -> None:
    body = changed(["agents", "wide@1"], {})
    body["routes"] += [
        {"number": "*", "agent": "wide", "version": 1},
        {"number": "+49 30*", "agent": "desk", "version": 3},
    ]
    plan = parse_snapshot(body)
    if called.startswith("4"):
        body["routes"][-1]["number"] = "4930*"
        plan = parse_snapshot(body)
    assert agent_of(plan, called) == answered_by


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
        (["agents", "desk"], {}, "agents.desk"),
        (["agents", "desk@x"], {}, "agents.desk@x"),
        (["routes"], "x", "routes"),
        (["routes"], None, "routes"),
        (["routes", 0], [], "routes[0]"),
        (["routes", 0, "number"], "", "routes[0].number"),
        (["routes", 0, "number"], "a\x00b", "routes[0].number"),
        (["routes", 0, "version"], 9, "routes[0].agent"),
        (["routes", 1, "number"], "DEMO", "routes[1].number"),
        (["routes", 0, "refuse"], {"status": 486}, "routes[0]"),
        (["routes", 0], {"number": "demo"}, "routes[0]"),
        (["routes", 0], {"number": "x", "queue": "sales"}, "routes[0].queue"),
        (["routes", 0], {"number": "x", "refuse": {"status": 200}}, "routes[0].refuse.status"),
        (
            ["routes", 0],
            {"number": "x", "person": {"extension": "200"}},
            "routes[0].person.extension",
        ),
        (
            ["routes", 0],
            {"number": "x", "forward": {"trunk": "t", "number": "+49301234567"}},
            "routes[0].forward.trunk",
        ),
        (["routes", 0, "when"], {"trunks": ["t"]}, "routes[0].when.trunks[0]"),
        (["routes", 0, "when"], {"headers": [{"name": "x"}]}, "routes[0].when.headers[0].value"),
        (["routes", 0, "when"], {"hours": [{"zone": "Moon"}]}, "routes[0].when.hours[0].zone"),
        (
            ["routes", 0, "when"],
            {"hours": [{"zone": "UTC", "days": [8]}]},
            "routes[0].when.hours[0].days",
        ),
        (
            ["routes", 0, "when"],
            {"hours": [{"zone": "UTC", "from": "9"}]},
            "routes[0].when.hours[0].from",
        ),
        (["routes", 0, "when"], {"hours": [{"zone": "../x"}]}, "routes[0].when.hours[0].zone"),
        (["widgets", 0, "origins"], [], "widgets[0].origins"),
        (["widgets", 0, "origins"], ["*"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["https://*.example.com"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["https://example.com/x"], "widgets[0].origins[0]"),
        (["widgets", 0, "origins"], ["null"], "widgets[0].origins[0]"),
        (["widgets", 0, "key"], None, "widgets[0].key"),
        (["trunks"], [{"name": ""}], "trunks[0].name"),
        (["outbound"], {"agents": [{}]}, "outbound.agents[0].agent"),
        (["outbound"], {"blocked": ["49"], "max_calls": -1}, "outbound.max_calls"),
    ],
)
def test_a_wrong_snapshot_is_refused_with_the_place(
    path: list[Any], value: Any, where: str
) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(changed(path, value))
    assert refused.value.where == where


@pytest.mark.parametrize("body", [None, [], "x", 7, {}])
def test_what_is_no_snapshot_at_all_is_refused(body: Any) -> None:
    with pytest.raises(SnapshotError):
        parse_snapshot(body)


def test_the_newest_version_of_each_agent_can_be_asked_for() -> None:
    assert parse_snapshot(SNAPSHOT).agents["desk"].version == 4
