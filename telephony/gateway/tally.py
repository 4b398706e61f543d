"""Log lines about what may happen very often: at most one a second for each subject, with the counts since the last."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import Final

from telephony.call.ports import Scheduler
from telephony.call.timers import TimerSet

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0


class Tally:
    """One per kind of line. The first happening is told at once, those of the next second together."""

    def __init__(self, scheduler: Scheduler, event: str) -> None:
        self._timers = TimerSet(scheduler)
        self._event = event
        self._counts: dict[str, Counter[str]] = {}

    def add(self, subject: str, what: str) -> None:
        """`subject`: a trunk's name, or an empty text; `what`: a short stable word."""
        self._counts.setdefault(subject, Counter())[what] += 1
        if not self._timers.has(subject):
            self._tell(subject)

    def _tell(self, subject: str) -> None:
        counts = self._counts.pop(subject, None)
        if counts:
            log.info(self._event, extra={"trunk": subject, "counts": dict(counts)})
            self._timers.set(subject, EVERY_S, partial(self._tell, subject))

    def close(self) -> None:
        """Tells what is left."""
        self._timers.close()
        for subject in list(self._counts):
            self._tell(subject)
