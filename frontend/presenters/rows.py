"""A row of the live list: state in words, who it is (masked), what was last said, and why to look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from frontend.access import PII, TRANSCRIPT, Viewer
from frontend.presenters import masking

SLOW_ANSWER_MS: Final = 1200
MANY_BARGE_INS: Final = 3

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StateWord:
    """How a state is shown: never by colour alone."""

    word: str
    icon: str


STATES: Final[Mapping[str, StateWord]] = {
    "ringing": StateWord("Ringing", "bell"),
    "listening": StateWord("Listening", "ear"),
    "thinking": StateWord("Thinking", "dots"),
    "speaking": StateWord("Speaking", "waves"),
    "human": StateWord("Human has it", "person"),
    "transferring": StateWord("Transferring", "arrow"),
    "hold": StateWord("On hold", "pause"),
    "reconnecting": StateWord("Reconnecting", "link"),
    "degraded": StateWord("Degraded", "triangle"),
    "ended": StateWord("Ended", "check"),
}


def listeners_of(row: Row) -> Sequence[str]:
    """Login names of the people who hear the call."""
    return [str(name) for name in row.get("listeners") or ()]


def attention_of(row: Row) -> tuple[int, str]:
    """How much a call needs a person (0 not at all) and the reason, for the chip."""
    if row.get("state") == "ended" or row.get("controller"):
        return 0, ""
    if row.get("person_requested"):
        return 100, "wants a person"
    if row.get("state") == "degraded":
        return 80, "agent failed"
    if row.get("state") == "reconnecting":
        return 60, "connection lost"
    if (row.get("answer_ms") or 0) > SLOW_ANSWER_MS:
        return 40, "slow answers"
    if (row.get("barge_ins") or 0) >= MANY_BARGE_INS:
        return 30, f"{row['barge_ins']} barge-ins"
    return 0, ""


def present_row(row: Row, viewer: Viewer) -> dict[str, Any]:
    """The row for this person. `last.partial` marks words that may still change.

    `caller` is the person at the other end, whoever dialled; `called` is our own number.
    """
    caller, called = masking.parties(row, unmasked=viewer.may(PII))
    score, reason = attention_of(row)
    return {
        "id": row["id"],
        "state": row.get("state") or "ringing",
        "direction": row.get("direction") or "inbound",
        "transport": row.get("transport") or "",
        "caller": caller,
        "called": called,
        "agent": row.get("agent") or "",
        "version": row.get("version"),
        "step": row.get("step") or "",
        "floor": row.get("floor") or "",
        "controller": row.get("controller") or "",
        "listeners": list(listeners_of(row)),
        "last": present_last(row, viewer),
        "answer_ms": row.get("answer_ms"),
        "barge_ins": row.get("barge_ins") or 0,
        "transfer": present_transfer(row, viewer),
        "why": reason,
        "score": score,
        "started_us": row.get("started_us"),
        "answered_us": row.get("answered_us"),
        "ended_us": row.get("ended_us"),
        "end_cause": row.get("end_cause") or "",
        "seq": row.get("seq") or 0,
    }


def present_transfer(row: Row, viewer: Viewer) -> dict[str, Any] | None:
    """The transfer under way: stage, mode, who asked for it, and whom it goes to (masked)."""
    transfer = row.get("transfer")
    if not transfer:
        return None
    to = masking.party(str(transfer.get("to") or ""), "sip")
    return {
        "stage": transfer.get("stage") or "",
        "mode": transfer.get("mode") or "",
        "by": transfer.get("by") or "",
        "who": transfer.get("who") or "",
        "name": masking.destination(str(transfer.get("name") or ""), unmasked=viewer.may(PII)),
        "to": masking.destination(to, unmasked=viewer.may(PII)),
    }


def present_last(row: Row, viewer: Viewer) -> dict[str, Any] | None:
    """The last line of the conversation; withheld from whom may not read transcripts."""
    last = row.get("last")
    if not last or not viewer.may(TRANSCRIPT):
        return None
    words = str(last.get("text") or "")
    return {
        "role": last.get("role") or "",
        "text": words if viewer.may(PII) else masking.mask_numbers(words),
        "partial": bool(last.get("partial")),
    }


def patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What changed; null deletes a key on the other side."""
    return {key: value for key, value in new.items() if old.get(key) != value}


def order_of(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those that need a person first (at most five are pinned), then the newest."""
    newest = sorted(rows, key=lambda call: rows[call].get("started_us") or 0, reverse=True)
    pinned = sorted(
        (call for call in newest if rows[call]["score"]), key=lambda call: -rows[call]["score"]
    )[:5]
    return pinned + [call for call in newest if call not in pinned]
