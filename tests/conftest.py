"""Rules for all tests: the category of a folder, no network beyond this machine, no error that asyncio only logs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CATEGORIES = frozenset(
    {"unit", "contract", "integration", "scenario", "fuzz", "architecture", "interop", "browser"}
)
LOCAL_HOSTS = ("127.", "::1", "localhost", "0.0.0.0", "::")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        try:
            folder = item.path.relative_to(HERE).parts[0]
        except ValueError:
            continue
        if folder not in CATEGORIES:
            raise pytest.UsageError(f"{item.nodeid}: tests live in one of {sorted(CATEGORIES)}")
        item.add_marker(folder)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses addresses of other machines; names are refused before they are looked up."""

    def guarded(method: str) -> None:
        original = getattr(socket.socket, method)

        def call(self: socket.socket, *args: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                host = str(args[-1][0])
                if host and not host.startswith(LOCAL_HOSTS):
                    raise AssertionError(f"a test reached for the network: {method} {host}")
            return original(self, *args)

        monkeypatch.setattr(socket.socket, method, call)

    for method in ("connect", "connect_ex", "sendto"):
        guarded(method)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture(autouse=True)
def _no_lost_task_errors() -> Iterator[None]:
    """A failed task that nobody awaits is only logged by asyncio; here it fails the test."""
    errors = _Errors()
    logger = logging.getLogger("asyncio")
    logger.addHandler(errors)
    yield
    logger.removeHandler(errors)
    assert not errors.texts, f"asyncio logged errors: {errors.texts}"
