"""Rules of a number: when one applies, and where the call goes then. Pure.

A rule applies when all of its conditions hold: trunk, headers, hours, load. The first that applies decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from telephony.hours import Hours, parse_hours
from telephony.snapshot_rows import Row, SnapshotError

HeaderTest = Literal["is", "begins", "contains", "present"]

NOT_FOUND: Final = 404
UNAVAILABLE: Final = 480
REFUSALS: Final = (403, 404, 480, 486, 503, 600, 603)
"""Status codes a rule may refuse with."""
MAX_RULES: Final = 50
"""Of one number."""


@dataclass(frozen=True, slots=True)
class AgentChoice:
    """A published agent version and its definition, as it stood when the call began."""

    agent: str
    version: int
    definition: Mapping[str, Any] = field(compare=False)

    @property
    def name(self) -> str:
        return f"{self.agent}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteLoad:
    """What is up now: calls of the node, and of each agent on it."""

    node_calls: int = 0
    agent_calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """A call at the door. `called`: candidates in the order in which they are tried. `trunk`: empty for none.

    `headers`: names in small letters. `at`: wall time with its zone.
    """

    called: tuple[str, ...]
    at: datetime
    trunk: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    load: RouteLoad = field(default_factory=RouteLoad)


# ------------------------------------------------------------------------------------------------------ decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent answers. `number`: the candidate that was found; `rule`: which rule of it decided, for people."""

    choice: AgentChoice
    number: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Nobody answers: the SIP status, and when to try again."""

    status: int
    retry_after_s: int | None = None
    number: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person's phone rings. `overflow`: what becomes of a call that nobody takes within `ring_s`."""

    extension: str
    ring_s: int = 25
    overflow: Agent | Refuse = Refuse(status=UNAVAILABLE)
    number: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Persons (extensions) in order, each for `ring_s`; then the overflow."""

    name: str
    persons: tuple[str, ...]
    ring_s: int = 20
    overflow: Agent | Refuse = Refuse(status=UNAVAILABLE)
    rule: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The call goes on to a number by a trunk, if the outbound rules allow it; else the overflow."""

    trunk: str
    destination: str
    ring_s: int = 60
    overflow: Agent | Refuse = Refuse(status=UNAVAILABLE)
    number: str = ""
    rule: str = ""


Decision = Agent | Person | Queue | Forward | Refuse


# ---------------------------------------------------------------------------------------------------------- rules


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A header's value, compared without regard to case. A header that is missing never fits."""

    name: str
    test: HeaderTest
    value: str = ""

    def holds(self, headers: Mapping[str, str]) -> bool:
        given = headers.get(self.name)
        if given is None:
            return False
        given, wanted = given.casefold().strip(), self.value.casefold()
        match self.test:
            case "present":
                return True
            case "is":
                return given == wanted
            case "begins":
                return given.startswith(wanted)
            case "contains":
                return wanted in given


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCondition:
    """Applies while fewer calls are up: of one agent, or of the node. None: does not matter."""

    agent: str = ""
    agent_calls_below: int | None = None
    node_calls_below: int | None = None

    def holds(self, load: RouteLoad) -> bool:
        agent, node = self.agent_calls_below, self.node_calls_below
        if agent is not None and load.agent_calls.get(self.agent, 0) >= agent:
            return False
        return node is None or load.node_calls < node


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a number. Empty conditions hold always."""

    name: str
    then: Decision
    trunks: frozenset[str] = frozenset()
    headers: tuple[HeaderCondition, ...] = ()
    hours: tuple[Hours, ...] = ()
    load: LoadCondition | None = None

    @property
    def is_final(self) -> bool:
        """True if it always applies, so that no rule behind it is reached."""
        return not (self.trunks or self.headers or self.hours or self.load)

    def applies(self, facts: RouteFacts) -> bool:
        return (
            (not self.trunks or facts.trunk in self.trunks)
            and all(condition.holds(facts.headers) for condition in self.headers)
            and (not self.hours or any(hours.include(facts.at) for hours in self.hours))
            and (self.load is None or self.load.holds(facts.load))
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What rules of this snapshot may name."""

    agents: Mapping[str, Mapping[str, Any]]
    trunks: frozenset[str]
    extensions: frozenset[str]
    queues: Mapping[str, Queue]


# -------------------------------------------------------------------------------------------------------- reading


def parse_choice(row: Row, agents: Mapping[str, Mapping[str, Any]]) -> AgentChoice:
    """`agent` and `version` of a row. Raises: SnapshotError."""
    agent = row.text("agent")
    version = row.whole("version", -1)
    definition = agents.get(f"{agent}@{version}")
    if definition is None:
        raise row.error("agent", f"no agent {agent}@{version} in this snapshot")
    return AgentChoice(agent, version, definition)


def parse_rule(row: Row, known: Known) -> Rule:
    """Raises: SnapshotError."""
    then = _target(row, known)
    if "when" not in row:
        return Rule(name=row.text_or("rule"), then=then)
    when = row.row("when")
    trunks = when.texts("trunks")
    for index, trunk in enumerate(trunks):
        if trunk not in known.trunks:
            raise when.error(f"trunks[{index}]", "no such trunk in this snapshot")
    return Rule(
        name=row.text_or("rule"),
        then=then,
        trunks=frozenset(trunks),
        headers=tuple(_header(part) for part in when.rows("headers")),
        hours=tuple(parse_hours(part) for part in when.rows("hours")),
        load=_load(when.row("load"), then) if "load" in when else None,
    )


TARGETS: Final = ("agent", "person", "queue", "forward", "refuse")


def _target(row: Row, known: Known) -> Decision:
    named = [name for name in TARGETS if name in row]
    if len(named) != 1:
        raise SnapshotError(row.where, f"exactly one of {', '.join(TARGETS)} is needed")
    match named[0]:
        case "agent":
            return Agent(choice=parse_choice(row, known.agents))
        case "refuse":
            return _refusal(row.row("refuse"))
        case "queue":
            queue = known.queues.get(row.text("queue"))
            if queue is None:
                raise row.error("queue", "no such queue in this snapshot")
            return queue
        case "person":
            part = row.row("person")
            return Person(
                extension=_extension(part.text("extension"), part.place("extension"), known),
                ring_s=part.whole("ring_s", 25, 5, 300),
                overflow=_overflow(part, known),
            )
        case _:
            return _forward(row.row("forward"), known)


def _forward(part: Row, known: Known) -> Forward:
    trunk = part.text("trunk")
    if trunk not in known.trunks:
        raise part.error("trunk", "no such trunk in this snapshot")
    return Forward(
        trunk=trunk,
        destination=part.text("number"),
        ring_s=part.whole("ring_s", 60, 5, 300),
        overflow=_overflow(part, known),
    )


def _refusal(part: Row) -> Refuse:
    status = part.whole("status", UNAVAILABLE)
    if status not in REFUSALS:
        raise part.error("status", f"one of {', '.join(map(str, REFUSALS))} is needed")
    return Refuse(
        status=status, retry_after_s=part.optional_whole("retry_after_s", least=1, most=86_400)
    )


def _overflow(row: Row, known: Known) -> Agent | Refuse:
    if "overflow" not in row:
        return Refuse(status=UNAVAILABLE)
    part = row.row("overflow")
    if "agent" in part:
        return Agent(choice=parse_choice(part, known.agents))
    return _refusal(part.row("refuse"))


def _extension(name: str, where: str, known: Known) -> str:
    if name not in known.extensions:
        raise SnapshotError(where, "no such extension in this snapshot")
    return name


def _header(part: Row) -> HeaderCondition:
    test: Any = part.choice("test", get_args(HeaderTest), "is")
    if test != "present" and not part.text_or("value"):
        raise part.error("value", "a value is needed")
    return HeaderCondition(part.text("name").lower(), test, part.text_or("value"))


def _load(part: Row, then: Decision) -> LoadCondition:
    own = then.choice.agent if isinstance(then, Agent) else ""
    load = LoadCondition(
        agent=part.text_or("agent") or own,
        agent_calls_below=part.optional_whole("agent_calls_below"),
        node_calls_below=part.optional_whole("node_calls_below"),
    )
    if load.agent_calls_below is not None and not load.agent:
        raise part.error("agent", "whose calls are counted?")
    return load


def parse_queues(rows: list[Row], known: Known) -> dict[str, Queue]:
    """By name; `known.queues` is not read. Raises: SnapshotError."""
    queues: dict[str, Queue] = {}
    for row in rows:
        name = row.text("name")
        if name in queues:
            raise row.error("name", "this queue is there already")
        persons = tuple(
            _extension(person, f"{row.place('persons')}[{index}]", known)
            for index, person in enumerate(row.texts("persons"))
        )
        queues[name] = Queue(
            name=name,
            persons=persons,
            ring_s=row.whole("ring_s", 20, 5, 300),
            overflow=_overflow(row, known),
        )
    return queues
