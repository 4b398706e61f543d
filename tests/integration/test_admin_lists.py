"""Lists of the admin and the desk: one bad row hides no other, and a longer list asks no more often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.services import load_agent
from telephony.services import route_number
from tests.integration.call_logs import fill_spool, log_of, whole_call
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.shipper import Shipper

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folder")]


def test_a_number_that_cannot_be_decrypted_hides_no_other_call(
    admin: Client, data_folder: Path
) -> None:
    fill_spool(data_folder, log_of("c1", whole_call()))
    shipper = Shipper(data_folder / "spool", Keyring.load(data_folder / "secrets" / "data.key"))
    shipper.ship()
    shipper.close()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE telephony_callrecord SET caller = 'AAAA'")

    for page in ("admin:telephony_callrecord_changelist", "history"):
        assert b"cannot be decrypted" in admin.get(reverse(page)).content


@pytest.mark.parametrize(
    "page", ["admin:agents_agent_changelist", "admin:telephony_number_changelist"]
)
def test_a_longer_list_asks_the_database_no_more_often(
    page: str, admin: Client, receptionist_definition: dict[str, Any]
) -> None:
    def add(name: str) -> None:
        load_agent(slug=name, name=name, definition=receptionist_definition, who="test")
        route_number(dialled=name, label="", agent=name)

    add("one")
    with CaptureQueriesContext(connection) as before:
        admin.get(reverse(page))
    add("two")
    add("three")

    with CaptureQueriesContext(connection) as after:
        admin.get(reverse(page))

    assert len(after) == len(before)
