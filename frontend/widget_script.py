"""The widget's source modules put together into the one file that sites load.

One self-contained file, because an integrity hash does not reach imported modules; small modules, because people read
them. No build step: imports and `export` are left out, the rest is one function.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "static" / "widget"
PARTS: Final = ("words", "style", "ears", "wire", "call", "panel", "element")
"""In the order in which each may use those before it."""

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BuiltScript:
    """The file as it is served."""

    text: bytes
    gzipped: bytes
    etag: str


def built(ice_servers: Sequence[dict[str, Any]], *, fresh: bool = False) -> BuiltScript:
    """The script with these ICE servers. `fresh` reads the modules again (while they are being written)."""
    if fresh:
        _build.cache_clear()
    return _build(json.dumps(list(ice_servers)))


@cache
def _build(ice_servers: str) -> BuiltScript:
    modules = [(FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in PARTS]
    body = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    text = f'(() => {{\n"use strict";\nconst ICE_SERVERS = {ice_servers};\n{body}}})();\n'.encode()
    etag = f'"{hashlib.sha256(text).hexdigest()[:20]}"'
    return BuiltScript(text, gzip.compress(text, 9, mtime=0), etag)
