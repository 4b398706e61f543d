"""Opening hours in the local time of a zone: right on the days on which clocks change. Pure.

An instant has one local time, so an hour that is skipped never comes and an hour that is repeated counts twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from telephony.snapshot_rows import Row

DAY_MINUTES: Final = 24 * 60
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """Days (1 Monday to 7 Sunday) and minutes of the day, from `start` up to `end`, in `zone`; never on `closed` dates.

    `end` at or before `start` reaches into the next day and belongs to the day on which it began.
    """

    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(1, 8))
    start: int = 0
    end: int = DAY_MINUTES
    closed: frozenset[date] = frozenset()

    def include(self, at: datetime) -> bool:
        """Is it open at this instant? `at` has a zone of its own."""
        local = at.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        today, yesterday = local.date(), local.date() - _ONE_DAY
        if self.start < self.end:
            return self._is_on(today) and self.start <= minute < self.end
        began_today = self._is_on(today) and minute >= self.start
        return began_today or (self._is_on(yesterday) and minute < self.end)

    def _is_on(self, day: date) -> bool:
        return day.isoweekday() in self.days and day not in self.closed


def parse_hours(row: Row) -> Hours:
    """`{zone, days?, from?, to?, closed?}`; raises SnapshotError."""
    name = row.text("zone")
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise row.error("zone", "not a time zone such as Europe/Berlin") from error
    hours = Hours(
        zone,
        _days(row),
        _minute(row, "from", "00:00"),
        _minute(row, "to", "24:00"),
        frozenset(_date(row, value) for value in row.texts("closed")),
    )
    if hours.start == DAY_MINUTES:
        raise row.error("from", "a time from 00:00 to 23:59 is needed")
    return hours


def _days(row: Row) -> frozenset[int]:
    values = row.raw("days")
    if values is None:
        return frozenset(range(1, 8))
    known = isinstance(values, list | tuple) and all(type(day) is int for day in values)
    if not known or not values or not set(values) <= set(range(1, 8)):
        raise row.error("days", "days from 1 (Monday) to 7 (Sunday) are needed")
    return frozenset(values)


def _minute(row: Row, name: str, default: str) -> int:
    found = _CLOCK.fullmatch(row.text_or(name, default))
    minute = int(found[1]) * 60 + int(found[2]) if found else DAY_MINUTES + 1
    if minute > DAY_MINUTES:
        raise row.error(name, "a time such as 09:00 is needed")
    return minute


def _date(row: Row, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise row.error("closed", "dates such as 2026-12-25 are needed") from error
