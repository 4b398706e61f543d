"""What one desk socket has been sent and what it is still owed: frames of rows, flow control, resume. Pure.

The board may change a thousand times between two frames: only the newest state of a row is sent, as a patch on what
this socket has. A socket that does not acknowledge is owed more, not sent more.
"""

from __future__ import annotations

from typing import Any, Final

from frontend.access import Viewer
from frontend.board import Board
from frontend.presenters.rows import order_of, patch, present_row

MAX_UNACKNOWLEDGED: Final = 20
ACK_TIMEOUT_S: Final = 10.0
ORDER_EVERY_S: Final = 1.0


class Feed:
    """The view of one socket on the board. `epoch` names the hub: cursors of another one mean nothing."""

    def __init__(self, board: Board, viewer: Viewer, epoch: str) -> None:
        self.viewer = viewer
        self._board = board
        self._epoch = epoch
        self._sent: dict[str, dict[str, Any]] = {}
        self._dirty: set[str] = set()
        self._order: list[str] = []
        self._ordered_at = 0.0
        self._numbers: dict[str, Any] = {}
        self._samples_sent = False
        self._unacknowledged: dict[str, float] = {}
        self._frames = 0

    def mark(self, call: str) -> None:
        """The row of this call changed or went."""
        self._dirty.add(call)

    def mark_history(self) -> None:
        """The sparklines have a new sample."""
        self._samples_sent = False

    def forget(self) -> None:
        """The person's rights changed: everything is presented anew."""
        self._dirty.update(self._sent, self._board.rows)

    @property
    def blocked(self) -> bool:
        return len(self._unacknowledged) >= MAX_UNACKNOWLEDGED

    def acknowledge(self, cursor: str) -> None:
        """Everything up to this frame has arrived; an unknown cursor changes nothing."""
        if cursor not in self._unacknowledged:
            return
        for sent in list(self._unacknowledged):
            del self._unacknowledged[sent]
            if sent == cursor:
                break

    def is_dead(self, now: float) -> bool:
        """Nothing was acknowledged for too long."""
        oldest = next(iter(self._unacknowledged.values()), now)
        return now - oldest > ACK_TIMEOUT_S

    def opening(self, cursor: str, now: float) -> dict[str, Any]:
        """The first message: what changed since the cursor if the board still knows, else everything."""
        since = self._since(cursor)
        known = self._board.changed_since(since) if since is not None else None
        if known is None:
            return self._snapshot(now)
        changed, gone = known
        for call in self._board.rows:
            self._sent[call] = present_row(self._board.rows[call], self.viewer)
        self._order = order_of(self._sent)
        rows = {call: self._sent[call] for call in changed}
        return self._stamp({"type": "frame", "rows": rows, "gone": gone, "order": self._order}, now)

    def frame(self, now: float) -> dict[str, Any] | None:
        """The next frame; None if nothing changed or the socket is behind."""
        if self.blocked:
            return None
        rows, gone = self._collect()
        numbers = self._board.figures.numbers(self._board.rows.values(), now)
        message: dict[str, Any] = {"type": "frame"}
        if rows:
            message["rows"] = rows
        if gone:
            message["gone"] = gone
        if numbers != self._numbers or not self._samples_sent:
            message["sum"] = self._sum(numbers)
        if now - self._ordered_at >= ORDER_EVERY_S:
            self._reorder(message, now)
        return self._stamp(message, now) if len(message) > 1 else None

    def _collect(self) -> tuple[dict[str, Any], list[str]]:
        rows: dict[str, Any] = {}
        gone: list[str] = []
        for call in self._dirty:
            raw = self._board.rows.get(call)
            if raw is None:
                if self._sent.pop(call, None) is not None:
                    gone.append(call)
                continue
            shown = present_row(raw, self.viewer)
            if changed := patch(self._sent.get(call, {}), shown):
                rows[call] = changed
                self._sent[call] = shown
        self._dirty.clear()
        return rows, gone

    def _reorder(self, message: dict[str, Any], now: float) -> None:
        order = order_of(self._sent)
        self._ordered_at = now
        if order != self._order:
            self._order = order
            message["order"] = order

    def _snapshot(self, now: float) -> dict[str, Any]:
        self._dirty.clear()
        self._sent = {call: present_row(row, self.viewer) for call, row in self._board.rows.items()}
        self._order = order_of(self._sent)
        numbers = self._board.figures.numbers(self._board.rows.values(), now)
        message = {
            "type": "snap",
            "rows": dict(self._sent),
            "order": self._order,
            "sum": self._sum(numbers),
        }
        return self._stamp(message, now)

    def _sum(self, numbers: dict[str, Any]) -> dict[str, Any]:
        self._numbers = numbers
        if self._samples_sent:
            return numbers
        self._samples_sent = True
        return {**numbers, "history": self._board.figures.history()}

    def _stamp(self, message: dict[str, Any], now: float) -> dict[str, Any]:
        self._frames += 1
        cursor = f"{self._epoch}.{self._board.revision}.{self._frames}"
        self._unacknowledged[cursor] = now
        return {**message, "cursor": cursor}

    def _since(self, cursor: str) -> int | None:
        epoch, _, rest = cursor.partition(".")
        revision = rest.partition(".")[0]
        return int(revision) if epoch == self._epoch and revision.isdecimal() else None
