"""Values as an English voice should say them: no digits, no abbreviations."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from agents.conversation.dates import MONTHS, ORDINALS, WEEKDAYS
from agents.conversation.flow import Expect
from agents.conversation.words import TEENS, TENS, UNITS

_NUMBERS: Final = {
    number: word for word, number in {**TEENS, **UNITS}.items() if word not in ("oh", "o")
}
_TENS: Final = {number: word for word, number in TENS.items()}


def spoken(kind: str, value: str, today: date) -> str:
    """A slot's value for the ear; what cannot be read stays as it is."""
    try:
        if kind == "date":
            return spoken_date(date.fromisoformat(value), today)
        if kind == "time":
            hours, minutes = value.split(":")
            return spoken_time(int(hours) * 60 + int(minutes))
    except ValueError:
        return value
    return spoken_digits(value) if value.isdigit() else value


def spoken_refusal(why: str, value: str, expect: Expect, today: date) -> str:
    """What to say of a value outside the limits: the day, or the limits themselves.

    `why`: closed, past, far, hours or digits, as in `understanding.Why`.
    """
    match why:
        case "closed":
            return f"{WEEKDAYS[date.fromisoformat(value).weekday()].capitalize()}s"
        case "past":
            return spoken("date", value, today)
        case "hours" | "far" | "digits":
            return spoken_limits(expect)
        case _:
            return value


def spoken_limits(expect: Expect) -> str:
    """The limits of an answer: `nine o'clock in the morning until half past four in the afternoon`."""
    match expect.kind:
        case "time":
            return f"{spoken_time(expect.earliest)} until {spoken_time(expect.latest)}"
        case "date":
            weeks = expect.within_days // 7
            days = f"{number_words(min(expect.within_days, 6))} days"
            return f"up to {number_words(min(weeks, 59))} weeks" if weeks > 1 else f"up to {days}"
        case "digits" | "name" if expect.maximum:
            most = number_words(expect.maximum)
            few = f"{number_words(expect.minimum)} to " if expect.minimum != expect.maximum else ""
            return f"{few}{most} digits"
        case _:
            return ""


def spoken_date(day: date, today: date) -> str:
    """`tomorrow, Saturday` or `Friday, November the twenty seventh`."""
    weekday = WEEKDAYS[day.weekday()].capitalize()
    if day == today:
        return f"today, {weekday}"
    if day == today + timedelta(1):
        return f"tomorrow, {weekday}"
    if day == today - timedelta(1):
        return "yesterday"
    return f"{weekday}, {MONTHS[day.month - 1].capitalize()} the {_ordinal(day.day)}"


def spoken_time(minutes: int) -> str:
    """`half past three in the afternoon`."""
    hour, rest = divmod(minutes, 60)
    if rest == 0 and hour in (0, 12):
        return "noon" if hour else "midnight"
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    name = number_words(hour % 12 or 12)
    match rest:
        case 0:
            clock = f"{name} o'clock"
        case 15:
            clock = f"quarter past {name}"
        case 30:
            clock = f"half past {name}"
        case 45:
            clock = f"quarter to {number_words((hour + 1) % 12 or 12)}"
        case _:
            clock = f"{name} {'oh ' if rest < 10 else ''}{number_words(rest)}"
    return f"{clock} {part}"


def spoken_digits(digits: str) -> str:
    """Digit by digit, in groups of three with a pause between."""
    words = [_NUMBERS[int(digit)] for digit in digits]
    head = len(words) % 3 or 3
    cut = head if len(words) <= 3 or head > 1 else 4
    groups = [words[:cut], *(words[i : i + 3] for i in range(cut, len(words), 3))]
    return ", ".join(" ".join(group) for group in groups)


def number_words(number: int) -> str:
    """Numbers from 0 to 59 in words."""
    if number in _NUMBERS:
        return _NUMBERS[number]
    tens, unit = divmod(number, 10)
    return f"{_TENS[tens * 10]} {_NUMBERS[unit]}" if unit else _TENS[tens * 10]


def _ordinal(day: int) -> str:
    if day <= len(ORDINALS):
        return ORDINALS[day - 1]
    tens, unit = divmod(day, 10)
    if not unit:
        return "thirtieth"
    return f"{'twenty' if tens == 2 else 'thirty'} {ORDINALS[unit - 1]}"
