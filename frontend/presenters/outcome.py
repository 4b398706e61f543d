"""What became of a placed call, as programs read it. Pure; no number, no name, nothing that was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

CALLER: Final = "caller"
"""The leg of whoever is not the agent: the caller, or the person we called."""
US: Final = 1_000_000


def present_outcome(call: str, events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`events`: of the bus or the database, in order; none yet: it is being dialled.

    `state`: dialling, ringing, answered, ended. `outcome`: once it ended: `answered`, or why nobody did.
    """
    told: dict[str, Any] = {
        "id": call,
        "state": "dialling",
        "started_at": None,
        "answered_at": None,
        "ended_at": None,
        "seconds": None,
        "pdd_ms": None,
        "status": None,
        "trunk": None,
        "outcome": None,
        "end_cause": None,
        "answerer": None,
    }
    answered_us: int | None = None
    for body in events:
        at_us = int(body["at_us"])
        event = body.get("event") or {}
        match body["kind"]:
            case "CallStarted":
                told["started_at"] = _time(at_us)
            case "LegRinging" if told["state"] == "dialling":
                told["state"] = "ringing"
            case "TrunkMeasured" if event.get("trunk"):
                told |= {name: event.get(name) for name in ("pdd_ms", "status", "trunk")}
                told["outcome"] = None if event["answered"] else event["cause"]
            case "LegConnected" if event.get("leg") == CALLER and answered_us is None:
                answered_us = at_us
                told |= {"state": "answered", "answered_at": _time(at_us)}
            case "AnswererJudged":
                told["answerer"] = event["answerer"]
            case "CallEnded":
                told |= {"state": "ended", "ended_at": _time(at_us), "end_cause": event["cause"]}
                told["outcome"] = "answered" if answered_us else told["outcome"] or event["cause"]
                told["seconds"] = round((at_us - answered_us) / US, 1) if answered_us else 0.0
            case _:
                pass
    return told


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / US, UTC).isoformat(timespec="milliseconds")
