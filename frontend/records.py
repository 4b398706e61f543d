"""What the frontend reads of ended calls and writes into the audit, in the shapes its pages use. Synchronous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from telephony import selectors
from telephony.call.errors import CallError
from telephony.call.serial import record_to_json
from telephony.services.audit import record_audit

RECENT: Final = 5
HISTORY: Final = 100


def events_of(call: str, since: int = 0) -> list[dict[str, Any]]:
    """The call's events after `since` as the bus carries them; empty for an unknown or unreadable call."""
    try:
        return [record_to_json(record) for record in selectors.log_of_call(call, since)]
    except CallError:
        return []


def row_of(call: str) -> dict[str, Any] | None:
    """The call's row from the database; None for an unknown or unreadable call."""
    try:
        return selectors.row_of_call(call)
    except CallError:
        return None


def summary_of(call: str) -> str:
    """What the call was about, once that is written."""
    summary = selectors.summary_of_call(call)
    return selectors.readable(summary, "text") if summary else ""


def transfer_targets() -> list[dict[str, str]]:
    """Colleagues' phones, as a transfer suggests them."""
    return [{"to": name, "label": label} for name, label in selectors.phones_to_call()]


def widget_origins(key: str) -> Sequence[str]:
    """Origins a widget key works on; empty for an unknown key."""
    return selectors.origins_of_widget(key)


def audit(*, who: str, what: str, call: str) -> None:
    """One deed at the desk."""
    record_audit(who=who, what=what, subject=call)


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of a call's audit."""

    at_us: int
    who: str
    what: str


def audit_of(call: str) -> list[Deed]:
    """Who did what to this call; newest first."""
    return [
        Deed(round(entry.at.timestamp() * 1e6), entry.who, entry.what.replace("_", " "))
        for entry in selectors.audit_of(call)
    ]


@dataclass(frozen=True, slots=True)
class PastCall:
    """A line of the history, before masking."""

    row: dict[str, Any]
    started_at: Any
    seconds: float | None


def past_calls(limit: int = HISTORY) -> list[PastCall]:
    """Ended calls, newest first."""
    return [
        PastCall(
            {
                "id": record.call,
                "state": "ended",
                "direction": record.direction,
                "transport": record.transport,
                "caller": selectors.readable(record, "caller"),
                "called": selectors.readable(record, "called"),
                "agent": record.agent,
                "version": record.version,
                "step": record.step,
                "controller": "",
                "taken_by": record.controller,
                "answer_ms": record.answer_ms,
                "barge_ins": record.barge_ins,
                "person_requested": record.person_requested,
                "end_cause": record.end_cause,
            },
            record.started_at,
            record.seconds,
        )
        for record in selectors.recent_calls(limit=limit)
        if record.ended_at is not None
    ]
