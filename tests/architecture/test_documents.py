"""What README and docs list is what the code has."""

import re
from pathlib import Path

from voiceapp.configuration import VARIABLES

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


def test_every_setting_is_in_the_table_with_its_default() -> None:
    text = (REPOSITORY / "docs/configuration.md").read_text()
    for variable in VARIABLES:
        assert f"| `{variable.name}` | `{variable.default}` |" in text or (
            not variable.default and f"| `{variable.name}` |" in text
        ), f"{variable.name} is missing or has another default in docs/configuration.md"
