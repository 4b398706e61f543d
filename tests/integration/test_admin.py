"""The admin: who may do what, how a flow is changed and published, and how it refuses."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from agents.models import Agent, AgentVersion, Intent, Step
from agents.services import load_agent, write_draft
from telephony.models import AuditEvent, CallRecord, Number, WidgetKey
from telephony.services import Projection, SpoolName, store_batch, utc_now
from tests.integration import nodes
from tests.integration.call_logs import NUMBER, QUESTION, fill_spool, log_of, whole_call
from tests.integration.conftest import logged_in, person
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.spool import SpoolFile

pytestmark = [pytest.mark.django_db]
really_committed = pytest.mark.django_db(transaction=True, serialized_rollback=True)
"""For what a page says after the commit."""
GREETING = "Good day, this is the dentist."

DOORS = {
    "agents": ("admin:agents_agent_changelist", (), 403, 200),
    "an agent": ("admin:agents_agent_change", (1,), 403, 200),
    "its versions": ("admin:agents_agent_versions", (1,), 403, 200),
    "a version": ("admin:agents_agent_version", (1, 1), 403, 200),
    "all versions": ("admin:agents_agentversion_changelist", (), 403, 200),
    "numbers": ("admin:telephony_number_changelist", (), 403, 200),
    "a new number": ("admin:telephony_number_add", (), 403, 200),
    "widget keys": ("admin:telephony_widgetkey_changelist", (), 403, 200),
    "a new widget key": ("admin:telephony_widgetkey_add", (), 403, 200),
    "calls": ("admin:telephony_callrecord_changelist", (), 200, 200),
    "a call": ("admin:telephony_callrecord_change", ("c1",), 200, 200),
    "a new call": ("admin:telephony_callrecord_add", (), 403, 403),
    "removing a call": ("admin:telephony_callrecord_delete", ("c1",), 403, 403),
    "audit": ("admin:telephony_auditevent_changelist", (), 403, 200),
    "users": ("admin:auth_user_changelist", (), 403, 403),
}


@pytest.fixture(autouse=True)
def agent(data_folder: Path, receptionist_definition: dict[str, Any]) -> Agent:
    nodes.requests.clear()
    nodes.refusals.clear()
    return load_agent(
        slug="receptionist", name="Receptionist", definition=receptionist_definition, who="test"
    )


@pytest.fixture
def call(data_folder: Path) -> CallRecord:
    path = fill_spool(data_folder, log_of("c1", whole_call()))
    spool = SpoolFile.attach(path, Keyring.load(data_folder / "secrets" / "data.key"))
    store_batch(
        source=SpoolName("node1", spool.spool_id),
        rows=spool.rows_after(0),
        projection=Projection(),
        now=utc_now(),
    )
    spool.close()
    return CallRecord.objects.get()


def address(door: str, agent: Agent) -> str:
    name, arguments, _, _ = DOORS[door]
    pks = (agent.pk, *arguments[1:]) if name.startswith("admin:agents") and arguments else arguments
    return reverse(name, args=pks)


@pytest.mark.parametrize("door", DOORS)
def test_strangers_are_sent_to_the_login(door: str, agent: Agent, call: CallRecord) -> None:
    response = Client().get(address(door, agent))

    assert response.status_code == 302
    assert "login" in response["Location"]


@pytest.mark.parametrize("door", DOORS)
def test_each_role_sees_what_it_may(
    door: str, agent: Agent, call: CallRecord, supervisor: Client, admin: Client
) -> None:
    *_, for_supervisor, for_admin = DOORS[door]

    assert supervisor.get(address(door, agent)).status_code == for_supervisor
    assert admin.get(address(door, agent)).status_code == for_admin


def test_people_who_are_not_staff_have_no_admin(db: None, agent: Agent) -> None:
    client = logged_in(person("guest", "Supervisor", staff=False))

    assert client.get(reverse("admin:index")).status_code == 302


def form_of(client: Client, agent: Agent) -> dict[str, Any]:
    """What a browser would send back without a change."""
    response = client.get(reverse("admin:agents_agent_change", args=[agent.pk]))
    context = response.context
    data: dict[str, Any] = dict(context["adminform"].form.initial)
    for formset in (inline.formset for inline in context["inline_admin_formsets"]):
        management = formset.management_form
        data |= {
            management.add_prefix(name): management[name].value() for name in management.fields
        }
        for form in formset.initial_forms:
            data |= {form.add_prefix(name): form[name].value() for name in form.fields}
    return {name: value for name, value in data.items() if value not in (None, False)}


def send(client: Client, agent: Agent, data: dict[str, Any], button: str) -> Any:
    address = reverse("admin:agents_agent_change", args=[agent.pk])
    return client.post(address, data | {button: "1"})


def publish_captured(capture: Any, client: Client, agent: Agent, data: dict[str, Any]) -> Any:
    with capture(execute=True):
        return send(client, agent, data, "_publish")


def step_field(data: dict[str, Any], step: str, field: str) -> str:
    prefix = next(key for key, value in data.items() if key.endswith("-name") and value == step)
    return prefix.removesuffix("name") + field


def texts(client: Client, response: Any) -> str:
    return " ".join(
        str(message) for message in client.get(response["Location"]).context["messages"]
    )


@really_committed
def test_a_new_greeting_is_in_the_next_snapshot(
    admin: Client, agent: Agent, data_folder: Path
) -> None:
    data = form_of(admin, agent)
    data[step_field(data, "welcome", "say")] = f"{GREETING}\nI am the automated assistant."

    response = send(admin, agent, data, "_publish")

    assert "version 2 is published" in texts(admin, response)
    snapshot = json.loads((data_folder / "snapshot.json").read_text())
    steps = snapshot["agents"]["receptionist@2"]["steps"]
    assert steps[0]["say"][0] == GREETING
    assert nodes.requests[-1][0] == "config.load"
    assert nodes.requests[-1][1]["snapshot"] == snapshot


@really_committed
def test_a_node_that_is_away_is_named_and_the_version_is_saved(admin: Client, agent: Agent) -> None:
    nodes.refusals["node1"] = "not running"
    data = form_of(admin, agent)

    response = send(admin, agent, data, "_publish")

    assert "takes it when it is back (node1: not running)" in texts(admin, response)
    assert agent.versions.count() == 2


def test_an_invalid_flow_is_refused_at_its_field_and_nothing_is_saved(
    admin: Client, agent: Agent, data_folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    data = form_of(admin, agent)
    data["name"] = "Renamed"
    data[step_field(data, "welcome", "say")] = f"{GREETING}\nI am the automated assistant."
    data[step_field(data, "help", "next")] = "nowhere"

    response = publish_captured(django_capture_on_commit_callbacks, admin, agent, data)

    steps = response.context["inline_admin_formsets"][0].formset
    faulty = next(form for form in steps.forms if form.instance.name == "help")
    assert faulty.errors["next"] == ["There is no step 'nowhere'."]
    assert response.status_code == 200
    assert Agent.objects.get().name == "Receptionist"
    assert GREETING not in Step.objects.get(name="welcome").say
    assert AgentVersion.objects.count() == 1
    assert not (data_folder / "snapshot.json").exists()


def test_a_fault_of_the_agent_itself_is_shown_at_its_field(admin: Client, agent: Agent) -> None:
    data = form_of(admin, agent)
    data["zone"] = "Moon/Crater"

    response = send(admin, agent, data, "_publish")

    errors = response.context["adminform"].form.errors
    assert "is not a time zone" in errors["zone"][0]


def test_a_line_that_cannot_be_read_is_refused_even_in_a_draft(admin: Client, agent: Agent) -> None:
    data = form_of(admin, agent)
    data[step_field(data, "help", "answers")] = "yes booked"

    response = send(admin, agent, data, "_continue")

    formset = response.context["inline_admin_formsets"][0].formset
    faulty = next(form for form in formset.forms if form.instance.name == "help")
    assert faulty.errors["answers"] == ["Line 1, “yes booked”: write it like “yes -> booked”."]


def test_an_unfinished_draft_can_be_saved_and_says_what_is_missing(
    admin: Client, agent: Agent
) -> None:
    data = form_of(admin, agent)
    data[step_field(data, "help", "next")] = "later"

    response = send(admin, agent, data, "_continue")

    assert "Before it can be published: steps[help].next" in texts(admin, response)
    assert Step.objects.get(name="help").next == "later"


def test_who_may_change_but_not_publish_is_refused_and_nothing_is_saved(
    agent: Agent, db: None
) -> None:
    user = person("eve", "Admin")
    group = Group.objects.get(name="Admin")
    group.permissions.remove(Permission.objects.get(codename="publish_agent"))
    client = logged_in(User.objects.get(pk=user.pk))
    data = form_of(client, agent) | {"name": "Renamed"}

    response = send(client, agent, data, "_publish")

    assert response.status_code == 403
    assert Agent.objects.get().name == "Receptionist"


@really_committed
def test_rolling_back_puts_the_older_version_into_the_snapshot(
    admin: Client, agent: Agent, data_folder: Path
) -> None:
    data = form_of(admin, agent)
    data[step_field(data, "help", "say")] = "What can I do for you?"
    send(admin, agent, data, "_publish")
    version = reverse("admin:agents_agent_version", args=[agent.pk, 1])

    assert "What can I do for you?" in admin.get(version).content.decode()
    response = admin.post(version, {"_roll_back": "1"})

    assert "Callers get version 1 again." in texts(admin, response)


def test_a_supervisor_cannot_roll_back(supervisor: Client, agent: Agent) -> None:
    response = supervisor.post(
        reverse("admin:agents_agent_version", args=[agent.pk, 1]), {"_draft": "1"}
    )

    assert response.status_code == 403


def test_a_new_agent_can_be_published_from_an_empty_form(
    admin: Client, django_capture_on_commit_callbacks: Any
) -> None:
    other = Agent(slug="other", name="Other")
    rows = {
        "steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0, "steps-0-position": 1,
        "steps-0-name": "welcome", "steps-0-say": "Hello.", "steps-0-kind": "nothing",
        "steps-0-ending": "end", "intents-TOTAL_FORMS": 0, "intents-INITIAL_FORMS": 0,
    }  # fmt: skip
    fields = {
        "name": "Other", "slug": "other", "start": "welcome", "voice": "slt", "zone": "UTC",
        "turns": 10, "minutes": 5, "misunderstandings": 3, "silence_s": 8, "silences": 3,
    }  # fmt: skip

    with django_capture_on_commit_callbacks(execute=True):
        response = admin.post(reverse("admin:agents_agent_add"), rows | fields | {"_publish": "1"})

    assert response.status_code == 302
    assert Agent.objects.get(slug=other.slug).published is not None


def test_a_wildcard_origin_is_refused_in_words(admin: Client) -> None:
    fields = {"label": "Site", "key": "site", "agent": "receptionist", "enabled": "on"}
    origins = "https://good.example\nhttps://*.example"

    response = admin.post(reverse("admin:telephony_widgetkey_add"), fields | {"origins": origins})

    (error,) = response.context["adminform"].form.errors["origins"]
    assert error.startswith("https://*.example: a wildcard would let any site use the key")
    assert origins in response.content.decode()
    assert not WidgetKey.objects.exists()


def test_a_widget_key_shows_the_tag_to_copy(admin: Client) -> None:
    key = WidgetKey.objects.create(key="site", agent="receptionist", origins=["https://a.example"])

    response = admin.get(reverse("admin:telephony_widgetkey_change", args=[key.pk]))

    page = unescape(response.content.decode())
    assert f'<script src="http://testserver{reverse("widget-script")}" defer></script>' in page
    assert '<voice-agent agent="site"></voice-agent>' in page


def test_a_new_number_is_answered_by_the_next_snapshot(
    admin: Client, data_folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    data = {
        "dialled": "+49 30 555", "label": "Front desk", "routes-TOTAL_FORMS": 1,
        "routes-INITIAL_FORMS": 0, "routes-0-position": 1, "routes-0-target": "agent", "routes-0-ring_s": 25,
        "routes-0-refuse_status": 480, "routes-0-header_test": "is", "routes-0-agent": "receptionist",
        "routes-0-enabled": "on",
    }  # fmt: skip

    with django_capture_on_commit_callbacks(execute=True):
        response = admin.post(reverse("admin:telephony_number_add"), data)

    assert response.status_code == 302, response.context["errors"]
    assert Number.objects.get().dialled == "+4930555"
    snapshot = json.loads((data_folder / "snapshot.json").read_text())
    assert [route["number"] for route in snapshot["routes"]] == ["+4930555"]
    assert AuditEvent.objects.filter(who="ada", what="number.added").exists()


def test_an_agent_that_is_published_cannot_be_deleted(admin: Client, agent: Agent) -> None:
    response = admin.post(reverse("admin:agents_agent_delete", args=[agent.pk]), {"post": "yes"})

    assert response.status_code == 403
    assert Agent.objects.exists()


def page(client: Client) -> str:
    listed = client.get(reverse("admin:telephony_callrecord_changelist")).content.decode()
    shown = client.get(reverse("admin:telephony_callrecord_change", args=["c1"])).content.decode()
    return listed + shown


def test_a_supervisor_reads_what_was_said_and_sees_numbers_masked(
    supervisor: Client, call: CallRecord
) -> None:
    text = page(supervisor)

    assert QUESTION in text
    assert "···17" in text
    assert NUMBER not in text
    assert AuditEvent.objects.filter(who="sam", what="transcript.read", object="c1").exists()


def test_who_may_see_personal_data_sees_the_number(admin: Client, call: CallRecord) -> None:
    assert NUMBER in page(admin)


def test_without_the_right_to_transcripts_nothing_said_is_shown(call: CallRecord) -> None:
    user = person("tim", None)
    user.user_permissions.add(Permission.objects.get(codename="view_call"))

    text = page(logged_in(user))

    assert QUESTION not in text
    assert "Your role may not read what was said." in text
    assert not AuditEvent.objects.filter(who="tim").exists()


def test_words_cut_off_by_the_caller_are_marked_as_not_heard(
    supervisor: Client, call: CallRecord
) -> None:
    assert "<s>to Friday from nine to five.</s> (not heard)" in page(supervisor)


def test_markup_from_a_caller_is_text(supervisor: Client, agent: Agent) -> None:
    Intent.objects.filter(agent=agent).delete()
    write_draft(agent=agent, definition={"steps": [{"name": "a", "say": ["<script>x</script>"]}]})

    content = logged_in(person("root", "Admin")).get(
        reverse("admin:agents_agent_versions", args=[agent.pk])
    )

    assert "<script>x" not in content.content.decode()


def test_pages_carry_a_policy_without_inline_scripts(nobody: Client) -> None:
    response = nobody.get(reverse("login"))

    policy = response["Content-Security-Policy"]
    assert "'unsafe-inline'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert policy != nobody.get(reverse("login"))["Content-Security-Policy"]


def test_cookies_are_secure_where_the_connection_is(nobody: Client) -> None:
    plain = nobody.get(reverse("login")).cookies["csrftoken"]
    secured = Client().get(reverse("login"), secure=True)

    assert not plain["secure"]
    assert secured.cookies["csrftoken"]["secure"]
    assert "max-age" in secured["Strict-Transport-Security"]
