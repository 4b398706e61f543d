"""Calls, newest first."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from telephony.management.lookups import as_json, need_tables
from telephony.selectors import masked, readable, recent_calls


class Command(BaseCommand):
    help = "Lists calls, newest first; numbers are masked unless --numbers."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--live", action="store_true", help="Only calls that are up.")
        parser.add_argument("--limit", type=int, default=50)
        parser.add_argument("--numbers", action="store_true", help="Show numbers unmasked.")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        need_tables()
        found = recent_calls(live=options["live"], limit=max(1, options["limit"]))
        rows = [_row(call, unmasked=options["numbers"]) for call in found]
        if options["json"]:
            self.stdout.write(as_json(rows))
            return
        for row in rows:
            length = f"{row['seconds']:.0f} s" if row["seconds"] is not None else "live"
            who = f"to {row['called']}" if row["direction"] == "outbound" else row["caller"]
            columns = (row["call"], row["started_at"], length, who, row["agent"])
            self.stdout.write("  ".join(str(column or "-") for column in columns))
        if not rows:
            self.stdout.write("No live calls." if options["live"] else "No calls yet.")


def _row(call: Any, *, unmasked: bool) -> dict[str, Any]:
    show = str if unmasked else masked
    return {
        "call": call.call,
        "node": call.node,
        "phase": call.phase,
        "transport": call.transport,
        "direction": call.direction,
        "caller": show(readable(call, "caller")),
        "called": show(readable(call, "called")),
        "agent": call.agent,
        "version": call.version,
        "started_at": call.started_at.isoformat(timespec="seconds") if call.started_at else None,
        "seconds": call.seconds,
        "end_cause": call.end_cause,
        "barge_ins": call.barge_ins,
        "answer_ms": call.answer_ms,
        "seq": call.seq,
    }
