"""Agents as their calls share them."""

import copy

from agents.exchange.published import KEPT, PublishedAgents
from tests.fakes.conversation import RECEPTIONIST


def test_calls_of_one_definition_share_its_flow() -> None:
    agents = PublishedAgents()

    assert agents.of(RECEPTIONIST) is agents.of(RECEPTIONIST)


def test_a_new_snapshot_brings_agents_of_its_own() -> None:
    agents = PublishedAgents()
    changed = copy.deepcopy(RECEPTIONIST)
    changed["facts"]["address"] = "elsewhere"

    assert agents.of(changed).flow.facts["address"] == "elsewhere"
    assert agents.of(RECEPTIONIST).flow.facts["address"] != "elsewhere"


def test_a_definition_that_is_gone_is_not_taken_for_another_in_its_place() -> None:
    agents = PublishedAgents()
    for number in range(2 * KEPT):
        definition = copy.deepcopy(RECEPTIONIST)
        definition["facts"]["address"] = f"number {number}"

        assert agents.of(definition).flow.facts["address"] == f"number {number}"
