#!/usr/bin/env python
"""Files of at most 400 lines, functions of at most 50 (docstring apart). Exceptions: .ci/size-allow.txt, with a reason.

A row is `path[:function] limit  # reason`; at most ten rows; a row that is no longer needed is a fault as well.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("voiceapp", "frontend", "agents", "telephony", "tests", "benchmarks", ".ci")
FILE_LINES, FUNCTION_LINES, MOST_ROWS = 400, 50, 10


def sizes(path: Path) -> dict[str, int]:
    """Lines of the file (key: its path) and of each function (key: `path:name`)."""
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text(encoding="utf-8")
    found = {name: text.count("\n")}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                first = node.body[1] if len(node.body) > 1 else first
            lines = (node.end_lineno or 0) - first.lineno + 1
            key = f"{name}:{node.name}"
            found[key] = max(lines, found.get(key, 0))
    return found


def allowances() -> tuple[dict[str, int], list[str]]:
    rows, faults = {}, []
    file = ROOT / ".ci" / "size-allow.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for number, line in enumerate(lines, 1):
        row, _, reason = line.partition("#")
        if not row.strip():
            continue
        words = row.split()
        if len(words) != 2 or not words[1].isdigit() or not reason.strip():
            faults.append(f".ci/size-allow.txt:{number}: wants `path[:function] limit  # reason`")
            continue
        rows[words[0]] = int(words[1])
    if len(rows) > MOST_ROWS:
        faults.append(f".ci/size-allow.txt: {len(rows)} rows; at most {MOST_ROWS}")
    return rows, faults


def main() -> int:
    rows, faults = allowances()
    unused = set(rows)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            for key, lines in sizes(path).items():
                usual = FUNCTION_LINES if ":" in key else FILE_LINES
                if lines > usual:
                    unused.discard(key)
                    limit = rows.get(key, usual)
                    if lines > limit:
                        faults.append(f"{key}: {lines} lines, at most {limit}")
    faults += [f".ci/size-allow.txt: {key} needs no allowance any more" for key in sorted(unused)]
    print("\n".join(faults) or "sizes: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
