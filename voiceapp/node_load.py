"""What a media node measures of itself, twice a second, and the one rule for one more call that follows from it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Final

from telephony.admission import Admission, Load, Measured, Refusal
from telephony.call.ports import Scheduler
from telephony.call.timers import TimerSet
from telephony.media.plane import MediaPlane

log = logging.getLogger(__name__)

MEASURE_S: Final = 0.5
_LATE_TICKS: Final = 200
"""Sub-ticks that lateness is taken of: the last second."""


class NodeLoad:
    """The node's `Admission` with its measurements. `agent_places`: calls that agents can listen to; None: any number."""

    def __init__(
        self,
        admission: Admission,
        plane: MediaPlane,
        scheduler: Scheduler,
        *,
        max_calls: int,
        agent_places: Callable[[], int | None],
        calls: Callable[[], int],
        agent_calls: Callable[[], int],
    ) -> None:
        self.admission = admission
        self.measured = Measured()
        self._plane = plane
        self._scheduler = scheduler
        self._timers = TimerSet(scheduler)
        self._max_calls = max_calls
        self._agent_places = agent_places
        self._calls = calls
        self._agent_calls = agent_calls
        self._cpu_s = _cpu_seconds()
        self._overruns = 0
        self._at = scheduler.monotonic()

    @property
    def max_calls(self) -> int:
        """As many as can be served now: what calls need may come and go."""
        places = self._agent_places()
        return self._max_calls if places is None else min(self._max_calls, places)

    def start(self) -> None:
        """Begins to measure."""
        self._again()

    def close(self) -> None:
        self._timers.close()

    # ------------------------------------------------------------------------------- the rule

    def refusal(self, calls: int, agent: bool) -> Refusal | None:
        """For the registry: why one more call is not taken."""
        load = self._load(calls, self._agent_calls() if agent else 0)
        return self.admission.refusal(load, self._scheduler.monotonic(), agent=agent)

    def unavailable(self, calls: int) -> Refusal | None:
        """For OPTIONS: why new calls should go elsewhere."""
        return self.admission.unavailable(
            self._load(calls, self._agent_calls()), self._scheduler.monotonic()
        )

    def taken(self) -> None:
        """One more call was taken."""
        self.admission.taken(self._scheduler.monotonic())

    def health(self) -> Mapping[str, float]:
        """What was measured last."""
        return {
            "late_ms": round(self.measured.late_ms, 2),
            "lag_ms": round(self.measured.lag_ms, 1),
            "cpu": round(self.measured.cpu, 2),
            "free_rtp_slots": self._plane.free_rtp_slots,
        }

    def _load(self, calls: int, agents: int) -> Load:
        return Load(
            calls=calls,
            max_calls=self._max_calls,
            agent_calls=agents,
            agent_places=self._agent_places(),
            media_places=self._plane.free_rtp_slots,
        )

    # ------------------------------------------------------------------------------- measuring

    def _again(self) -> None:
        self._timers.set("measure", MEASURE_S, self._measure)

    def _measure(self) -> None:
        now = self._scheduler.monotonic()
        passed = now - self._at
        cpu_s, overruns = _cpu_seconds(), self._plane.overruns
        self.measured = Measured(
            late_ms=self._plane.late_ms(_LATE_TICKS),
            overruns_per_s=(overruns - self._overruns) / passed,
            lag_ms=max(0.0, passed - MEASURE_S) * 1000,
            cpu=(cpu_s - self._cpu_s) / passed,
        )
        self._cpu_s, self._overruns, self._at = cpu_s, overruns, now
        calls = self._calls()
        if self.admission.measure(self.measured, calls, now):
            self._tell(calls)
        self._again()

    def _tell(self, calls: int) -> None:
        extra = {
            "calls": calls,
            "late_ms": round(self.measured.late_ms, 1),
            "lag_ms": round(self.measured.lag_ms, 1),
            "cpu": round(self.measured.cpu, 2),
        }
        if self.admission.overloaded:
            log.warning("node_overloaded", extra=extra)
        else:
            log.info("node_recovered", extra=extra)


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system
