"""Media nodes that keep what they were asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

requests: list[tuple[str, Mapping[str, Any]]] = []
refusals: dict[str, str] = {}


def record_request(name: str, args: Mapping[str, Any]) -> dict[str, str]:
    requests.append((name, args))
    return dict(refusals)


health: dict[str, Mapping[str, Any]] = {}


def told_health() -> dict[str, Mapping[str, Any]]:
    return dict(health)
