"""Numbers in a sentence, as digits or as words: what a model may not invent. English."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_UNITS: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES: Final = {"thousand": 1000, "million": 1_000_000}
_MONEY: Final = frozenset(
    [
        "pound",
        "pounds",
        "dollar",
        "dollars",
        "euro",
        "euros",
        "cent",
        "cents",
        "pence",
        "rupee",
        "rupees",
        "percent",
        "quid",
        "bucks",
    ]
)
_FREE_BELOW: Final = 13
_TOKEN: Final = re.compile(r"[£$€₹]|\d+(?:[.,:]\d+)*|[a-z]+|%")
_MARKS: Final = frozenset("£$€₹%")


def numbers_in(sentence: str) -> tuple[frozenset[str], frozenset[str]]:
    """(all numbers, those that are prices or percentages), as digits: "forty pounds" gives 40."""
    tokens = _TOKEN.findall(sentence.lower())
    found: set[str] = set()
    priced: set[str] = set()
    i = 0
    while i < len(tokens):
        value, width = _number_at(tokens, i)
        if not width:
            i += 1
            continue
        found.add(value)
        before = tokens[i - 1] if i else ""
        after = tokens[i + width] if i + width < len(tokens) else ""
        if before in _MARKS or after in _MARKS or after in _MONEY:
            priced.add(value)
        i += width
    return frozenset(found), frozenset(priced)


def invented(sentence: str, known: Iterable[str]) -> frozenset[str]:
    """Numbers of the sentence that occur in none of the `known` texts.

    Small counts ("two questions") are language, not facts, unless money or per cent follows.
    """
    numbers, priced = numbers_in(sentence)
    if not numbers:
        return frozenset()
    permitted: set[str] = set()
    for text in known:
        permitted |= numbers_in(text)[0]
    free = {str(n) for n in range(_FREE_BELOW)} - priced
    return numbers - permitted - free


def _number_at(tokens: list[str], i: int) -> tuple[str, int]:
    if tokens[i][0].isdigit():
        return _digits(tokens[i]), 1
    run = _units(tokens, i)
    if len(run) > 1:
        return run.lstrip("0") or "0", len(run)
    total, part, width = 0, 0, 0
    for word in tokens[i:]:
        if word in _UNITS:
            part += _UNITS.index(word)
        elif word in _TENS:
            part += (_TENS.index(word) + 2) * 10
        elif word == "hundred" and width:
            part *= 100
        elif word in _SCALES and width:
            total, part = total + part * _SCALES[word], 0
        else:
            break
        width += 1
    return str(total + part), width


def _units(tokens: list[str], i: int) -> str:
    """Digits spoken one by one, as in a telephone number."""
    run = ""
    for token in tokens[i:]:
        if token not in _UNITS[:10]:
            break
        run += str(_UNITS.index(token))
    return run


def _digits(token: str) -> str:
    whole = token.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", token) else token
    trimmed = whole.lstrip("0")
    return trimmed if trimmed[:1].isdigit() else f"0{trimmed}"
