"""What was in the tables before goes on as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from agents.services import load_agent, publish_snapshot
from telephony.models import Route
from telephony.selectors import plan_in_force
from telephony.services import route_number


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_numbers_and_routes_from_before_are_rules_afterwards() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("telephony", "0002_groups")])
    try:
        old = executor.loader.project_state([("telephony", "0002_groups")]).apps
        number = old.get_model("telephony", "Number").objects.create(dialled="+4930", label="Desk")
        old.get_model("telephony", "Route").objects.create(
            number=number, agent="receptionist", enabled=False
        )
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())

    rule = Route.objects.get(number__dialled="+4930")
    assert (rule.agent, rule.enabled, rule.target, rule.position) == (
        "receptionist", False, "agent", 1,
    )  # fmt: skip
    assert rule.number.label == "Desk"


@pytest.mark.django_db
def test_the_demo_number_is_still_one_row_of_three_fields(
    data_folder: Path, receptionist_definition: dict[str, Any]
) -> None:
    load_agent(slug="receptionist", name="R", definition=receptionist_definition, who="test")
    route_number(dialled="demo", label="", agent="receptionist")
    publish_snapshot()

    snapshot = json.loads((data_folder / "snapshot.json").read_text())
    assert snapshot["routes"] == [{"number": "demo", "agent": "receptionist", "version": 1}]
    assert plan_in_force().rules_of("demo")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("group", "right", "granted"),
    [
        ("Admin", "add_trunk", True),
        ("Admin", "add_apitoken", True),
        ("Admin", "change_outboundpolicy", True),
        ("Admin", "delete_outboundpolicy", False),
        ("Admin", "view_trunk_quality", True),
        ("Supervisor", "view_trunk_quality", True),
        ("Supervisor", "view_trunk", False),
        ("Supervisor", "view_apitoken", False),
    ],
)
def test_each_role_has_the_rights_it_needs_and_no_more(
    group: str, right: str, granted: bool
) -> None:
    rights = Group.objects.get(name=group).permissions
    assert rights.filter(codename=right).exists() is granted
