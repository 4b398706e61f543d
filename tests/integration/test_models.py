"""The tables: what they refuse, what they encrypt, what never changes."""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from agents.models import Agent, AgentVersion, Step, VersionIsFinalError
from agents.selectors import draft_definition
from agents.services import (
    NotPublishableError,
    copy_to_draft,
    load_agent,
    problems_of,
    publish_agent,
    publish_snapshot,
    roll_back,
    write_draft,
)
from telephony.models import AuditEvent, AuditIsFinalError, CallRecord, Number, WidgetKey
from telephony.models.routing import origin_problem
from telephony.selectors import masked, origins_of_widget, snapshot_routing
from telephony.services import allow_widget, record_audit, route_number, utc_now
from tests.integration import nodes
from tests.integration.call_logs import NUMBER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folder")]


@pytest.fixture
def receptionist(receptionist_definition: dict[str, Any]) -> Agent:
    return load_agent(
        slug="receptionist", name="Receptionist", definition=receptionist_definition, who="test"
    )


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*.example.com",
        "null",
        "http://",
        "example.com",
        "ftp://example.com",
        "https://example.com/",
        "https://example.com/page",
        "https://user@example.com",
        "https://example.com:443",
        "https://Example.com",
        "https://example.com:99999",
        "https://exa mple.com",
        "javascript://example.com",
    ],
)
def test_an_origin_that_is_not_exact_is_refused_in_words(origin: str) -> None:
    assert origin_problem(origin)
    with pytest.raises(ValidationError):
        WidgetKey(key="site", agent="a", origins=[origin]).save()


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"],
)
def test_an_exact_origin_is_taken(origin: str) -> None:
    assert origin_problem(origin) is None


def test_a_widget_key_gains_missing_origins_and_keeps_those_of_people() -> None:
    allow_widget(key="demo", label="", agent="a", origins=["https://one.example"])

    allow_widget(key="demo", label="", agent="a", origins=["https://two.example"])

    assert origins_of_widget("demo") == ("https://one.example", "https://two.example")


def test_a_widget_key_that_is_off_has_no_origins() -> None:
    WidgetKey.objects.create(key="k", agent="a", origins=["https://a.example"], enabled=False)

    assert origins_of_widget("k") == ()


def test_a_number_is_kept_in_one_spelling() -> None:
    number = Number(dialled="+49 30-555 017")
    number.full_clean()

    assert number.dialled == "+4930555017"


def test_the_database_file_never_holds_a_caller() -> None:
    CallRecord.objects.create(call="c1", node="node1", phase="active", caller=NUMBER)

    with connection.cursor() as cursor:
        cursor.execute("SELECT caller FROM telephony_callrecord")
        (stored,) = cursor.fetchone()

    assert NUMBER not in stored
    assert CallRecord.objects.get().caller == NUMBER


def test_a_masked_number_shows_its_end_alone() -> None:
    assert masked(NUMBER) == "···17"
    assert masked("4711") == "···"


def test_audit_rows_are_never_changed_or_removed() -> None:
    record_audit(who="sam", what="call.listened", subject="c1")
    entry = AuditEvent.objects.get()

    for attempt in (entry.save, entry.delete, AuditEvent.objects.all().delete):
        with pytest.raises(AuditIsFinalError):
            attempt()
    with pytest.raises(AuditIsFinalError):
        AuditEvent.objects.update(who="nobody")


def test_a_definition_survives_the_rows_of_the_draft(receptionist: Agent) -> None:
    assert receptionist.published is not None
    published = receptionist.published.definition

    write_draft(agent=receptionist, definition=published)

    assert draft_definition(receptionist) == published


def test_a_published_version_is_never_changed(receptionist: Agent) -> None:
    version = receptionist.published
    assert version is not None

    for attempt in (version.save, version.delete, AgentVersion.objects.all().delete):
        with pytest.raises(VersionIsFinalError):
            attempt()


def test_publishing_counts_up_and_leaves_older_versions_alone(receptionist: Agent) -> None:
    first = receptionist.versions.get(number=1).definition
    Step.objects.filter(agent=receptionist, name="help").update(say="What can I do for you?")

    version = publish_agent(agent=receptionist, who="ada")

    assert version.number == 2
    assert receptionist.versions.get(number=1).definition == first
    assert version.definition != first


def test_transfers_survive_the_rows_of_the_draft(receptionist: Agent) -> None:
    assert receptionist.published is not None
    definition = {
        **receptionist.published.definition,
        "transfers": [{"name": "desk", "to": "200", "mode": "attended"}],
    }
    definition["intents"] = [{**each} for each in definition["intents"]]
    definition["intents"][0]["ending"] = "transfer:desk"
    write_draft(agent=receptionist, definition=definition)
    draft = draft_definition(receptionist)
    assert draft["transfers"] == definition["transfers"]
    assert draft["intents"][0]["ending"] == "transfer:desk"


def test_what_is_published_is_the_draft_as_it_is_saved(receptionist: Agent) -> None:
    Agent.objects.filter(pk=receptionist.pk).update(zone="Europe/Paris")

    version = publish_agent(agent=receptionist, who="ada")

    assert version.definition["zone"] == "Europe/Paris"


def test_an_invalid_draft_is_not_published_and_nothing_changes(receptionist: Agent) -> None:
    Step.objects.filter(agent=receptionist, name="help").update(say="", next="nowhere")

    with pytest.raises(NotPublishableError) as refusal:
        publish_agent(agent=receptionist, who="ada")

    assert "steps[help].next: there is no step 'nowhere'" in refusal.value.problems
    assert receptionist.versions.count() == 1


def test_a_phrase_without_pronunciation_is_refused(receptionist: Agent) -> None:
    intent = receptionist.intents.first()
    assert intent is not None
    intent.phrases = "open at 9"
    intent.save()

    with pytest.raises(NotPublishableError, match="write it as it is spoken"):
        publish_agent(agent=receptionist, who="ada")


def test_rolling_back_changes_what_callers_hear_and_not_the_draft(receptionist: Agent) -> None:
    Step.objects.filter(agent=receptionist, name="help").update(say="What can I do for you?")
    publish_agent(agent=receptionist, who="ada")
    draft = draft_definition(receptionist)

    roll_back(version=receptionist.versions.get(number=1), who="ada")

    receptionist.refresh_from_db()
    assert receptionist.published is not None
    assert receptionist.published.number == 1
    assert draft_definition(receptionist) == draft
    assert AuditEvent.objects.filter(what="agent.rolled_back", who="ada").exists()


def test_a_version_copied_into_the_draft_replaces_it(receptionist: Agent) -> None:
    Step.objects.filter(agent=receptionist, name="help").update(say="Something else.")
    version = receptionist.versions.get(number=1)

    copy_to_draft(version=version, who="ada")

    assert draft_definition(receptionist) == version.definition


def test_loading_an_agent_again_keeps_what_people_changed(
    receptionist: Agent, receptionist_definition: dict[str, Any]
) -> None:
    Step.objects.filter(agent=receptionist, name="help").update(say="Ours.")

    load_agent(slug="receptionist", name="R", definition=receptionist_definition, who="test")

    assert Step.objects.get(agent=receptionist, name="help").say == "Ours."
    assert receptionist.versions.count() == 1


def test_the_snapshot_holds_only_what_can_be_answered(receptionist: Agent) -> None:
    route_number(dialled="demo", label="", agent="receptionist")
    route_number(dialled="sales", label="", agent="nobody-yet")
    allow_widget(key="demo", label="", agent="receptionist", origins=["https://a.example"])
    allow_widget(key="closed", label="", agent="receptionist", origins=[])

    routing = snapshot_routing(utc_now())

    assert routing["routes"] == [{"number": "demo", "agent": "receptionist", "version": 1}]
    assert [widget["key"] for widget in routing["widgets"]] == ["demo"]


def test_each_snapshot_has_a_higher_revision(receptionist: Agent) -> None:
    assert publish_snapshot().revision < publish_snapshot().revision


def test_a_step_whose_answers_cannot_be_recognised_is_refused(
    receptionist_definition: dict[str, Any],
) -> None:
    step = next(one for one in receptionist_definition["steps"] if one["name"] == "help")
    step["expect"] = {"kind": "digits", "min": 0, "max": 0}
    step["slot"] = "code"
    step["next"] = "more"

    problems = problems_of(receptionist_definition)

    assert any(problem.startswith("steps[help].expect.kind: ") for problem in problems), problems


def test_a_second_publisher_waits_until_the_nodes_have_the_first(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []

    def slow_nodes(name: str, args: Mapping[str, Any]) -> dict[str, str]:
        with (
            (data_folder / ".snapshot.json.lock").open("w") as lock,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        reached.append(args["snapshot"]["revision"])
        return {}

    monkeypatch.setattr(nodes, "record_request", slow_nodes)

    assert publish_snapshot().revision == reached[0]
