"""Days and times as people say them. "Today" is Tuesday, 17 November 2026."""

from __future__ import annotations

from datetime import date

import pytest

from agents.conversation.dates import find_date, find_time
from agents.conversation.spoken import spoken, spoken_digits
from agents.conversation.words import digits, tokens

TODAY = date(2026, 11, 17)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("today", "2026-11-17"),
        ("tomorrow at three", "2026-11-18"),
        ("the day after tomorrow", "2026-11-19"),
        ("in three days", "2026-11-20"),
        ("in a week", "2026-11-24"),
        ("in two weeks please", "2026-12-01"),
        ("on friday", "2026-11-20"),
        ("fridays are good", "2026-11-20"),
        ("tuesday", "2026-11-24"),
        ("next friday", "2026-11-27"),
        ("next monday", "2026-11-23"),
        ("friday next week", "2026-11-27"),
        ("a week friday", "2026-11-27"),
        ("the twentieth of november", "2026-11-20"),
        ("november twenty third", "2026-11-23"),
        ("on the twenty third", "2026-11-23"),
        ("december 5", "2026-12-05"),
        ("the first", "2026-12-01"),
        ("the thirty first", "2026-12-31"),
        ("the thirtieth", "2026-11-30"),
        ("second of march", "2027-03-02"),
        ("february thirtieth", None),
        ("in time", None),
        ("on the second thought", "2026-12-02"),
        ("hello there", None),
    ],
)
def test_days(said: str, day: str | None) -> None:
    found = find_date(tokens(said), TODAY)
    assert (found and found.isoformat()) == day


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("half past three", "15:30"),
        ("quarter to ten", "09:45"),
        ("quarter past nine", "09:15"),
        ("twenty past two", "14:20"),
        ("ten minutes to four", "15:50"),
        ("ten a.m.", "10:00"),
        ("3 p.m.", "15:00"),
        ("3pm", "15:00"),
        ("three o'clock", "15:00"),
        ("10:30", "10:30"),
        ("15:45", "15:45"),
        ("three thirty", "15:30"),
        ("eleven oh five", "11:05"),
        ("at nine in the morning", "09:00"),
        ("at nine in the evening", "21:00"),
        ("seven in the evening", "19:00"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("ten", "10:00"),
        ("ten please", "10:00"),
        ("i am fine at 3", "15:00"),
        ("two people", None),
        ("the twentieth", None),
        ("55", None),
        ("nothing", None),
        ("at six", "18:00"),
    ],
)
def test_times(said: str, time: str | None) -> None:
    minutes = find_time(tokens(said), 9 * 60, 16 * 60 + 30)
    found = None if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"
    assert found == time


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("date", "2026-11-17", "today, Tuesday"),
        ("date", "2026-11-18", "tomorrow, Wednesday"),
        ("date", "2026-11-27", "Friday, November the twenty seventh"),
        ("date", "2026-11-30", "Monday, November the thirtieth"),
        ("date", "2027-01-31", "Sunday, January the thirty first"),
        ("date", "rubbish", "rubbish"),
        ("time", "12:00", "noon"),
        ("time", "00:00", "midnight"),
        ("time", "09:15", "quarter past nine in the morning"),
        ("time", "15:30", "half past three in the afternoon"),
        ("time", "11:45", "quarter to twelve in the morning"),
        ("time", "18:05", "six oh five in the evening"),
        ("time", "10:40", "ten forty in the morning"),
        ("time", "25", "25"),
        ("name", "Ann", "Ann"),
        ("name", "5551234", "five, five five, one two three four"),
    ],
)
def test_values_are_spoken_without_digits(kind: str, value: str, words: str) -> None:
    if value == "5551234":
        words = spoken_digits(value)
    assert spoken(kind, value, TODAY) == words
    assert not any(letter.isdigit() for letter in words) or words in ("rubbish", "25")


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("my number is oh two oh seven, double five 1 2", "02075512"),
        ("triple nine", "999"),
        ("twelve thirty four", "12304"),
        ("one and two", "12"),
        ("no number", ""),
        ("one two then hello one two three", "123"),
    ],
)
def test_digits(said: str, number: str) -> None:
    assert digits(tokens(said)) == number
