"""How much of a sentence was heard, from the samples that were sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CHARACTERS_PER_SECOND: Final = 14.0
"""English speech at the embedded voices' speed; used only while a sentence's length is unknown."""


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word's place in its sentence, in seconds from the first sample."""

    text: str
    start: float
    end: float


def heard_text(
    text: str, sent_s: float, total_s: float | None, words: Sequence[WordTime] = ()
) -> str:
    """The part of `text` that `sent_s` seconds hold, cut behind a word.

    A word counts as heard from its middle on. Without word times it is laid out in proportion to
    characters. `total_s` is None while synthesis goes on.
    """
    pieces = [match.span() for match in re.finditer(r"\S+", text)]
    if not pieces or sent_s <= 0:
        return ""
    if len(words) == len(pieces):
        middles = [(word.start + word.end) / 2 for word in words]
    else:
        length = total_s or len(text) / CHARACTERS_PER_SECOND
        if sent_s >= length:
            return text.strip()
        middles = [(start + end) / 2 / len(text) * length for start, end in pieces]
    ends = [end for (_, end), middle in zip(pieces, middles, strict=True) if middle <= sent_s]
    return text[: ends[-1]].strip() if ends else ""
