from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from telephony.dialplan import (
    Agent,
    Decision,
    DialPlan,
    Forward,
    Person,
    Queue,
    Refuse,
    RouteFacts,
    RouteLoad,
    SnapshotError,
    parse_snapshot,
)

NUMBER = "+4930123456"
DAY = {"agent": "day", "version": 1}
NIGHT = {"agent": "night", "version": 1}
HA1 = {"SHA-256": "sealed"}
OFFICE = {"zone": "Europe/Berlin", "days": [1, 2, 3, 4, 5], "from": "09:00", "to": "17:00"}


def plan(*rules: dict[str, Any], **more: Any) -> DialPlan:
    body = {
        "revision": 1,
        "agents": {"day@1": {}, "night@1": {}},
        "trunks": [{"name": "east"}, {"name": "west"}],
        "extensions": [{"name": "200", "ha1": HA1}, {"name": "201", "ha1": HA1}],
        "routes": [{"number": NUMBER} | rule for rule in rules],
        "widgets": [],
    }
    return parse_snapshot(body | more, open_secret=lambda sealed, _: sealed)


def decide(found: DialPlan, at: str = "2026-11-20T12:00+00:00", **facts: Any) -> Decision:
    moment = datetime.fromisoformat(at)
    return found.decide(RouteFacts(called=(NUMBER,), at=moment, **facts))


def test_the_first_rule_that_applies_decides_and_is_named() -> None:
    found = plan({"rule": "office", "when": {"hours": [OFFICE]}} | DAY, {"rule": "else"} | NIGHT)
    decision = decide(found)
    assert isinstance(decision, Agent)
    assert (decision.choice.agent, decision.rule, decision.number) == ("day", "office", NUMBER)


def test_a_number_whose_rules_all_do_not_apply_is_unavailable() -> None:
    decision = decide(plan({"when": {"trunks": ["east"]}} | DAY), trunk="west")
    assert isinstance(decision, Refuse)
    assert decision.status == 480


def test_a_rule_behind_one_that_always_applies_is_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        plan(DAY, {"when": {"trunks": ["east"]}} | NIGHT)
    assert refused.value.where == "routes[1].number"


@pytest.mark.parametrize(("trunk", "agent"), [("east", "day"), ("west", "night"), ("", "night")])
def test_a_rule_may_ask_for_a_trunk(trunk: str, agent: str) -> None:
    decision = decide(plan({"when": {"trunks": ["east"]}} | DAY, NIGHT), trunk=trunk)
    assert isinstance(decision, Agent)
    assert decision.choice.agent == agent


@pytest.mark.parametrize(
    ("test", "value", "given", "holds"),
    [
        ("is", "Gold", " gold ", True),
        ("is", "gold", "golden", False),
        ("begins", "gol", "Golden", True),
        ("begins", "old", "golden", False),
        ("contains", "OLD", "golden", True),
        ("contains", "x", "golden", False),
        ("present", "", "", True),
    ],
)
def test_a_rule_may_ask_for_a_header(test: str, value: str, given: str, holds: bool) -> None:
    condition = {"name": "X-Class", "test": test, "value": value}
    found = plan({"when": {"headers": [condition]}} | DAY, NIGHT)
    decision = decide(found, headers={"x-class": given})
    assert isinstance(decision, Agent)
    assert (decision.choice.agent == "day") is holds


def test_a_header_that_is_missing_fits_no_test() -> None:
    for test in ("is", "begins", "contains", "present"):
        condition = {"name": "x-class", "test": test, "value": "a"}
        assert isinstance(decide(plan({"when": {"headers": [condition]}} | DAY)), Refuse)


def test_all_conditions_of_a_rule_must_hold() -> None:
    when = {"trunks": ["east"], "headers": [{"name": "x-vip", "test": "present"}]}
    found = plan({"when": when} | DAY)
    assert isinstance(decide(found, trunk="east"), Refuse)
    assert isinstance(decide(found, trunk="east", headers={"x-vip": "1"}), Agent)


@pytest.mark.parametrize(
    ("load", "agent"),
    [
        (RouteLoad(), "day"),
        (RouteLoad(agent_calls={"day": 1}), "day"),
        (RouteLoad(agent_calls={"day": 2}), "night"),
        (RouteLoad(agent_calls={"night": 9}), "day"),
        (RouteLoad(node_calls=50), "night"),
    ],
)
def test_a_rule_may_end_at_a_load(load: RouteLoad, agent: str) -> None:
    when = {"load": {"agent_calls_below": 2, "node_calls_below": 50}}
    decision = decide(plan({"when": when} | DAY, NIGHT), load=load)
    assert isinstance(decision, Agent)
    assert decision.choice.agent == agent


def test_a_load_without_an_agent_to_count_is_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        plan({"when": {"load": {"agent_calls_below": 2}}, "refuse": {"status": 486}})
    assert refused.value.where == "routes[0].when.load.agent"


# ------------------------------------------------------------------------------------------------------ hours


def berlin(year: int, month: int, day: int, hour: int, minute: int) -> str:
    zone = ZoneInfo("Europe/Berlin")
    return datetime(year, month, day, hour, minute, tzinfo=zone).isoformat()


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        (berlin(2026, 11, 20, 8, 59), False),
        (berlin(2026, 11, 20, 9, 0), True),
        (berlin(2026, 11, 20, 16, 59), True),
        (berlin(2026, 11, 20, 17, 0), False),
        (berlin(2026, 11, 21, 12, 0), False),  # Saturday
        ("2026-03-27T08:30+00:00", True),  # 09:30 in winter time
        ("2026-03-27T07:30+00:00", False),
        ("2026-03-30T07:30+00:00", True),  # 09:30 in summer time, the Monday after
    ],
)
def test_office_hours_follow_the_local_clock(at: str, opened: bool) -> None:
    assert isinstance(decide(plan({"when": {"hours": [OFFICE]}} | DAY), at), Agent) is opened


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        ("2026-03-29T00:59+00:00", False),  # 01:59
        ("2026-03-29T01:00+00:00", False),  # 03:00: the hour from two to three did not come
        ("2026-10-25T00:00+00:00", True),  # 02:00, summer time
        ("2026-10-25T01:30+00:00", True),  # 02:30 for the second time
        ("2026-10-25T02:00+00:00", False),  # 03:00
    ],
)
def test_an_hour_that_is_skipped_never_comes_and_one_that_is_repeated_counts_twice(
    at: str, opened: bool
) -> None:
    window = {"zone": "Europe/Berlin", "from": "02:00", "to": "03:00"}
    assert isinstance(decide(plan({"when": {"hours": [window]}} | DAY), at), Agent) is opened


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        ("2026-11-20T22:00+00:00", True),  # Friday night
        ("2026-11-21T05:59+00:00", True),  # still Friday's night
        ("2026-11-21T06:00+00:00", False),
        ("2026-11-21T22:00+00:00", False),  # Saturday's night is not among the days
        ("2026-11-20T05:00+00:00", False),  # Thursday's night neither
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(at: str, opened: bool) -> None:
    window = {"zone": "UTC", "days": [5], "from": "22:00", "to": "06:00"}
    assert isinstance(decide(plan({"when": {"hours": [window]}} | DAY), at), Agent) is opened


def test_a_closed_date_is_closed_by_the_local_calendar() -> None:
    window = {"zone": "Pacific/Auckland", "closed": ["2026-12-25"]}
    found = plan({"when": {"hours": [window]}} | DAY)
    assert isinstance(decide(found, "2026-12-24T12:00+00:00"), Refuse)  # 01:00 on the 25th there
    assert isinstance(decide(found, "2026-12-25T12:00+00:00"), Agent)


def test_any_of_several_windows_opens() -> None:
    windows = [OFFICE, {"zone": "Europe/Berlin", "days": [6], "from": "10:00", "to": "12:00"}]
    found = plan({"when": {"hours": windows}} | DAY)
    assert isinstance(decide(found, berlin(2026, 11, 21, 11, 0)), Agent)


# ---------------------------------------------------------------------------------------------------- targets


def test_a_person_rings_and_a_refusal_catches_what_nobody_takes() -> None:
    decision = decide(plan({"person": {"extension": "200", "ring_s": 15}}))
    assert isinstance(decision, Person)
    assert (decision.extension, decision.ring_s) == ("200", 15)
    assert isinstance(decision.overflow, Refuse)
    assert decision.overflow.status == 480


def test_a_queue_rings_its_persons_in_order_with_an_agent_behind_them() -> None:
    queue = {"name": "sales", "persons": ["201", "200"], "ring_s": 10, "overflow": NIGHT}
    decision = decide(plan({"rule": "sell", "queue": "sales"}, queues=[queue]))
    assert isinstance(decision, Queue)
    assert decision.persons == ("201", "200")
    assert (decision.name, decision.rule) == ("sales", "sell")
    assert isinstance(decision.overflow, Agent)
    assert decision.overflow.choice.agent == "night"


def test_a_queue_may_refuse_what_overflows() -> None:
    queue = {"name": "q", "persons": [], "overflow": {"refuse": {"status": 486}}}
    decision = decide(plan({"queue": "q"}, queues=[queue]))
    assert isinstance(decision, Queue)
    assert decision.overflow == Refuse(status=486)


def test_a_queue_of_an_unknown_extension_is_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        plan({"queue": "q"}, queues=[{"name": "q", "persons": ["200", "999"]}])
    assert refused.value.where == "queues[0].persons[1]"


def test_a_call_is_forwarded_by_a_trunk() -> None:
    decision = decide(plan({"forward": {"trunk": "east", "number": "+4940777"}}))
    assert isinstance(decision, Forward)
    assert (decision.trunk, decision.destination) == ("east", "+4940777")


def test_a_refusal_says_when_to_try_again() -> None:
    decision = decide(plan({"refuse": {"status": 503, "retry_after_s": 600}}))
    assert decision == Refuse(status=503, retry_after_s=600, number=NUMBER, rule="rule 1")


def test_the_time_of_a_call_may_come_in_any_zone() -> None:
    found = plan({"when": {"hours": [OFFICE]}} | DAY)
    moment = datetime(2026, 11, 20, 8, 30, tzinfo=UTC).astimezone(ZoneInfo("Asia/Kolkata"))
    assert isinstance(decide(found, moment.isoformat()), Agent)
