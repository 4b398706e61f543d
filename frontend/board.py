"""The live calls as one web process knows them: rows by call, each with the revision at which it last changed.

Pure state: fed with what the bus brings, read by the feed of each socket. A row is state, so a snapshot of the board is
always right, whatever was missed before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from frontend.figures import Figures

ENDED_STAYS_S: Final = 20.0
"""How long a call that ended is still listed."""
MAX_GONE: Final = 2000
"""Removals kept for sockets that resume."""

URGENT: Final = frozenset(
    {
        "CallStarted",
        "CallEnded",
        "BargedIn",
        "PersonRequested",
        "AgentFailed",
        "FloorTaken",
        "FloorReturned",
        "FloorGiven",
        "TransferRequested",
        "TransferProgressed",
        "TransferEnded",
        "LegLost",
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """A row changed; `urgent`: shown at once, not with the next frame."""

    call: str
    urgent: bool


class Board:
    """Rows of the live calls, the figures, and which revision changed what."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.figures = Figures()
        self.revision = 0
        self.forgotten_before = 0
        """Resuming from an older revision is not possible any more."""
        self._changed_at: dict[str, int] = {}
        self._gone: deque[tuple[int, str]] = deque(maxlen=MAX_GONE)
        self._leaves_at: dict[str, float] = {}

    def on_event(self, body: Mapping[str, Any], now: float) -> Change | None:
        """Takes an event of the log; None if it is older than what is known."""
        row = body.get("row")
        if not row or not row.get("id"):
            return None
        call = str(row["id"])
        known = self.rows.get(call)
        if known is not None and (row.get("seq") or 0) <= (known.get("seq") or 0):
            return None
        if known is None and row.get("state") == "ended" and body["kind"] != "CallEnded":
            return None
        self.figures.on_event(body, now)
        moved = known is None or known.get("state") != row.get("state")
        self._put(call, dict(row), now)
        return Change(call, urgent=moved or body["kind"] in URGENT)

    def on_partial(self, body: Mapping[str, Any]) -> Change | None:
        """Growing words become the row's last line until the log has the final ones."""
        call = str(body.get("call"))
        row = self.rows.get(call)
        if row is None or row.get("state") == "ended":
            return None
        row["last"] = {"role": body.get("role"), "text": body.get("text"), "partial": True}
        self._touch(call)
        return Change(call, urgent=False)

    def on_rows(self, node: str, rows: Iterable[Mapping[str, Any]], now: float) -> list[Change]:
        """Takes a node's own list: what it does not hold any more has ended unseen."""
        listed = {str(row["id"]): dict(row) for row in rows}
        lost = [
            call
            for call, row in self.rows.items()
            if row.get("node") == node and call not in listed and row.get("state") != "ended"
        ]
        for call in lost:
            self._put(call, {**self.rows[call], "state": "ended", "phase": "ended"}, now)
        for call, row in listed.items():
            if (known := self.rows.get(call)) is None or row.get("seq", 0) >= known.get("seq", 0):
                self._put(call, row, now)
        return [Change(call, urgent=False) for call in (*lost, *listed)]

    def expire(self, now: float) -> list[str]:
        """Removes calls that ended a while ago; returns them."""
        leaving = [call for call, at in self._leaves_at.items() if at <= now]
        for call in leaving:
            del self.rows[call], self._leaves_at[call], self._changed_at[call]
            self.revision += 1
            if len(self._gone) == MAX_GONE:
                self.forgotten_before = self._gone[0][0]
            self._gone.append((self.revision, call))
        return leaving

    def changed_since(self, revision: int) -> tuple[list[str], list[str]] | None:
        """(rows changed, rows gone) after a revision; None: too long ago, take everything."""
        if not self.forgotten_before <= revision <= self.revision:
            return None
        changed = [call for call, at in self._changed_at.items() if at > revision]
        gone = [call for at, call in self._gone if at > revision]
        return changed, gone

    def node_of(self, call: str) -> str | None:
        row = self.rows.get(call)
        return str(row["node"]) if row and row.get("node") else None

    def live_on(self, node: str) -> int:
        return sum(
            1
            for row in self.rows.values()
            if row.get("node") == node and row.get("state") != "ended"
        )

    def _put(self, call: str, row: dict[str, Any], now: float) -> None:
        self.rows[call] = row
        if row.get("state") == "ended":
            self._leaves_at.setdefault(call, now + ENDED_STAYS_S)
        self._touch(call)

    def _touch(self, call: str) -> None:
        self.revision += 1
        self._changed_at[call] = self.revision
