"""Where a call ends by itself, politely, and how long a caller may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from agents.conversation.reading import Reader


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a call ends by itself, politely."""

    turns: int = 120
    minutes: float = 29.0
    misunderstandings: int = 3
    silence_s: float = 8.0
    silences: int = 3


def read_limits(reader: Reader) -> Limits:
    """The key `limits`; what is not given is as it is for everybody."""
    standard = Limits()
    limits = Limits(
        turns=reader.count("turns", standard.turns, 1, 1000),
        minutes=reader.number("minutes", standard.minutes, 1, 240),
        misunderstandings=reader.count("misunderstandings", standard.misunderstandings, 1, 10),
        silence_s=reader.number("silence_s", standard.silence_s, 3, 60),
        silences=reader.count("silences", standard.silences, 1, 10),
    )
    reader.close()
    return limits
