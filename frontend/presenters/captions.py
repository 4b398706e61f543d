"""Events of a call as its caller's page gets them: captions, states, who speaks, the end.

The caller hears the call anyway, so nothing is masked; what the caller did not hear (rules, tools, slots, the
supervisor's brief) never leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ROLES: Final[Mapping[str, str]] = {
    "caller": "caller",
    "agent": "agent",
    "supervisor": "person",
    "target": "person",
}


class Captions:
    """Keeps what is needed to say each thing once: the last state, when the call began, and whether the caller waits.

    What is said between others while the caller waits is not for the caller.
    """

    def __init__(self) -> None:
        self._state = ""
        self._started_us: int | None = None
        self._waits = False
        self._asides: set[str] = set()

    def of_event(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Messages for one event of the log (with its row, if it came by the bus)."""
        event: Mapping[str, Any] = body.get("event") or {}
        seq = body["seq"]
        messages: list[dict[str, Any]] = []
        self._follow_transfer(str(body["kind"]), event)
        present = None if self._is_aside(event) else _PRESENT.get(str(body["kind"]))
        if present is not None and (message := present(event, body)) is not None:
            messages.append({**message, "seq": seq})
        if body["kind"] == "CallStarted":
            self._started_us = body.get("at_us")
        row: Mapping[str, Any] = body.get("row") or {}
        if body["kind"] == "CallEnded":
            messages.append({**self._end(event, body, row), "seq": seq})
        elif (state := self.of_row(row)) is not None:
            messages.append(state)
        return messages

    def of_partial(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Growing words; the next line of the same role replaces them."""
        if self._is_aside(body):
            return None
        role = ROLES.get(str(body.get("role")), "caller")
        return {"type": "transcript", "role": role, "text": body.get("text") or "", "final": False}

    def _follow_transfer(self, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "TransferProgressed":
            self._waits = event.get("stage") in {"consulting", "completing"}
        elif kind == "TransferEnded":
            self._waits = False

    def _is_aside(self, words: Mapping[str, Any]) -> bool:
        utterance = str(words.get("utterance") or "")
        if words.get("heard_by") not in (None, "caller"):
            self._asides.add(utterance)
        if utterance in self._asides:
            return True
        return self._waits and words.get("role") in {"supervisor", "target"}

    def of_row(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state, if it is another one than was said last. A replayed event comes without its row."""
        state = str(row.get("state") or "")
        state = (
            "hold" if state == "transferring" else state
        )  # the caller waits, and need not know for whom
        if state in {"", self._state, "ended"}:
            return None
        self._state = state
        return {"type": "state", "state": state, "seq": row.get("seq") or 0}

    def _end(
        self, event: Mapping[str, Any], body: Mapping[str, Any], row: Mapping[str, Any]
    ) -> dict[str, Any]:
        began = row.get("answered_us") or row.get("started_us") or self._started_us
        ended = body.get("at_us")
        seconds = max(0, round((ended - began) / 1e6)) if began and ended else 0
        return {"type": "ended", "reason": event.get("cause") or "", "seconds": seconds}


def _segment(event: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    role = ROLES.get(str(event.get("role")), "caller")
    return {
        "type": "transcript",
        "role": role,
        "text": event.get("text") or "",
        "final": True,
        "id": str(body["seq"]),
    }


def _utterance(event: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "transcript",
        "role": "agent",
        "text": event.get("text") or "",
        "final": True,
        "id": event.get("utterance") or str(body["seq"]),
    }


def _utterance_ended(event: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any] | None:
    if event.get("complete"):
        return None
    return {"type": "interrupted", "id": event.get("utterance"), "heard": event.get("heard") or ""}


def _turn(event: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any] | None:
    if event.get("first_packet_ms") is None:
        return None
    return {"type": "latency", "turn": event.get("turn"), "ms": round(event["first_packet_ms"])}


def _taken(_: Mapping[str, Any], __: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "handoff", "to": "person"}


def _returned(_: Mapping[str, Any], __: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "handoff", "to": "agent"}


_PRESENT: Final = {
    "SegmentHeard": _segment,
    "UtteranceStarted": _utterance,
    "UtteranceEnded": _utterance_ended,
    "TurnTimed": _turn,
    "FloorTaken": _taken,
    "FloorGiven": _taken,
    "FloorReturned": _returned,
}
