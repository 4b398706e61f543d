"""Words of an utterance as recognisers write them: tokens, digits, phrases. English."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

UNITS: Final = {
    "zero": 0, "oh": 0, "o": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS: Final = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_REPEATS: Final = {"double": 2, "triple": 3}
FILLERS: Final = frozenset({"um", "uh", "er", "erm", "hm", "mm", "like", "so", "well", "and", "or", "but", "then"})  # fmt: skip
PHRASES_KEPT: Final = 5_000
_MERIDIEM: Final = re.compile(r"\b([ap])\.?\s?m\b\.?")
_JOINED: Final = re.compile(r"(\d)([ap]m)\b")
_TOKEN: Final = re.compile(r"\d+(?::\d+)?|[a-z]+(?:'[a-z]+)?")


def tokens(text: str) -> list[str]:
    """Lower-case words and numbers; `o'clock` and `a.m.` become one word."""
    plain = (
        text.lower()
        .replace("\u2019", "'")
        .replace("o'clock", "oclock")
        .replace("o clock", "oclock")
    )
    plain = _JOINED.sub(r"\1 \2", _MERIDIEM.sub(r"\1m", plain))
    return [token.replace("'", "") for token in _TOKEN.findall(plain)]


@lru_cache(PHRASES_KEPT)
def phrase_tokens(phrase: str) -> tuple[str, ...]:
    """Tokens of a phrase of a definition, kept for the next call. Not for what callers say: that is not kept."""
    return tuple(tokens(phrase))


def find(phrase: Sequence[str], words: Sequence[str]) -> int:
    """Where the phrase begins in the words; -1 if it does not occur."""
    if not phrase or phrase[0] not in words:
        return -1
    count = len(phrase)
    for i in range(len(words) - count + 1):
        if words[i] == phrase[0] and list(words[i : i + count]) == list(phrase):
            return i
    return -1


def small_number(words: Sequence[str], i: int) -> tuple[int, int]:
    """(number 0..59, words it takes) at place `i`; width 0 if there is none."""
    if i >= len(words):
        return 0, 0
    word = words[i]
    if word.isdigit() and len(word) <= 2 and int(word) < 60:
        return int(word), 1
    if word in TEENS:
        return TEENS[word], 1
    if word in TENS:
        unit = UNITS.get(words[i + 1], 0) if i + 1 < len(words) else 0
        return TENS[word] + unit, 2 if unit else 1
    if word in UNITS and word not in ("oh", "o"):
        return UNITS[word], 1
    return 0, 0


def digits(words: Sequence[str]) -> str:
    """The longest run of spoken digits: "double five oh 3" gives 5503."""
    best, run, repeat = "", "", 1
    for word in [*words, ""]:
        if word in _REPEATS:
            repeat = _REPEATS[word]
            continue
        if word in UNITS:
            run += str(UNITS[word]) * repeat
        elif word.isdigit():
            run += word * repeat
        elif word in TEENS or word in TENS:
            run += str(TEENS.get(word) or TENS.get(word)) * repeat
        elif word not in FILLERS:
            best, run = max(best, run, key=len), ""
        repeat = 1
    return max(best, run, key=len)


def without_fillers(words: Sequence[str]) -> list[str]:
    """The words that mean something."""
    return [word for word in words if word not in FILLERS]
