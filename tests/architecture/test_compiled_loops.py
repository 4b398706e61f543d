"""A compiled function is kept by the date and size of its own file: a constant of another module would stay as it was."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OURS = ("telephony", "agents")


def is_ours(module: str) -> bool:
    return module.split(".")[0] in OURS


def loaded(tree: ast.AST) -> set[str]:
    """Names, and `module.NAME`, that are read in `tree`."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    dotted = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    return names | dotted


def is_foreign(name: str, imported: set[str]) -> bool:
    return name.rpartition(".")[2].isupper() and name.partition(".")[0] in imported


def is_compiled(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        "compiled" in loaded(decorator) for decorator in node.decorator_list
    )


def frozen_constants(source: str) -> list[str]:
    """Constants of other modules of ours, and what is made of them, inside compiled functions."""
    imported: set[str] = set()
    found: list[str] = []
    body = ast.parse(source).body
    for node in body:
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            imported |= {name.asname or name.name for name in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(is_foreign(name, imported) for name in loaded(node.value)):
                imported |= {name for target in targets for name in loaded(target)}
    for node in body:
        if is_compiled(node):
            inside = {name for part in node.body for name in loaded(part)}  # type: ignore[attr-defined]  # a function
            found += sorted(name for name in inside if is_foreign(name, imported))
    return found


def compiling_modules() -> list[Path]:
    paths = [path for package in OURS for path in sorted((REPOSITORY / package).rglob("*.py"))]
    return [path for path in paths if "import compiled" in path.read_text()]


@pytest.mark.parametrize("path", compiling_modules(), ids=lambda path: path.stem)
def test_compiled_loops_use_no_constant_of_another_module(path: Path):
    assert frozen_constants(path.read_text()) == []


@pytest.mark.parametrize(
    ("use", "frozen"),
    [
        ("return LIMIT", ["LIMIT"]),
        ("return ports.LIMIT", ["ports.LIMIT"]),
        ("return _TWICE", ["_TWICE"]),
        ("return _OWN + np.LIMIT", []),
        ("return limit()", []),
    ],
)
def test_a_constant_of_another_module_is_found(use: str, frozen: list[str]):
    source = f"""
import numpy as np
from telephony.media import ports
from telephony.media.ports import LIMIT, limit
_TWICE: Final = 2 * LIMIT
_OWN: Final = 3
@compiled("i8()")
def loop():
    {use}
"""
    assert frozen_constants(source) == frozen
