"""API tokens in the admin: shown once, kept as a hash, revoked."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from agents.services import load_agent
from telephony.models import ApiToken, AuditEvent
from telephony.selectors import token_of
from telephony.services import utc_now
from tests.integration import nodes
from tests.integration.admin_forms import add, errors

pytestmark = [pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _agent(data_folder: Path, receptionist_definition: dict[str, Any]) -> None:
    nodes.requests.clear()
    nodes.refusals.clear()
    nodes.health.clear()
    load_agent(slug="receptionist", name="R", definition=receptionist_definition, who="test")


def test_a_token_that_may_place_calls_names_its_agents(admin: Client) -> None:
    assert "Tick the agents" in errors(add(admin, "apitoken", label="shop", may_dial="on"))
    assert not ApiToken.objects.exists()


def test_a_token_is_shown_once_and_kept_as_a_hash(admin: Client) -> None:
    response = add(admin, "apitoken", label="shop", may_dial="on", agents=["receptionist"])
    shown = unescape(admin.get(response["Location"]).content.decode())
    secret = next(word for word in shown.split() if word.startswith("va_"))

    token = ApiToken.objects.get()
    assert secret not in str(vars(token))
    assert token_of(secret, utc_now()) == token
    assert AuditEvent.objects.filter(what="apitoken.added", who="ada").exists()
    data = {"action": "revoke", "_selected_action": [token.pk]}
    admin.post(reverse("admin:telephony_apitoken_changelist"), data)
    assert token_of(secret, utc_now()) is None
    assert AuditEvent.objects.filter(what="apitoken.revoked", who="ada").exists()
