"""Dates and times of day as people say them, relative to the date of the call. English."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from agents.conversation.words import TENS, find, small_number

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
    "november", "december",
)  # fmt: skip
ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip
_POLITE: Final = frozenset(
    {
        "please",
        "a",
        "the",
        "for",
        "me",
        "thanks",
        "thank",
        "you",
        "maybe",
        "yes",
        "no",
        "lets",
        "how",
    }
)
_RELATIVE: Final = (
    (("day", "after", "tomorrow"), 2), (("tomorrow",), 1), (("today",), 0), (("tonight",), 0),
    (("yesterday",), -1),
)  # fmt: skip


def find_date(words: Sequence[str], today: date) -> date | None:
    """The day that is meant; a weekday or a day of the month is the next one to come."""
    for phrase, days in _RELATIVE:
        if find(phrase, words) >= 0:
            return today + timedelta(days)
    return _in_days(words, today) or _day_of_month(words, today) or _weekday(words, today)


def _in_days(words: Sequence[str], today: date) -> date | None:
    for i, word in enumerate(words):
        if word != "in":
            continue
        number, width = small_number(words, i + 1)
        if not width and words[i + 1 : i + 2] == ["a"]:
            number, width = 1, 1
        unit = words[i + 1 + width] if width and i + 1 + width < len(words) else ""
        if unit in ("day", "days"):
            return today + timedelta(number)
        if unit in ("week", "weeks"):
            return today + timedelta(7 * number)
    return None


def _weekday(words: Sequence[str], today: date) -> date | None:
    for i, word in enumerate(words):
        name = word.removesuffix("s") if word.endswith("days") else word
        if name not in WEEKDAYS:
            continue
        ahead = (WEEKDAYS.index(name) - today.weekday()) % 7 or 7
        before = words[max(0, i - 2) : i]
        following = words[i + 1 : i + 3]
        week_on = before[-1:] == ["next"] and ahead + today.weekday() < 7
        if week_on or before == ["a", "week"] or list(following) == ["next", "week"]:
            # "next Friday", said on a Tuesday, is the Friday of next week.
            ahead += 7 if ahead + today.weekday() < 7 else 0
        return today + timedelta(ahead)
    return None


def _day_of_month(words: Sequence[str], today: date) -> date | None:
    month = next((MONTHS.index(word) + 1 for word in words if word in MONTHS), 0)
    for i in range(len(words)):
        number, plain = _ordinal(words, i)
        if not number and month:
            beside = [*words[max(0, i - 1) : i], *words[i + 1 : i + 3]]
            value, width = small_number(words, i)
            number = value if width and any(word in MONTHS for word in beside) else 0
            plain = False
        if 1 <= number <= 31 and (month or plain):
            return _next_such_day(number, month, today)
    return None


def _ordinal(words: Sequence[str], i: int) -> tuple[int, bool]:
    """(number, whether it is an ordinal that stands for a day without a month)."""
    word = words[i]
    if word in ("twenty", "thirty") and i + 1 < len(words) and words[i + 1] in ORDINALS[:9]:
        return TENS[word] + ORDINALS.index(words[i + 1]) + 1, True
    if word == "thirtieth":
        return 30, True
    if word in ORDINALS and (i == 0 or words[i - 1] not in ("twenty", "thirty")):
        return ORDINALS.index(word) + 1, i > 0 and words[i - 1] == "the"
    return 0, False


def _next_such_day(day: int, month: int, today: date) -> date | None:
    year, current = today.year, month or today.month
    for _ in range(24):
        try:
            found = date(year, current, day)
        except ValueError:
            found = None
        if found is not None and found >= today:
            return found
        if month:
            year += 1
        else:
            year, current = year + current // 12, current % 12 + 1
    return None


def find_time(words: Sequence[str], earliest: int, latest: int) -> int | None:
    """Minutes of the day. Without a.m. or p.m. the one within `earliest` and `latest` is meant."""
    for i, word in enumerate(words):
        if word in ("noon", "midday"):
            return 12 * 60
        if word == "midnight":
            return 0
        spoken = _past_or_to(words, i) or _clock(words, i)
        if spoken is not None:
            minutes, width = spoken
            end = i + width
            end -= words[end - 1] in ("am", "pm")
            return _half_of_day(minutes, words, i, end, (earliest, latest))
    return None


def _past_or_to(words: Sequence[str], i: int) -> tuple[int, int] | None:
    shift, width = 0, 1
    if words[i] == "half":
        shift = 30
    elif words[i] == "quarter":
        shift = 15
    else:
        shift, width = small_number(words, i)
        if width and words[i + width : i + width + 1] == ["minutes"]:
            width += 1
    link = words[i + width] if width and i + width < len(words) else ""
    hour, hour_width = small_number(words, i + width + 1)
    if link not in ("past", "after", "to") or not hour_width or not 1 <= hour <= 12:
        return None
    minutes = hour % 12 * 60 + (-shift if link == "to" else shift)
    return minutes % (12 * 60), width + 1 + hour_width


def _clock(words: Sequence[str], i: int) -> tuple[int, int] | None:
    hours, colon, after = words[i].partition(":")
    if colon and hours.isdigit() and int(hours) < 24 and int(after) < 60:
        return int(hours) * 60 + int(after), 1
    hour, width = small_number(words, i)
    if not width or hour > 23:
        return None
    following = words[i + width] if i + width < len(words) else ""
    if following in ("oclock", "am", "pm"):
        return hour * 60, width
    if following in ("oh", "o") and small_number(words, i + width + 1)[1]:
        return hour * 60 + small_number(words, i + width + 1)[0], width + 2
    minutes, more = small_number(words, i + width)
    if more and minutes >= 10 and hour >= 1:
        return hour * 60 + minutes, width + more
    at = i > 0 and words[i - 1] in ("at", "around", "about", "by", "say", "make")
    named = any(word in ("morning", "afternoon", "evening") for word in words)
    return (hour * 60, width) if at or named or _alone(words, i, width) else None


def _alone(words: Sequence[str], i: int, width: int) -> bool:
    """Nothing but politeness beside the number, so it is an hour and not a count of something."""
    return set(words[:i]) | set(words[i + width :]) <= _POLITE


def _half_of_day(
    minutes: int, words: Sequence[str], start: int, end: int, limits: tuple[int, int]
) -> int:
    near = [*words[max(0, start - 3) : start], *words[end : end + 4]]
    stated = list(words[end : end + 1])
    twelve = minutes % (12 * 60)
    if stated == ["pm"] or "afternoon" in near or "evening" in near or "tonight" in near:
        return twelve + 12 * 60
    if stated == ["am"] or "morning" in near:
        return twelve
    if minutes >= 13 * 60:
        return minutes
    options = [twelve, twelve + 12 * 60]
    fitting = [option for option in options if limits[0] <= option <= limits[1]]
    if fitting:
        return fitting[0]
    daytime = [option for option in options if 8 * 60 <= option < 20 * 60]
    return daytime[0]
