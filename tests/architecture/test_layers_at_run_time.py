"""Rules about the code that only running it can show."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import agents
import telephony

pytestmark = pytest.mark.timeout(60)  # each imports everything in a process of its own

REPOSITORY = Path(__file__).resolve().parents[2]
DJANGO_SHELL = {
    "apps",
    "models",
    "admin",
    "services",
    "selectors",
    "consumers",
    "management",
    "tasks",
    "migrations",
}
BLOCK = """
import importlib, json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {'django', 'channels', 'daphne', 'celery', 'redis', 'asgiref'}:
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Blocked())
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
"""


def core_modules() -> list[str]:
    modules: list[str] = []
    for package in (telephony, agents):
        names = (
            found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        )
        modules.extend(name for name in names if name.split(".")[1] not in DJANGO_SHELL)
    return modules


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_core_module_imports_with_django_blocked() -> None:
    modules = core_modules()
    assert "telephony.call.events" in modules
    result = run_python(BLOCK, json.dumps(modules))
    assert result.returncode == 0, result.stderr


def test_the_media_node_loads_neither_orm_nor_providers_nor_http_client() -> None:
    code = (
        "import sys, voiceapp.media_node\n"
        "bad = [m for m in sys.modules if m.startswith(('django', 'agents.providers', 'httpx', 'celery', 'channels'))]\n"
        "print(bad)\n"
        "sys.exit(bool(bad))"
    )
    result = run_python(code)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package_named_agents_is_ours() -> None:
    assert Path(agents.__file__ or "").is_relative_to(REPOSITORY)
