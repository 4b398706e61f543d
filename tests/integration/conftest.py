"""Fixtures of the Django side: a data folder of its own, people of each role, pages that say what became of a form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

FIXTURES = Path(__file__).resolve().parent.parent.parent / "agents" / "fixtures"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """The real hashing takes a quarter of a second each time, by design."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def data_folder(tmp_path: Path, settings: Any) -> Path:
    """Snapshot and keys of this test alone; no media node is running."""
    settings.SNAPSHOT_FILE = tmp_path / "snapshot.json"
    settings.DATA_KEY_FILE = tmp_path / "secrets" / "data.key"
    settings.NODE_COMMANDS = "tests.integration.nodes.record_request"
    settings.NODE_HEALTH = "tests.integration.nodes.told_health"
    return tmp_path


@pytest.fixture
def receptionist_definition() -> dict[str, Any]:
    definition: dict[str, Any] = json.loads((FIXTURES / "receptionist.json").read_text())
    return definition


def person(name: str, group: str | None, *, staff: bool = True) -> User:
    user = User.objects.create_user(name, password="a long password", is_staff=staff)
    if group:
        user.groups.add(Group.objects.get(name=group))
    return user


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def supervisor(db: None) -> Client:
    return logged_in(person("sam", "Supervisor"))


@pytest.fixture
def admin(db: None) -> Client:
    return logged_in(person("ada", "Admin"))


@pytest.fixture
def nobody(db: None) -> Client:
    return Client()
