"""May this call be placed, by which trunk, showing which number? Pure; everything that is not allowed is refused.

`judge` sees an order, the rules of the snapshot and what is up and was dialled today (`Usage`). Callers act on nothing
but an `Allowed`, which is counted at once (`telephony.outbound_usage`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from telephony import destinations as numbers
from telephony.destinations import NumberError
from telephony.hours import Hours, parse_hours
from telephony.snapshot_rows import Row
from telephony.trunks import Extension, Trunk, is_destination

Purpose = Literal["outbound", "transfer", "person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps over calls placed by us. None: no limit; 0: none at all. Days are those of UTC."""

    max_calls: int | None = None
    max_cps: float | None = None
    max_calls_per_day: int | None = None
    max_minutes_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRight:
    """What one agent may dial. `trunks` None: by any. `destinations` empty: all that the trunks allow, never more."""

    limits: Limits = Limits()
    trunks: frozenset[str] | None = None
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallingHours:
    """When numbers of this prefix may be called: in the hours of the called party."""

    prefix: str
    hours: Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRules:
    """Trunks in the order in which they are tried; an agent that is not in `agents` dials nobody.

    `blocked`: prefixes nobody dials, whatever a trunk allows. `limits`: over all trunks of this node together.
    """

    trunks: Mapping[str, Trunk] = field(default_factory=dict)
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    agents: Mapping[str, DialRight] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    hours: tuple[CallingHours, ...] = ()
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one trunk, one agent or all of them did: up now, begun in the last second, since the last, today."""

    calls: int = 0
    last_second: int = 0
    idle_s: float = math.inf
    calls_today: int = 0
    seconds_today: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Usage by name. `down`: trunks that do not answer; they are tried last."""

    trunks: Mapping[str, Usage] = field(default_factory=dict)
    agents: Mapping[str, Usage] = field(default_factory=dict)
    total: Usage = Usage()
    down: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """Who wants to call whom. `agent` empty: nobody's agent (a person at the desk rings an extension, a route forwards).

    `at`: wall time with its zone. `tried`: trunks that failed already for this order.
    """

    destination: str
    at: datetime
    agent: str = ""
    trunk: str = ""
    caller_id: str = ""
    purpose: Purpose = "outbound"
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Allowed:
    """`number`: E.164 or an own short number; `dialled`: the same as the trunk wants it.

    `caller_id`: of the trunk's pool; empty: the trunk's own identity. `extension`: a phone of ours, then no trunk.
    """

    trunk: str
    caller_id: str
    number: str = field(repr=False)
    dialled: str = field(repr=False)
    extension: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """`reason`: short and stable, for counters; `user_message`: for whoever asked. Neither holds the number."""

    reason: str
    user_message: str


MESSAGES: Final[Mapping[str, str]] = {
    "too_long": "This is too long for a telephone number.",
    "parameters": "A destination is a number alone, without parameters.",
    "not_a_number": "This is not a telephone number we can dial.",
    "not_international": "Write the number with its country code, such as +4930123456.",
    "short_code": "Short codes and emergency numbers are not dialled.",
    "foreign_host": "Calls go through the trunks that are set up, not to other hosts.",
    "unknown_extension": "There is no such extension.",
    "unknown_trunk": "There is no such trunk, or it is off.",
    "no_trunk": "No trunk is set up for calls out.",
    "agent_may_not_dial": "This agent may not place calls; it is allowed in the admin, under “Dial rights”.",
    "agent_trunk": "This agent may not use that trunk.",
    "agent_destination": "This agent may not call that destination.",
    "destination": "This destination is not on the trunk's list of allowed ones.",
    "costly": "Premium, satellite and costly ranges are dialled only where the list names them.",
    "blocked": "This destination is blocked.",
    "hours": "It is not the time to call this destination.",
    "caller_id": "That caller ID is not in the trunk's pool.",
    "calls": "All calls that are allowed at once are in use; try again in a minute.",
    "cps": "Calls are being placed too fast; try again in a second.",
    "calls_per_day": "Today's calls are used up.",
    "minutes_per_day": "Today's minutes are used up.",
}

Verdict = Allowed | Denied


def judge(order: OrderFacts, rules: OutboundRules, counters: Counters) -> Verdict:
    """The first trunk that may take the order; else the refusal of the best fitting one."""
    try:
        number, host = numbers.bare_number(order.destination)
    except NumberError as error:
        extension = _extension(order, rules)
        return extension or _denied(error.reason)
    own = None if host else _extension(order, rules)
    if own is not None:
        return own
    refused = _agent_refusal(order, rules, counters)
    if refused is not None:
        return refused
    return _by_trunks(order, rules, counters, number, host)


def _by_trunks(
    order: OrderFacts, rules: OutboundRules, counters: Counters, number: str, host: str
) -> Verdict:
    trunks = _candidates(order, rules, host)
    if isinstance(trunks, Denied):
        return trunks
    fits: list[tuple[int, int, int, Allowed]] = []
    refusals: list[Denied] = []
    for place, trunk in enumerate(trunks):
        verdict = _by_trunk(order, rules, counters, trunk, number)
        if isinstance(verdict, Denied):
            refusals.append(verdict)
            continue
        narrow = len(numbers.longest_entry(verdict.number, trunk.allowed_prefixes))
        fits.append((trunk.name in counters.down, -narrow, place, verdict))
    if fits:
        return min(fits, key=lambda fit: fit[:3])[3]
    return max(refusals, key=lambda refusal: _STAGES.get(refusal.reason, 0))


_STAGES: Final = {"costly": 2, "blocked": 2, "hours": 3, "caller_id": 3} | dict.fromkeys(
    ("calls", "cps", "calls_per_day", "minutes_per_day"), 4
)
"""Of several trunks' refusals the one that came furthest is told; most stop at their allow-lists."""


def _by_trunk(
    order: OrderFacts, rules: OutboundRules, counters: Counters, trunk: Trunk, bare: str
) -> Verdict:
    try:
        number = numbers.e164(bare, trunk)
    except NumberError as error:
        return _denied(error.reason)
    reason = (
        _destination_refusal(order, rules, trunk, number)
        or _limit(trunk_limits(trunk), counters.trunks.get(trunk.name, Usage()))
        or _limit(rules.limits, counters.total)
    )
    if reason:
        return _denied(reason)
    caller_id = choose_caller_id(trunk, number, order.caller_id)
    if caller_id is None:
        return _denied("caller_id")
    return Allowed(trunk.name, caller_id, number, numbers.as_dialled(number, trunk))


def _destination_refusal(
    order: OrderFacts, rules: OutboundRules, trunk: Trunk, number: str
) -> str | None:
    if not _is_listed(number, trunk.allowed_prefixes):
        return "destination"
    if number.startswith(rules.blocked):
        return "blocked"
    costly = numbers.costly_range(number)
    if len(numbers.longest_entry(number, trunk.allowed_prefixes)) < len(costly):
        return "costly"
    right = rules.agents.get(order.agent) if order.agent else None
    if right is not None and right.destinations and not _is_listed(number, right.destinations):
        return "agent_destination"
    window = max(
        (window for window in rules.hours if number.startswith(window.prefix)),
        key=lambda window: len(window.prefix),
        default=None,
    )
    if window is not None and not window.hours.include(order.at):
        return "hours"
    return None


def _is_listed(number: str, entries: Iterable[str]) -> bool:
    if number.startswith("+"):
        return bool(numbers.longest_entry(number, entries))
    return numbers.own_entry(number, entries) is not None


def _candidates(order: OrderFacts, rules: OutboundRules, host: str) -> list[Trunk] | Denied:
    enabled = [trunk for trunk in rules.trunks.values() if trunk.enabled and trunk.hosts]
    if order.trunk:
        enabled = [trunk for trunk in enabled if trunk.name == order.trunk]
        if not enabled:
            return _denied("unknown_trunk")
    if host:
        enabled = [trunk for trunk in enabled if host in {each.lower() for each in trunk.hosts}]
        if not enabled:
            return _denied("foreign_host")
    right = rules.agents.get(order.agent) if order.agent else None
    if enabled and right is not None and right.trunks is not None:
        enabled = [trunk for trunk in enabled if trunk.name in right.trunks]
        if not enabled:
            return _denied("agent_trunk")
    untried = [trunk for trunk in enabled if trunk.name not in order.tried]
    return untried or _denied("no_trunk")


def _agent_refusal(order: OrderFacts, rules: OutboundRules, counters: Counters) -> Denied | None:
    if not order.agent:
        return None
    right = rules.agents.get(order.agent)
    if right is None:
        return _denied("agent_may_not_dial")
    reason = _limit(right.limits, counters.agents.get(order.agent, Usage()))
    return _denied(reason) if reason else None


def _extension(order: OrderFacts, rules: OutboundRules) -> Allowed | None:
    """A phone of ours: it costs nothing, so no cap and no allow-list stands before it."""
    found = rules.extensions.get(order.destination.strip())
    if found is None or not found.enabled or order.trunk:
        return None
    return Allowed("", "", found.name, found.name, found.name)


def trunk_limits(trunk: Trunk) -> Limits:
    """The trunk's caps in the words of this module."""
    return Limits(
        max_calls=trunk.max_calls,
        max_cps=trunk.max_cps,
        max_calls_per_day=trunk.max_calls_per_day,
        max_minutes_per_day=trunk.max_minutes_per_day,
    )


def _limit(limits: Limits, usage: Usage) -> str | None:
    if limits.max_calls is not None and usage.calls >= limits.max_calls:
        return "calls"
    if limits.max_cps is not None and _is_too_fast(limits.max_cps, usage):
        return "cps"
    if limits.max_calls_per_day is not None and usage.calls_today >= limits.max_calls_per_day:
        return "calls_per_day"
    minutes = limits.max_minutes_per_day
    if minutes is not None and usage.seconds_today >= 60 * minutes:
        return "minutes_per_day"
    return None


def _is_too_fast(max_cps: float, usage: Usage) -> bool:
    if max_cps < 1:
        return usage.idle_s * max_cps < 1
    return usage.last_second + 1 > max_cps


def choose_caller_id(trunk: Trunk, number: str, asked: str = "") -> str | None:
    """One number of the pool, by the trunk's rule; None if what was asked for is not in it.

    `match`: the one that shares the longest beginning with the called number, at least its country's first figure.
    `rotate`: the same one for the same called number. An empty pool: empty, the trunk's own identity.
    """
    pool = trunk.caller_ids
    if asked:
        return asked if asked in pool else None
    if not pool:
        return ""
    if trunk.caller_id_rule == "match":
        return max(pool, key=lambda own: _shared(own, number))  # of equals the first
    if trunk.caller_id_rule == "rotate":
        digest = hashlib.sha256(number.encode()).digest()
        return pool[int.from_bytes(digest[:8], "big") % len(pool)]
    return pool[0]


def _shared(one: str, other: str) -> int:
    count = 0
    for left, right in zip(one.removeprefix("+"), other.removeprefix("+"), strict=False):
        if left != right:
            break
        count += 1
    return count


def _denied(reason: str) -> Denied:
    return Denied(reason, MESSAGES[reason])


# ------------------------------------------------------------------------------------------------------- reading


def parse_outbound(
    row: Row, trunks: Mapping[str, Trunk], extensions: Mapping[str, Extension]
) -> OutboundRules:
    """Raises: SnapshotError."""
    agents: dict[str, DialRight] = {}
    for part in row.rows("agents"):
        agents[part.text("agent")] = DialRight(
            limits=_limits(part),
            trunks=frozenset(part.texts("trunks")) if "trunks" in part else None,
            destinations=_prefixes(part, "destinations"),
        )
    return OutboundRules(
        trunks=trunks,
        extensions=extensions,
        agents=agents,
        blocked=_prefixes(row, "blocked"),
        hours=tuple(
            CallingHours(prefix, parse_hours(part))
            for part in row.rows("hours")
            for prefix in _prefixes(part, "prefixes")
        ),
        limits=_limits(row),
    )


def _limits(row: Row) -> Limits:
    return Limits(
        max_calls=row.optional_whole("max_calls"),
        max_cps=row.number("max_cps", 0.0) if "max_cps" in row else None,
        max_calls_per_day=row.optional_whole("max_calls_per_day"),
        max_minutes_per_day=row.optional_whole("max_minutes_per_day"),
    )


def _prefixes(row: Row, name: str) -> tuple[str, ...]:
    values = row.texts(name)
    for index, value in enumerate(values):
        if not is_destination(value):
            raise row.error(f"{name}[{index}]", "a prefix such as +49 is needed")
    return values
