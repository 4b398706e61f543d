"""When a caller's turn is over: silence since the last voiced sample, weighed by what was understood so far.

Times are seconds of one clock, given by the caller of these methods; nothing here reads one.
"""

from __future__ import annotations

from enum import Enum
from statistics import median
from typing import Final


class Completeness(Enum):
    """What the words so far mean for the turn's end."""

    FULL = "full"  # nothing can follow: the last digit of a number
    COMPLETE = "complete"  # the step's expected answer
    BARE = "bare"  # a yes or a no, which often begins a longer answer
    OPEN = "open"  # words, but no answer we know
    UNFINISHED = "unfinished"  # "and", "um", half a number
    NOTHING = "nothing"  # speech without words


WAIT_S: Final = {
    Completeness.FULL: 0.0,
    Completeness.COMPLETE: 0.22,
    Completeness.BARE: 0.4,
    Completeness.OPEN: 0.5,
    Completeness.UNFINISHED: 0.9,
    Completeness.NOTHING: 0.8,
}
SPECULATE_S: Final = 0.12
"""Silence after which work may begin on what is understood; nothing is spoken before the commit."""

OWN_PAUSE_S: Final = 0.35
OWN_PAUSE_SHIFT_S: Final = 0.15
SHORTEST_S, LONGEST_S = 0.2, 1.2
PAUSES_KEPT: Final = 20


class Endpointer:
    """One speaker's turns. `began`, `paused` and `understood` bring evidence; `commit_at` is the deadline."""

    def __init__(self) -> None:
        self._speaking = False
        self._last_voiced: float | None = None
        self._completeness = Completeness.NOTHING
        self._pauses: list[float] = []

    @property
    def speaking(self) -> bool:
        return self._speaking

    @property
    def open(self) -> bool:
        """A turn has begun and is not committed."""
        return self._speaking or self._last_voiced is not None

    @property
    def last_voiced(self) -> float | None:
        return self._last_voiced

    @property
    def commit_at(self) -> float | None:
        """When the turn ends if nothing more is heard; None while there is speech, or no turn."""
        if self._speaking or self._last_voiced is None:
            return None
        return self._last_voiced + self._wait()

    @property
    def speculate_at(self) -> float | None:
        """When work on the partial may begin; None if there is nothing worth it."""
        if self._speaking or self._last_voiced is None:
            return None
        if self._completeness in (Completeness.NOTHING, Completeness.UNFINISHED):
            return None
        return self._last_voiced + SPECULATE_S

    def began(self, at: float) -> None:
        if self._last_voiced is not None and not self._speaking:
            self._pauses = [*self._pauses, max(0.0, at - self._last_voiced)][-PAUSES_KEPT:]
        self._speaking = True

    def paused(self, last_voiced: float) -> None:
        self._speaking = False
        self._last_voiced = max(last_voiced, self._last_voiced or last_voiced)

    def understood(self, completeness: Completeness) -> None:
        self._completeness = completeness

    def finish(self) -> None:
        """The turn was committed or dropped; the caller's own pauses stay known."""
        self._speaking = False
        self._last_voiced = None
        self._completeness = Completeness.NOTHING

    def _wait(self) -> float:
        wait = WAIT_S[self._completeness]
        if self._completeness is Completeness.FULL or len(self._pauses) < 2:
            return wait
        shift = median(self._pauses) - OWN_PAUSE_S
        shift = max(-OWN_PAUSE_SHIFT_S, min(OWN_PAUSE_SHIFT_S, shift))
        return max(SHORTEST_S, min(LONGEST_S, wait + shift))
