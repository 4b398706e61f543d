"""Listener's noises that keep a speaker going and ask for nothing: a closed list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BACKCHANNELS: Final = frozenset(
    ["mm", "mmm", "hm", "hmm", "mhm", "mmhm", "mm-hm", "uh-huh", "uhuh", "huh", "uh", "um", "er", "ah", "oh", "aha", "yeah", "yep", "yes", "okay", "ok", "right", "sure", "good", "great", "fine", "cool", "nice", "alright", "i", "see", "got", "it"]
)  # fmt: skip
AFFIRMATIONS: Final = frozenset(
    ["yeah", "yep", "yes", "okay", "ok", "right", "sure", "good", "great", "fine", "alright"]
)


def is_backchannel(words: Sequence[str], *, answer_expected: bool) -> bool:
    """Whether the words only acknowledge. `answer_expected`: a yes would answer the question being asked."""
    plain = [word.lower().strip(".,!?") for word in words]
    if not plain or len(plain) > 4:
        return False
    if answer_expected and AFFIRMATIONS.intersection(plain):
        return False
    return all(word in BACKCHANNELS for word in plain)
