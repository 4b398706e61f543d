"""Trunks, phones, queues, rules and tokens in the admin: what the forms refuse, what they never show, what nodes get."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from agents.services import load_agent
from telephony.dialplan import DialPlan, parse_snapshot
from telephony.models import AuditEvent, Extension, Number, OutboundPolicy, Trunk
from telephony.sip.digest import ha1_of
from tests.integration import nodes
from tests.integration.admin_forms import add, blank, errors
from voiceapp.adapters.encryption import Keyring, secret_opener

pytestmark = [pytest.mark.django_db]
SECRET = "correct horse battery"

DOORS = {
    "trunks": "trunk",
    "extensions": "extension",
    "queues": "queue",
    "dial rights": "dialright",
    "bans": "ban",
    "tokens": "apitoken",
}


@pytest.fixture(autouse=True)
def _agent(data_folder: Path, receptionist_definition: dict[str, Any]) -> None:
    nodes.requests.clear()
    nodes.refusals.clear()
    nodes.health.clear()
    load_agent(slug="receptionist", name="R", definition=receptionist_definition, who="test")


@pytest.fixture
def plan(data_folder: Path) -> Any:
    def read() -> DialPlan:
        body = json.loads((data_folder / "snapshot.json").read_text())
        keyring = Keyring.load(data_folder / "secrets" / "data.key")
        return parse_snapshot(body, secret_opener(keyring))

    return read


TRUNK: dict[str, Any] = {
    "name": "carrier",
    "hosts": "sip.example.com",
    "networks": "192.0.2.0/24",
    "username": "acme",
    "new_password": SECRET,
    "caller_ids-0-number": "+49 30 123456",
    "destinations-0-prefix": "+49",
}


@pytest.mark.parametrize("door", DOORS)
def test_only_those_with_the_right_come_in(door: str, supervisor: Client, admin: Client) -> None:
    for view in ("changelist", "add"):
        address = reverse(f"admin:telephony_{DOORS[door]}_{view}")
        assert Client().get(address).status_code == 302
        assert supervisor.get(address).status_code == 403
        assert admin.get(address).status_code == 200


def test_a_trunk_is_in_the_next_snapshot_with_its_password_sealed(
    admin: Client, data_folder: Path, plan: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = add(admin, "trunk", **TRUNK)

    assert response.status_code == 302, errors(response)
    assert SECRET not in (data_folder / "snapshot.json").read_text()
    trunk = plan().trunks["carrier"]
    assert trunk.password == SECRET
    assert trunk.caller_ids == ("+4930123456",)
    assert trunk.allowed_prefixes == ("+49",)
    assert nodes.requests[-1][0] == "config.load"
    row = AuditEvent.objects.get(what="trunk.added")
    assert "new_password" in row.detail["fields"]
    assert SECRET not in str(row.detail)


def test_a_password_is_never_shown_and_kept_when_left_blank(admin: Client) -> None:
    add(admin, "trunk", **TRUNK)
    trunk = Trunk.objects.get()
    address = reverse("admin:telephony_trunk_change", args=[trunk.pk])

    page = admin.get(address).content.decode()
    data = blank(admin, "trunk", **{k: v for k, v in TRUNK.items() if "password" not in k})
    data = {key: value for key, value in data.items() if not key.startswith(("caller_ids", "dest"))}
    for prefix in ("caller_ids", "destinations"):
        data |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    response = admin.post(address, data | {"label": "Carrier"})

    assert response.status_code == 302, errors(response)
    assert SECRET not in page
    assert "It is set; leave this empty to keep it." in page
    assert Trunk.objects.get().password == SECRET
    assert Trunk.objects.get().label == "Carrier"
    admin.post(address, data | {"forget_password": "on"})
    assert Trunk.objects.get().password == ""


def test_the_database_does_not_hold_the_password_in_clear(admin: Client) -> None:
    add(admin, "trunk", **TRUNK)
    with connection.cursor() as cursor:
        cursor.execute("select password from telephony_trunk")
        (sealed,) = cursor.fetchone()
    assert sealed
    assert SECRET not in sealed


def test_a_secret_whose_key_is_lost_asks_to_be_set_again(admin: Client, data_folder: Path) -> None:
    add(admin, "trunk", **TRUNK)
    add(admin, "extension", name="200", new_password=SECRET)
    for model in ("trunk", "extension"):
        with connection.cursor() as cursor:
            column = "password" if model == "trunk" else "ha1"
            cursor.execute(f"update telephony_{model} set {column} = 'bm9uc2Vuc2U='")
        data = blank(admin, model, name="x", hosts="sip.example.com")
        address = reverse(f"admin:telephony_{model}_change", args=[1])
        assert "cannot be decrypted" in unescape(admin.post(address, data).content.decode())
        assert admin.post(address, data | {"new_password": SECRET}).status_code == 302


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("hosts", "sip:example.com", "write a name or an address"),
        ("hosts", "example.com:99999", "a port is 1 to 65535"),
        ("networks", "192.0.2.7/24", "write the network as 192.0.2.0/24"),
        ("networks", "0.0.0.0/0", "that is the whole internet"),
        ("networks", "example.com", "not an address or a network"),
        ("codecs", "PCMU GSM", "one of PCMU, PCMA, G722, OPUS"),
        ("srtp", "required", "Keys would travel in clear"),
        ("session_expires_s", "30", "At least 90 seconds"),
        ("number_format", "national", "calling code"),
        ("country", "+49", "Figures alone"),
        ("destinations-0-prefix", "49*", "Write + and figures"),
        ("caller_ids-0-number", "sip:x@y", "A number such as"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(
    admin: Client, field: str, value: str, text: str
) -> None:
    response = add(admin, "trunk", **{**TRUNK, field: value})

    assert text in unescape(response.content.decode())
    assert not Trunk.objects.exists()


@pytest.mark.parametrize(
    "peer", ["generic", "twilio", "telnyx", "asterisk", "freeswitch", "kamailio"]
)
def test_the_values_for_a_peer_can_be_saved_as_they_are(admin: Client, peer: str) -> None:
    address = reverse("admin:telephony_trunk_add") + f"?peer={peer}"
    form = admin.get(address).context["adminform"].form
    assert form.initial["peer"] == peer
    values = {
        name: "\n".join(value) if isinstance(value, list) else value
        for name, value in form.initial.items()
        if value is not None and value is not False
    }
    missing = {"username": "acme"} if peer == "telnyx" else {}

    response = add(admin, "trunk", **{**values, **missing})

    assert response.status_code == 302, errors(response)
    assert Trunk.objects.get().peer == peer


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({}, "no media node answers"),
        ({"node1": {"trunks": {}}}, "not watched"),
        ({"node1": {"trunks": {"carrier": {"state": "registered", "calls": 3}}}}, "3 calls"),
        ({"node1": {"trunks": {"carrier": {"state": "down", "status": 503}}}}, "(503)"),
        (
            {
                "node1": {"trunks": {"carrier": {"state": "up", "calls": 1}}},
                "node2": {"trunks": {"carrier": {"state": "down", "calls": 1}}},
            },
            "(not from node2)",
        ),
    ],
)
def test_the_list_says_how_trunks_are_doing_now(
    admin: Client, health: dict[str, Any], shown: str
) -> None:
    add(admin, "trunk", **TRUNK)
    nodes.health.update(health)

    page = unescape(admin.get(reverse("admin:telephony_trunk_changelist")).content.decode())

    assert shown in page


# -------------------------------------------------------------------------------------------------- extensions


def test_a_phone_logs_in_with_its_password_and_nobody_can_read_it(
    admin: Client, plan: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = add(admin, "extension", name="200", new_password=SECRET)

    assert response.status_code == 302, errors(response)
    expected = ha1_of("SHA-256", "200", "voiceapp", SECRET)
    assert plan().extensions["200"].ha1["SHA-256"] == expected
    page = admin.get(reverse("admin:telephony_extension_change", args=[1])).content.decode()
    assert SECRET not in page
    assert expected not in page


def test_a_phone_without_a_password_gets_a_strong_one_that_is_shown_once(admin: Client) -> None:
    response = add(admin, "extension", name="200")
    shown = unescape(admin.get(response["Location"]).content.decode())

    assert "it is not shown again" in shown
    assert "it is not shown again" not in admin.get(response["Location"]).content.decode()
    assert Extension.objects.get().ha1


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({}, "no media node answers"),
        ({"node1": {"extensions": {"200": {"connected": 1}}}}, ">logged in"),
        ({"node1": {"extensions": {"200": {"connected": 0}}}}, "not logged in"),
    ],
)
def test_the_list_says_whose_phone_is_logged_in(
    admin: Client, health: dict[str, Any], shown: str
) -> None:
    add(admin, "extension", name="200", new_password=SECRET)
    nodes.health.update(health)
    assert shown in admin.get(reverse("admin:telephony_extension_changelist")).content.decode()


def test_a_short_password_is_refused(admin: Client) -> None:
    response = add(admin, "extension", name="200", new_password="1234")
    assert "At least 12 characters" in errors(response)


# ------------------------------------------------------------------------------------------------------- rules


def rules(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        f"routes-{index}-{name}": value for index, row in enumerate(rows) for name, value in row.items()
    }  # fmt: skip


OFFICE = {
    "position": 1, "name": "office", "target": "agent", "agent": "receptionist", "zone": "Europe/Berlin",
    "opens": "09:00", "closes": "17:00", "days": ["1", "2", "3", "4", "5"],
}  # fmt: skip
CLOSED = {"position": 2, "name": "closed", "target": "refuse", "refuse_status": 480}


def test_rules_of_a_number_are_published_in_their_order_and_can_be_tried(
    admin: Client, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = add(admin, "number", dialled="+4930555", **rules(OFFICE, CLOSED))
    assert response.status_code == 302, errors(response)

    def ask(at: str) -> str:
        address = reverse("admin:telephony_number_preview")
        given = {"called": "+49 30 555", "at": at, "zone": "Europe/Berlin"}
        return unescape(admin.post(address, given).content.decode())

    assert "answered by the agent receptionist, version 1" in ask("2026-11-20 10:00")
    assert "Decided by: office" in ask("2026-11-20 10:00")
    assert "refused with 480" in ask("2026-11-21 10:00")
    assert "Write it like" in ask("tomorrow")


def test_a_rule_that_can_never_be_reached_is_refused(admin: Client) -> None:
    response = add(
        admin, "number", dialled="1", **rules({**CLOSED, "position": 1}, {**OFFICE, "position": 2})
    )

    assert "none behind it is ever reached" in unescape(response.content.decode())
    assert not Number.objects.exists()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"target": "agent"}, "Choose one."),
        ({"target": "queue"}, "Choose one."),
        ({"target": "forward"}, "Choose one."),
        ({**OFFICE, "zone": ""}, "In which time zone?"),
        ({**OFFICE, "zone": "Moon/Base"}, "not a time zone"),
        ({**CLOSED, "header": "X-A"}, "Which value?"),
        ({**CLOSED, "closed": "Christmas"}, "write dates like"),
    ],
)
def test_a_rule_that_is_not_whole_is_refused(admin: Client, row: dict[str, Any], text: str) -> None:
    response = add(admin, "number", dialled="1", **rules(row))
    page = unescape(response.content.decode())
    assert text in page
    assert page.count('class="errorlist"') == 1  # one fault is told once


def test_a_queue_rings_its_people_and_then_an_agent(
    admin: Client, django_capture_on_commit_callbacks: Any
) -> None:
    for name in ("200", "201"):
        add(admin, "extension", name=name, new_password=SECRET)
    members = {
        f"members-{place}-{name}": value
        for place, pk in enumerate(Extension.objects.order_by("-name").values_list("pk", flat=True))
        for name, value in {"position": place, "extension": pk}.items()
    }
    add(admin, "queue", name="sales", overflow_agent="receptionist", **members)
    with django_capture_on_commit_callbacks(execute=True):
        response = add(admin, "number", dialled="sales", **rules({"target": "queue", "queue": 1}))
    assert response.status_code == 302, errors(response)

    answer = admin.post(
        reverse("admin:telephony_number_preview"), {"called": "sales", "zone": "UTC"}
    )

    text = unescape(answer.content.decode())
    assert "rings 201, then 200, each for 20 s; if nobody takes it, the agent receptionist" in text


def test_a_trunk_that_rules_name_cannot_be_removed(admin: Client) -> None:
    add(admin, "trunk", **TRUNK)
    add(admin, "number", dialled="1", **rules({**CLOSED, "trunk": Trunk.objects.get().pk}))

    page = admin.post(reverse("admin:telephony_trunk_delete", args=[1]), {"post": "yes"})

    assert Trunk.objects.exists()
    assert page.status_code == 403 or b"protected" in page.content


def test_a_supervisor_cannot_ask_where_calls_go(supervisor: Client) -> None:
    assert supervisor.get(reverse("admin:telephony_number_preview")).status_code == 403


# ------------------------------------------------------------------------------------------------- what goes out


def test_dial_rights_policy_and_bans_reach_the_nodes(
    admin: Client, plan: Any, django_capture_on_commit_callbacks: Any
) -> None:
    admin.get(reverse("admin:telephony_outboundpolicy_changelist"))
    policy = OutboundPolicy.objects.get()
    data = {
        "max_calls": 5, "blocked": "+4930\n+882", "windows-TOTAL_FORMS": 1, "windows-INITIAL_FORMS": 0,
        "windows-0-prefixes": "+49", "windows-0-zone": "Europe/Berlin", "windows-0-opens": "08:00",
        "windows-0-closes": "21:00", "windows-0-days": ["1", "2"],
    }  # fmt: skip
    address = reverse("admin:telephony_outboundpolicy_change", args=[policy.pk])
    with django_capture_on_commit_callbacks(execute=True):
        assert admin.post(address, data).status_code == 302
        add(admin, "dialright", agent="receptionist", max_calls=2, destinations="+49", any_trunk="")
        add(admin, "ban", network="203.0.113.0/24", reason="scans")

    found = plan()
    assert found.outbound.blocked == ("+4930", "+882")
    assert found.outbound.limits.max_calls == 5
    assert found.outbound.hours[0].hours.days == {1, 2}
    assert found.outbound.agents["receptionist"].destinations == ("+49",)
    assert found.outbound.agents["receptionist"].trunks == frozenset()
    assert [str(ban.network) for ban in found.bans] == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    ("model", "values"),
    [
        ("telephony_trunk", {"name": "carrier east"}),
        ("telephony_queue", {"name": "our sales"}),
        ("telephony_widgetkey", {"key": "the shop"}),
        ("agents_agent", {"slug": "front desk"}),
    ],
)
def test_a_short_name_that_does_not_fit_is_explained_in_plain_words(
    admin: Client, model: str, values: dict[str, str]
) -> None:
    page = admin.post(reverse(f"admin:{model}_add"), values).content.decode()
    assert "Use only the letters A to Z, figures, hyphens and underscores" in page
    assert "slug”" not in page
