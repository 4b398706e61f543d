"""Which agent answers a number or a widget key: an immutable plan, read from the published snapshot. Pure.

A snapshot (docs/wire.md, "The snapshot") is taken whole or refused whole, with the place and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_MAX_ROWS: Final = 10_000


class SnapshotError(Exception):
    """`where` is a path in the snapshot such as `routes[2].agent`; the text says what is wrong there."""

    code: ClassVar[str] = "snapshot"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what
        self.user_message = f"{where}: {what}"


@dataclass(frozen=True, slots=True)
class AgentChoice:
    """A published agent version and its definition, as it stood when the call began."""

    agent: str
    version: int
    definition: Mapping[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        return f"{self.agent}@{self.version}"


@dataclass(frozen=True, slots=True)
class Widget:
    """A public key and the exact origins it works on."""

    key: str
    choice: AgentChoice
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class DialPlan:
    """Routes of one snapshot."""

    revision: int
    routes: Mapping[str, AgentChoice]
    widgets: Mapping[str, Widget]

    def for_number(self, called: str) -> AgentChoice | None:
        """The agent that answers a called number or extension; figures match with and without `+`."""
        number = normal_number(called)
        return self.routes.get(number) or self.routes.get(number.removeprefix("+"))

    def for_widget(self, key: str, origin: str) -> AgentChoice | None:
        """None if the key is unknown or the origin is not in its list: one answer for both."""
        widget = self.widgets.get(key)
        if widget is None or origin not in widget.origins:
            return None
        return widget.choice


EMPTY: Final = DialPlan(0, {}, {})


def normal_number(text: str) -> str:
    """One spelling for comparing: no separators, small letters."""
    plain = text.strip().lower()
    stripped = plain.translate(_SEPARATORS)
    return stripped if stripped.removeprefix("+").isdigit() else plain


def parse_snapshot(body: Any) -> DialPlan:
    """Raises: SnapshotError."""
    snapshot = _mapping(body, "snapshot")
    revision = _whole(snapshot.get("revision"), "revision")
    agents = {
        name: _mapping(definition, f"agents.{name}")
        for name, definition in _mapping(snapshot.get("agents"), "agents").items()
    }
    routes: dict[str, AgentChoice] = {}
    for index, row in enumerate(_rows(snapshot.get("routes"), "routes")):
        where = f"routes[{index}]"
        number = normal_number(_text(row.get("number"), f"{where}.number"))
        if number in routes:
            raise SnapshotError(f"{where}.number", "this number has a route already")
        routes[number] = _choice(row, agents, where)
    widgets: dict[str, Widget] = {}
    for index, row in enumerate(_rows(snapshot.get("widgets"), "widgets")):
        where = f"widgets[{index}]"
        key = _text(row.get("key"), f"{where}.key")
        if key in widgets:
            raise SnapshotError(f"{where}.key", "this key is there already")
        widgets[key] = Widget(key, _choice(row, agents, where), _origins(row, where))
    return DialPlan(revision, routes, widgets)


def _choice(
    row: Mapping[str, Any], agents: Mapping[str, Mapping[str, Any]], where: str
) -> AgentChoice:
    agent = _text(row.get("agent"), f"{where}.agent")
    version = _whole(row.get("version"), f"{where}.version")
    definition = agents.get(f"{agent}@{version}")
    if definition is None:
        raise SnapshotError(f"{where}.agent", f"no agent {agent}@{version} in this snapshot")
    return AgentChoice(agent, version, definition)


def _origins(row: Mapping[str, Any], where: str) -> frozenset[str]:
    values = row.get("origins")
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise SnapshotError(f"{where}.origins", "at least one origin is needed")
    return frozenset(
        _origin(value, f"{where}.origins[{number}]") for number, value in enumerate(values)
    )


def _origin(value: Any, where: str) -> str:
    text = _text(value, where)
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or "*" in text:
        raise SnapshotError(where, "an origin is scheme, host and port, without wildcards")
    if text != f"{parts.scheme}://{parts.netloc}":
        raise SnapshotError(where, "an origin has no path")
    return text


def _rows(value: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SnapshotError(where, "a list is needed")
    if len(value) > _MAX_ROWS:
        raise SnapshotError(where, f"at most {_MAX_ROWS} rows")
    return [_mapping(row, f"{where}[{index}]") for index, row in enumerate(value)]


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SnapshotError(where, "an object is needed")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 256:
        raise SnapshotError(where, "a text of 1 to 256 characters is needed")
    return value


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SnapshotError(where, "a whole number is needed")
    return value
