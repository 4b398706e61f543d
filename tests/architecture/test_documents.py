"""What README and docs list is what the code has."""

import re
from pathlib import Path
from typing import Any

from telephony.call.ids import CallId
from telephony.call.ports import Handler
from telephony.call.serial import row
from telephony.call.state import CallState
from telephony.gateway.outbound import OutboundGateway
from telephony.gateway.requests import NodeRequests

REPOSITORY = Path(__file__).resolve().parents[2]


REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-espeak.txt")


def pinned(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in (REPOSITORY / file).read_text().splitlines()]
    pins = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {name.lower(): version for name, version in pins}


def test_every_dependency_has_its_reason() -> None:
    text = (REPOSITORY / "docs/dependencies.md").read_text()
    for name in pinned(*REQUIREMENTS):
        assert f"| {name} |" in text, f"{name} has no row in docs/dependencies.md"


def test_the_constraints_hold_what_the_requirements_ask_for() -> None:
    asked = pinned(*REQUIREMENTS)

    held = pinned("constraints.txt")

    assert asked == {name: held.get(name) for name in asked}


def test_what_is_gpl_is_not_installed_by_default() -> None:
    assert "espeakng-loader" not in pinned("requirements.txt", "requirements-dev.txt")


def test_every_relative_link_of_the_documents_leads_somewhere() -> None:
    for document in [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


class _Names:
    """A bus that keeps the names of what it is to answer."""

    def __init__(self) -> None:
        self.served: list[str] = []

    def serve(self, name: str, handler: Handler) -> None:
        self.served.append(name)


def test_the_requests_of_a_node_are_those_of_the_document() -> None:
    bus: Any = _Names()
    nothing: Any = None
    NodeRequests(bus, nothing, nothing, nothing, nothing, nothing).bind()
    OutboundGateway(nothing, nothing).bind(bus)

    table = re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", wire(), re.MULTILINE)

    assert table == bus.served


def test_the_row_of_a_call_has_the_fields_of_the_document() -> None:
    (listed,) = re.findall(r"A `row` is what a list shows of a call: `([^`]+)`", wire())

    fields = listed.replace("{role, text} ", "").split()

    assert fields == list(row(CallState(id=CallId("c1")), "node1"))


def wire() -> str:
    return (REPOSITORY / "docs/wire.md").read_text()
