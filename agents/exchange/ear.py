"""The agent's ears in one call: for each leg it listens to, where a turn begins and ends and what was said in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agents.turn.endpointing import Completeness, Endpointer
from telephony.call.events import Role, SegmentHeard
from telephony.call.ids import LegId, TurnId
from telephony.call.ports import Tap
from telephony.values import value

SHORTEST_TURN_S: Final = 0.25
"""Speech without words that is shorter than this was a noise."""


@value(frozen=True, slots=True)
class Heard:
    """A finished turn of a leg, in seconds of the call.

    `text`: what is to be answered; `own`: without what was said before a turn was opened again.
    """

    leg: LegId
    role: Role
    text: str
    own: str
    confidence: float
    start_s: float
    end_s: float
    pause_before_s: float
    overlap_s: float

    @property
    def voiced_s(self) -> float:
        return self.end_s - self.start_s

    def segment(self, turn: TurnId | None) -> SegmentHeard:
        return SegmentHeard(
            leg=self.leg,
            role=self.role,
            turn=turn,
            text=self.own,
            start_s=self.start_s,
            end_s=self.end_s,
            pause_before_s=self.pause_before_s,
            overlap_s=self.overlap_s,
            confidence=self.confidence,
        )


@dataclass(slots=True)
class Ear:
    """One leg that is listened to. `turn` numbers what is asked of the recogniser, not the call's turns."""

    leg: LegId
    role: Role
    tap: Tap
    turn: int = 0
    step: str = ""
    before: str = ""
    partial: str = ""
    finishing: bool = False
    endpoint: Endpointer = field(default_factory=Endpointer)
    started_s: float | None = None
    ended_s: float = 0.0
    last_end_s: float | None = None
    overlap_from_s: float | None = None

    @property
    def open(self) -> bool:
        """A turn is going on or is being finished."""
        return self.finishing or self.endpoint.open

    def expect(self, step: str) -> None:
        """A new turn of the recogniser; what it says about older ones is dropped."""
        self.turn += 1
        self.step = step
        self.before = self.partial = ""
        self.finishing = False
        self.started_s = None
        self.overlap_from_s = None
        self.endpoint.finish()

    def began(self, at_s: float, *, over_agent: bool) -> None:
        self.endpoint.began(at_s)
        if self.started_s is None:
            self.started_s = at_s
            self.overlap_from_s = at_s if over_agent else None

    def paused(self, last_voiced_s: float) -> None:
        if self.started_s is None:
            return  # of a turn that is over already
        self.ended_s = max(last_voiced_s, self.started_s)
        self.endpoint.paused(self.ended_s)

    def whole(self, text: str) -> str:
        """With what was said before the turn was opened again."""
        return " ".join(part for part in (self.before, text.strip()) if part)

    def understood(self, text: str, completeness: Completeness) -> bool:
        """Takes the words so far; False if they say nothing new."""
        if text == self.partial:
            return False
        self.partial = text
        self.endpoint.understood(completeness)
        return True

    def finish(self) -> None:
        """The turn is over; the final words are still to come."""
        self.finishing = True
        self.endpoint.finish()

    def heard(self, text: str, confidence: float, agent_quiet_s: float | None) -> Heard:
        """The finished turn. `agent_quiet_s`: when the agent fell silent in it, for the overlap."""
        start = self.started_s if self.started_s is not None else self.ended_s
        pause = 0.0 if self.last_end_s is None else max(0.0, start - self.last_end_s)
        overlap = 0.0
        if self.overlap_from_s is not None:
            until = self.ended_s if agent_quiet_s is None else min(agent_quiet_s, self.ended_s)
            overlap = max(0.0, until - self.overlap_from_s)
        self.last_end_s = self.ended_s
        return Heard(
            self.leg,
            self.role,
            self.whole(text),
            text.strip(),
            confidence,
            round(start, 3),
            round(self.ended_s, 3),
            round(pause, 3),
            round(overlap, 3),
        )
