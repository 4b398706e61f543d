"""Who answers a number or a widget key, and what may be dialled: an immutable plan, read from the published snapshot. Pure.

A snapshot (docs/wire.md, "The snapshot") is taken whole or refused whole, with the place and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from telephony.outbound_rules import OutboundRules, parse_outbound
from telephony.route_rules import (
    MAX_RULES,
    NOT_FOUND,
    UNAVAILABLE,
    Agent,
    AgentChoice,
    Decision,
    Forward,
    Known,
    Person,
    Queue,
    Refuse,
    RouteFacts,
    RouteLoad,
    Rule,
    parse_choice,
    parse_queues,
    parse_rule,
)
from telephony.snapshot_rows import (
    OpenSecret,
    Row,
    SnapshotError,
    mapping,
    no_secrets,
    rows,
    text,
    whole,
)
from telephony.trunks import (
    REALM,
    Extension,
    SourceBan,
    Trunk,
    parse_bans,
    parse_extensions,
    parse_trunks,
    trunk_of_source,
)

__all__ = [
    "EMPTY",
    "Agent",
    "AgentChoice",
    "Decision",
    "DialPlan",
    "Forward",
    "Person",
    "Queue",
    "Refuse",
    "RouteFacts",
    "RouteLoad",
    "SnapshotError",
    "Widget",
    "normal_number",
    "parse_snapshot",
]

_SEPARATORS: Final = str.maketrans("", "", "-.() ")
ANY: Final = "*"
"""Ends a number that stands for all numbers that begin so."""


@dataclass(frozen=True, slots=True)
class Widget:
    """A public key and the exact origins it works on."""

    key: str
    choice: AgentChoice
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class DialPlan:
    """One snapshot. `routes`: the rules of each number, in order; a number that ends in `*` is a prefix.

    `agents`: by name, the newest version of each that is in the snapshot.
    """

    revision: int
    routes: Mapping[str, tuple[Rule, ...]]
    widgets: Mapping[str, Widget]
    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    outbound: OutboundRules = field(default_factory=OutboundRules)
    realm: str = REALM
    bans: tuple[SourceBan, ...] = ()
    agents: Mapping[str, AgentChoice] = field(default_factory=dict)

    def decide(self, facts: RouteFacts) -> Decision:
        """Where a call goes. The first candidate that has rules decides, by its narrowest number and its first rule.

        A number none of whose rules applies now is unavailable (480); one without rules is not found (404).
        """
        for called in facts.called:
            rules = self.rules_of(called)
            if not rules:
                continue
            for place, rule in enumerate(rules, 1):
                if rule.applies(facts):
                    return replace(rule.then, number=called, rule=rule.name or f"rule {place}")
            return Refuse(status=UNAVAILABLE, number=called, rule="no rule applies")
        return Refuse(status=NOT_FOUND, rule="unknown number")

    def rules_of(self, called: str) -> tuple[Rule, ...]:
        """Rules of a called number: exact, with and without `+`, then the longest prefix; empty if there are none."""
        number = normal_number(called)
        if not number:
            return ()
        spellings = (number, number.removeprefix("+"))
        for spelling in spellings:
            if spelling in self.routes and not spelling.endswith(ANY):
                return self.routes[spelling]
        for length in range(len(number), -1, -1):
            for spelling in spellings:
                found = self.routes.get(spelling[:length] + ANY)
                if found:
                    return found
        return ()

    def for_widget(self, key: str, origin: str) -> AgentChoice | None:
        """None if the key is unknown or the origin is not in its list: one answer for both."""
        widget = self.widgets.get(key)
        if widget is None or origin not in widget.origins:
            return None
        return widget.choice

    def trunk_of(self, host: str) -> Trunk | None:
        """The enabled trunk that SIP from this address belongs to."""
        return trunk_of_source(self.trunks.values(), host)


EMPTY: Final = DialPlan(0, {}, {})


def normal_number(text: str) -> str:
    """One spelling for comparing: no separators, small letters; a `*` at the end stays."""
    plain = text.strip().lower()
    stripped = plain.translate(_SEPARATORS)
    figures = stripped.removeprefix("+").removesuffix(ANY)
    return stripped if figures.isdigit() or stripped in {ANY, f"+{ANY}"} else plain


def parse_snapshot(body: Any, open_secret: OpenSecret = no_secrets) -> DialPlan:
    """`open_secret` opens passwords of trunks and extensions; without it a snapshot that has some is refused.

    Raises: SnapshotError.
    """
    snapshot = Row(mapping(body, "snapshot"), "")
    agents = {
        name: mapping(definition, f"agents.{name}")
        for name, definition in mapping(snapshot.raw("agents"), "agents").items()
    }
    trunks = parse_trunks(snapshot.rows("trunks"), open_secret)
    extensions = parse_extensions(snapshot.rows("extensions"), open_secret)
    known = Known(agents, frozenset(trunks), frozenset(extensions), {})
    known = replace(known, queues=parse_queues(snapshot.rows("queues"), known))
    outbound = Row(snapshot.raw("outbound") or {}, "outbound")
    return DialPlan(
        revision=whole(snapshot.raw("revision"), "revision"),
        routes=_routes(rows(snapshot.raw("routes"), "routes"), known),
        widgets=_widgets(rows(snapshot.raw("widgets"), "widgets"), known),
        trunks=trunks,
        extensions=extensions,
        outbound=parse_outbound(outbound, trunks, extensions),
        realm=snapshot.text_or("realm", REALM),
        bans=parse_bans(snapshot.rows("bans")),
        agents=_newest(agents),
    )


def _newest(definitions: Mapping[str, Mapping[str, Any]]) -> dict[str, AgentChoice]:
    newest: dict[str, AgentChoice] = {}
    for name, definition in definitions.items():
        agent, _, version = name.rpartition("@")
        if not agent or not version.isascii() or not version.isdigit():
            raise SnapshotError(f"agents.{name}", "a name such as receptionist@3 is needed")
        if agent not in newest or newest[agent].version < int(version):
            newest[agent] = AgentChoice(agent, int(version), definition)
    return newest


def _routes(found: list[Row], known: Known) -> dict[str, tuple[Rule, ...]]:
    routes: dict[str, list[Rule]] = {}
    for row in found:
        number = normal_number(row.text("number"))
        rules = routes.setdefault(number, [])
        if rules and rules[-1].is_final:
            raise row.error("number", "a rule of this number before it always applies")
        if len(rules) >= MAX_RULES:
            raise row.error("number", f"at most {MAX_RULES} rules of one number")
        rules.append(parse_rule(row, known))
    return {number: tuple(rules) for number, rules in routes.items()}


def _widgets(found: list[Row], known: Known) -> dict[str, Widget]:
    widgets: dict[str, Widget] = {}
    for row in found:
        key = row.text("key")
        if key in widgets:
            raise row.error("key", "this key is there already")
        widgets[key] = Widget(key, parse_choice(row, known.agents), _origins(row))
    return widgets


def _origins(row: Row) -> frozenset[str]:
    values = row.texts("origins")
    if not values:
        raise row.error("origins", "at least one origin is needed")
    place = row.place("origins")
    return frozenset(_origin(value, f"{place}[{number}]") for number, value in enumerate(values))


def _origin(value: str, where: str) -> str:
    origin = text(value, where)
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc or "*" in origin:
        raise SnapshotError(where, "an origin is scheme, host and port, without wildcards")
    if origin != f"{parts.scheme}://{parts.netloc}":
        raise SnapshotError(where, "an origin has no path")
    return origin
