"""Lines of the history of calls, masked for the person who looks, and the filters above them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from frontend.access import Viewer
from frontend.presenters.rows import present_row
from frontend.records import PastCall

WAYS: Final[Mapping[str, str]] = {"webrtc": "Browser", "sip": "Phone", "loopback": "Test"}
MARKS: Final = ("person", "barge", "slow")
SLOW_MS: Final = 800


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One ended call in the table."""

    id: str
    caller: str
    way: str
    agent: str
    version: int | None
    started_at: Any
    duration: str
    answer_ms: int | None
    barge_ins: int
    cause: str
    person: str
    pace: str


def present_past(past: PastCall, viewer: Viewer) -> HistoryLine:
    """The line for this person."""
    row = present_row(past.row, viewer)
    seconds = round(past.seconds or 0)
    taken_by = str(past.row.get("taken_by") or "")
    asked = "asked for a person" if past.row.get("person_requested") else ""
    answer_ms = past.row.get("answer_ms")
    return HistoryLine(
        id=row["id"],
        caller=row["caller"],
        way=WAYS.get(row["transport"], row["transport"]),
        agent=row["agent"],
        version=row["version"],
        started_at=past.started_at,
        duration=f"{seconds // 60}:{seconds % 60:02d}",
        answer_ms=None if answer_ms is None else round(answer_ms),
        barge_ins=row["barge_ins"],
        cause=str(past.row.get("end_cause") or "ended").replace("_", " "),
        person=f"taken by {taken_by}" if taken_by else asked,
        pace=pace_of(answer_ms),
    )


def pace_of(answer_ms: float | None) -> str:
    """How an answer time feels to a caller."""
    if answer_ms is None:
        return "none"
    return "good" if answer_ms <= 500 else "fair" if answer_ms <= 1200 else "slow"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address of the page asks for; unknown values filter nothing."""

    q: str = ""
    agent: str = ""
    way: str = ""
    mark: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, Any]) -> Filters:
        mark = str(query.get("mark", ""))
        way = str(query.get("way", ""))
        return cls(
            q=str(query.get("q", ""))[:100].strip(),
            agent=str(query.get("agent", ""))[:64],
            way=way if way in WAYS.values() else "",
            mark=mark if mark in MARKS else "",
        )

    def match(self, line: HistoryLine) -> bool:
        """Whether the line is asked for. Searches what the person sees, not what was masked."""
        words = f"{line.caller} {line.id} {line.agent} {line.cause}".lower()
        return (
            self.q.lower() in words
            and self.agent in {"", line.agent}
            and self.way in {"", line.way}
            and self._marked(line)
        )

    def _marked(self, line: HistoryLine) -> bool:
        match self.mark:
            case "person":
                return bool(line.person)
            case "barge":
                return line.barge_ins > 0
            case "slow":
                return (line.answer_ms or 0) > SLOW_MS
            case _:
                return True
