"""How trunks are doing now: what the media nodes say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from telephony.models import Extension

GOOD: Final = frozenset({"up", "registered"})
BAD: Final = frozenset({"down", "failed"})


@dataclass(frozen=True, slots=True)
class TrunkState:
    """One trunk over all nodes. `word`: registered, up, registering, unknown, down, failed; the best of the nodes'.

    `why`: what the trouble is, if it is in trouble. `troubled`: nodes that cannot reach it although others may.
    `calls`: up now, on all nodes.
    """

    word: str
    calls: int
    troubled: tuple[str, ...] = ()
    why: str = ""

    @property
    def is_good(self) -> bool:
        return self.word in GOOD

    @property
    def is_bad(self) -> bool:
        return self.word in BAD


_ORDER: Final = ("registered", "up", "registering", "unknown", "down", "failed")


def trunk_states(
    health: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, TrunkState] | None:
    """By name; None if no node can be reached. `health`: by node; asked for if it is not given."""
    if health is None:
        health = import_string(settings.NODE_HEALTH)()
    if not health:
        return None
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for node, said in health.items():
        for name, state in (said.get("trunks") or {}).items():
            found.setdefault(name, []).append((node, state))
    return {name: _together(states) for name, states in found.items()}


def _together(states: Sequence[tuple[str, Mapping[str, Any]]]) -> TrunkState:
    words = {node: str(state.get("state") or "unknown") for node, state in states}
    best = min(words.values(), key=lambda word: _ORDER.index(word) if word in _ORDER else 3)
    return TrunkState(
        best,
        sum(int(state.get("calls") or 0) for _, state in states),
        tuple(node for node, word in words.items() if word in BAD and best not in BAD),
        next((why for _, state in states if best in BAD and (why := _why(state))), ""),
    )


def _why(state: Mapping[str, Any]) -> str:
    return str(state.get("last_error") or state.get("status") or "").replace("_", " ")


def extensions_connected() -> frozenset[str] | None:
    """Phones that are logged in on any node; None if no node can be reached."""
    health = import_string(settings.NODE_HEALTH)()
    if not health:
        return None
    return frozenset(
        name
        for said in health.values()
        for name, state in (said.get("extensions") or {}).items()
        if state.get("connected")
    )


def phones_to_call() -> list[tuple[str, str]]:
    """Extensions that are in use: what is dialled, and whose phone it is."""
    phones = Extension.objects.filter(enabled=True).select_related("person")
    return [
        (phone.name, phone.label or (phone.person.get_username() if phone.person else ""))
        for phone in phones
    ]
