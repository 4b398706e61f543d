"""Whether words on the caller's leg are our own voice coming back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WINDOW_WORDS: Final = 8
"""Echo returns within 20-400 ms: only what was played just now can be heard again."""


def is_echo(words: Sequence[str], played: Sequence[str]) -> bool:
    """Whether `words` (two or more, in this order) end within the last words played."""
    heard = [_plain(word) for word in words]
    recent = [_plain(word) for word in played][-WINDOW_WORDS:]
    count = len(heard)
    if count < 2:
        return False
    return any(recent[i : i + count] == heard for i in range(len(recent) - count + 1))


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())
