"""Numbers, trunks and who answers: as the snapshot has them (docs/wire.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from telephony.call.errors import BrokenLogError
from telephony.dialplan import DialPlan, parse_snapshot
from telephony.models import (
    Ban,
    DialRight,
    Extension,
    OutboundPolicy,
    Queue,
    Route,
    RouteTarget,
    Trunk,
    WidgetKey,
)
from telephony.models.fields import snapshot_opener, snapshot_sealer
from telephony.models.outbound import CallingWindow, Caps
from telephony.models.routing import WEEK
from telephony.snapshot_rows import SnapshotError
from telephony.trunks import REALM

__all__ = [
    "AnsweringAgent",
    "answering_agents",
    "extension_row",
    "origins_of_widget",
    "plan_in_force",
    "rule_always_applies",
    "rule_row",
    "snapshot_opener",
    "snapshot_routing",
    "trunk_row",
    "trunk_values",
]

Row = dict[str, Any]
Answer = Callable[[str], Row | None]
"""Slug of an agent -> `agent` and `version` of a row; None for one that callers cannot have."""


@dataclass(frozen=True, slots=True)
class AnsweringAgent:
    """An agent as telephony knows it. `version`: the published one; None if callers cannot have it yet."""

    slug: str
    name: str
    version: int | None


def answering_agents() -> Mapping[str, AnsweringAgent]:
    """By slug; who they are is the business of whoever is bound in the settings."""
    agents: Mapping[str, AnsweringAgent] = import_string(settings.TELEPHONY_AGENTS)()
    return agents


def _answer() -> Answer:
    agents = answering_agents()

    def answer(slug: str) -> Row | None:
        agent = agents.get(slug)
        if agent is None or agent.version is None:
            return None
        return {"agent": agent.slug, "version": agent.version}

    return answer


def origins_of_widget(key: str) -> tuple[str, ...]:
    """Origins a key works on; empty for a key that is unknown or off: one answer for both."""
    found = WidgetKey.objects.filter(key=key, enabled=True).first()
    return tuple(found.origins) if found else ()


def snapshot_routing(now: datetime) -> dict[str, Any]:
    """The telephony part of the snapshot: what is enabled and can be answered.

    Raises: SnapshotError for a password that cannot be decrypted here.
    """
    answer = _answer()
    seal = snapshot_sealer()
    rules = Route.objects.filter(enabled=True).select_related(
        "number", "trunk", "extension", "queue", "forward_trunk"
    )
    trunks = Trunk.objects.prefetch_related("caller_ids", "destinations")
    return {
        "realm": REALM,
        "routes": [row for rule in rules if (row := rule_row(rule, answer)) is not None],
        "widgets": [
            {"key": key.key} | chosen | {"origins": list(key.origins)}
            for key in WidgetKey.objects.filter(enabled=True)
            if key.origins and (chosen := answer(key.agent))
        ],
        "trunks": [trunk_row(trunk, seal) for trunk in trunks],
        "extensions": [
            extension_row(extension, seal)
            for extension in Extension.objects.filter(enabled=True).select_related("person")
            if extension.ha1
        ],
        "queues": [
            _queue_row(queue, answer)
            for queue in Queue.objects.prefetch_related("members__extension")
        ],
        "outbound": _outbound_row(),
        "bans": [
            {"network": ban.network, "until": ban.until and ban.until.isoformat()}
            for ban in Ban.objects.filter(Q(until=None) | Q(until__gt=now))
        ],
    }


def plan_in_force() -> DialPlan:
    """The plan that was published last. Raises: SnapshotError, OSError without one."""
    try:
        body = json.loads(settings.SNAPSHOT_FILE.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SnapshotError("snapshot", "the file cannot be read") from error
    return parse_snapshot(body, snapshot_opener())


# ---------------------------------------------------------------------------------------------------------- rules


def rule_row(rule: Route, answer: Answer) -> Row | None:
    """None if the rule's agent or phone cannot answer."""
    target = _target(rule, answer)
    if target is None:
        return None
    row: Row = {"number": rule.number.dialled} | target
    if rule.name:
        row["rule"] = rule.name
    when = _when(rule)
    if when:
        row["when"] = when
    return row


def rule_always_applies(rule: Route) -> bool:
    """True for a rule without conditions: none behind it is ever reached."""
    return not _when(rule)


def _target(rule: Route, answer: Answer) -> Row | None:
    match rule.target:
        case RouteTarget.AGENT:
            return answer(rule.agent)
        case RouteTarget.PERSON:
            if rule.extension is None or not (rule.extension.enabled and rule.extension.ha1):
                return None
            person = {"extension": rule.extension.name, "ring_s": rule.ring_s}
            return {"person": person | _overflow(rule, answer)}
        case RouteTarget.QUEUE:
            return {"queue": rule.queue.name} if rule.queue else None
        case RouteTarget.FORWARD:
            if rule.forward_trunk is None or not rule.forward_trunk.enabled:
                return None
            forward = {
                "trunk": rule.forward_trunk.name,
                "number": rule.forward_number,
                "ring_s": rule.ring_s,
            }
            return {"forward": forward | _overflow(rule, answer)}
        case _:
            return {"refuse": _refusal(rule.refuse_status, rule.retry_after_s)}


def _overflow(rule: Route, answer: Answer) -> Row:
    agent = answer(rule.overflow_agent)
    return {"overflow": agent or {"refuse": _refusal(rule.refuse_status, rule.retry_after_s)}}


def _refusal(status: int, retry_after_s: int | None) -> Row:
    refusal: Row = {"status": status}
    return refusal | ({"retry_after_s": retry_after_s} if retry_after_s else {})


def _when(rule: Route) -> Row:
    when: Row = {}
    if rule.trunk is not None:
        when["trunks"] = [rule.trunk.name]
    if rule.header:
        when["headers"] = [
            {"name": rule.header, "test": rule.header_test, "value": rule.header_value}
        ]
    if rule.has_hours:
        when["hours"] = [_hours(rule) | {"closed": list(rule.closed)}]
    load = {
        "agent_calls_below": rule.agent_calls_below,
        "node_calls_below": rule.node_calls_below,
    }
    if any(value is not None for value in load.values()):
        when["load"] = {name: value for name, value in load.items() if value is not None}
    return when


def _hours(row: Route | CallingWindow) -> Row:
    return {
        "zone": row.zone,
        "days": [int(day) for day in row.days or WEEK],
        "from": row.opens.strftime("%H:%M") if row.opens else "00:00",
        "to": row.closes.strftime("%H:%M") if row.closes else "24:00",
    }


# --------------------------------------------------------------------------------------------- trunks, extensions

_TRUNK_FIELDS: Final = (
    "name", "label", "enabled", "hosts", "transport", "networks", "media_networks", "username", "realm",
    "challenge_inbound", "register", "register_expires_s", "trusted", "send_pai", "number_format", "prefix",
    "country", "national_prefix", "international_prefix", "codecs", "srtp", "srtp_without_tls", "dtmf",
    "session_expires_s", "max_calls", "max_cps", "max_calls_per_day", "max_minutes_per_day", "ping_s",
    "allow_refer_in", "send_refer", "advertised", "caller_id_rule",
)  # fmt: skip
Seal = Callable[[str, str], str]


def trunk_values(trunk: Trunk) -> Row:
    """What stands in the trunk's own row of the database, saved or not; no secrets."""
    return {name: getattr(trunk, name) for name in _TRUNK_FIELDS}


def trunk_row(trunk: Trunk, seal: Seal) -> Row:
    """Raises: SnapshotError for a password that cannot be decrypted."""
    row = trunk_values(trunk) | {
        "caller_ids": [each.number for each in trunk.caller_ids.all()],
        "allowed_prefixes": [each.prefix for each in trunk.destinations.all()],
    }
    password = _opened(trunk, "password", f"trunks.{trunk.name}.password")
    return row | ({"password": seal(password, f"trunk {trunk.name}")} if password else {})


def extension_row(extension: Extension, seal: Seal) -> Row:
    """Raises: SnapshotError for a secret that cannot be decrypted."""
    name = extension.name
    ha1: Mapping[str, str] = json.loads(_opened(extension, "ha1", f"extensions.{name}.ha1") or "{}")
    return {
        "name": name,
        "label": extension.label,
        "person": extension.person.get_username() if extension.person else "",
        "codecs": list(extension.codecs),
        "ha1": {
            algorithm: seal(value, f"extension {name} {algorithm}")
            for algorithm, value in ha1.items()
        },
    }


def _opened(row: Trunk | Extension, column: str, where: str) -> str:
    try:
        return str(getattr(row, column))
    except BrokenLogError as error:
        raise SnapshotError(where, "this secret cannot be decrypted; set it again") from error


def _queue_row(queue: Queue, answer: Answer) -> Row:
    members = [member.extension for member in queue.members.all()]
    agent = answer(queue.overflow_agent)
    return {
        "name": queue.name,
        "persons": [each.name for each in members if each.enabled and each.ha1],
        "ring_s": queue.ring_s,
        "overflow": agent or {"refuse": _refusal(queue.overflow_status, None)},
    }


# ----------------------------------------------------------------------------------------------------------- out


def _outbound_row() -> Row:
    policy = OutboundPolicy.objects.prefetch_related("windows").first() or OutboundPolicy()
    windows: Iterable[CallingWindow] = policy.windows.all() if policy.pk else ()
    rights = DialRight.objects.filter(enabled=True).prefetch_related("trunks")
    return _caps(policy) | {
        "blocked": list(policy.blocked),
        "hours": [_hours(window) | {"prefixes": list(window.prefixes)} for window in windows],
        "agents": [
            _caps(right)
            | {
                "agent": right.agent,
                "trunks": None if right.any_trunk else [each.name for each in right.trunks.all()],
                "destinations": list(right.destinations),
            }
            for right in rights
        ],
    }


def _caps(row: Caps) -> Row:
    names = ("max_calls", "max_cps", "max_calls_per_day", "max_minutes_per_day")
    values = {name: getattr(row, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
