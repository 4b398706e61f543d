"""Moments of today that are over already: understood, and not to be had. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from agents.conversation.flow import Flow, Kind, Step
from agents.conversation.understanding import Refused, Understanding, Why


def without_past(
    flow: Flow, found: Understanding, slots: Mapping[str, str], today: date, clock: str
) -> Understanding:
    """`found` with what is over refused. `clock`: the time of day as 15:30, empty if it does not matter.

    A time is of today if the day is, as just said or as known; today itself is over after the last time.
    """
    days, times = _asking(flow, "date"), _asking(flow, "time")
    if not clock or days is None or times is None:
        return found
    known = {**slots, **found.values}
    day, time = known.get(days.slot, ""), known.get(times.slot, "")
    if day != today.isoformat() or not {days.slot, times.slot} & set(found.values):
        return found
    latest = f"{times.expect.latest // 60:02}:{times.expect.latest % 60:02}"
    if clock > latest:
        return _refusing(found, Refused(days.slot, Why.OVER, day))
    if time and time <= clock:
        return _refusing(found, Refused(times.slot, Why.LATE, time))
    return found


def _asking(flow: Flow, kind: Kind) -> Step | None:
    return next((step for step in flow.slot_steps.values() if step.expect.kind == kind), None)


def _refusing(found: Understanding, refused: Refused) -> Understanding:
    values = {name: value for name, value in found.values.items() if name != refused.slot}
    answer = "" if found.answer == refused.value else found.answer
    return replace(found, values=values, answer=answer, refused=(*found.refused, refused))
