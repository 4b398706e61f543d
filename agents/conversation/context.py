"""What a brain is told before it answers: only what was heard, by whom, and how it was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from datetime import datetime
from typing import Any, Final, Literal, get_args

from agents.conversation.audio import AudioTrouble, troubles_at
from telephony.call.ids import CALLER
from telephony.call.state import CallState, Said
from telephony.values import value

Cause = Literal["greet", "speech", "keys", "silence", "back", "again", "limit", "transfer"]
"""Why an answer is wanted: the call began, the caller spoke or pressed keys or was silent, a person gave the floor
back, a brain was replaced in mid-answer, the call has lasted too long, or a transfer came to nothing."""

SEGMENTS_KEPT: Final = 60


class SituationError(Exception):
    """A situation that arrived is not one; the text says which part."""


@value(frozen=True, slots=True)
class Segment:
    """One contribution as it was heard. `overlap_s`: how long it ran into the one before."""

    speaker: str
    text: str
    pause_before_s: float = 0.0
    overlap_s: float = 0.0
    interrupted: bool = False


@value(frozen=True, slots=True)
class Situation:
    """Everything an answer depends on, so that any worker can give it.

    `today` is an ISO date in the agent's zone, `clock` the time there as 15:30; `meanwhile` is what was said while a supervisor had the floor;
    `audio` is what is or just was wrong with the caller's audio; `answerer` who seems to have answered a call of ours.
    """

    cause: Cause
    today: str
    step: str = ""
    slots: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    confidence: float = 1.0
    turn: int = 0
    misunderstood: int = 0
    silences: int = 0
    person_requested: bool = False
    brief: str = ""
    meanwhile: tuple[Segment, ...] = ()
    history: tuple[Segment, ...] = ()
    clock: str = ""
    transfer: str = ""
    audio: tuple[AudioTrouble, ...] = ()
    answerer: str = ""

    def to_json(self) -> dict[str, Any]:
        body = {name: getattr(self, name) for name in _FIELDS}
        for name, parts in _PARTS.items():
            body[name] = [{each: getattr(part, each) for each in parts} for part in body[name]]
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Situation:
        """Raises: SituationError."""
        try:
            values = dict(body)
            for name in ("meanwhile", "history"):
                values[name] = tuple(Segment(**part) for part in values.get(name, ()))
            values["audio"] = tuple(AudioTrouble(**part) for part in values.get("audio", ()))
            situation = cls(**values)
        except (TypeError, ValueError) as error:
            raise SituationError("a field is missing or unknown") from error
        if situation.cause not in get_args(Cause) or not isinstance(situation.slots, Mapping):
            raise SituationError("the cause is unknown, or the slots are no object")
        return situation


_FIELDS: Final = tuple(each.name for each in fields(Situation))
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "meanwhile": tuple(each.name for each in fields(Segment)),
    "history": tuple(each.name for each in fields(Segment)),
    "audio": tuple(each.name for each in fields(AudioTrouble)),
}


def segments(said: Sequence[Said]) -> tuple[Segment, ...]:
    """The last contributions as heard; what nobody heard is not among them."""
    found: list[Segment] = []
    previous_end: float | None = None
    for part in said:
        text = part.heard if part.heard is not None else ""
        if text and part.heard_by == CALLER:
            gap = 0.0 if previous_end is None else part.start_s - previous_end
            found.append(
                Segment(
                    part.role,
                    text,
                    round(max(0.0, gap), 2),
                    round(max(0.0, -gap), 2),
                    part.interrupted,
                )
            )
        previous_end = part.end_s if part.end_s is not None else previous_end
    return tuple(found[-SEGMENTS_KEPT:])


def _outcome(state: CallState) -> str:
    """The last transfer in words; empty if there was none, or it goes on."""
    last = state.transferred
    if last is None or state.transfer is not None:
        return ""
    why = f" ({last.reason.replace('_', ' ')})" if last.reason not in ("", last.outcome) else ""
    return f"{last.name or 'somebody else'}: {last.outcome}{why}"


def situation_of(
    state: CallState,
    cause: Cause,
    now: datetime,
    *,
    text: str = "",
    confidence: float = 1.0,
    silences: int = 0,
    taken_at_s: float | None = None,
) -> Situation:
    """The situation at this position of the log. `now`: in the agent's zone; `taken_at_s`: when a supervisor last took the floor."""
    talk = state.conversation
    caller = state.legs.get(CALLER)
    troubles = caller.troubles if caller is not None else ()
    meanwhile = () if taken_at_s is None else [s for s in talk.said if s.start_s >= taken_at_s]
    return Situation(
        cause=cause,
        today=now.date().isoformat(),
        clock=f"{now:%H:%M}",
        step=talk.step or "",
        slots=dict(talk.slots),
        text=text,
        confidence=confidence,
        turn=int(talk.turn),
        misunderstood=talk.misunderstood,
        silences=silences,
        person_requested=talk.person_requested is not None,
        brief=talk.brief,
        meanwhile=segments(meanwhile),
        history=segments(talk.said),
        transfer=_outcome(state),
        audio=troubles_at(troubles, round(now.timestamp() * 1e6)),
        answerer=state.answerer,
    )
