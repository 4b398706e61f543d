"""What an agent is told of the caller's audio, so that it asks again rather than guesses. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from telephony.call.state import Trouble
from telephony.values import value

RECENT_S: Final = 20.0
"""Trouble that is over still explains what was misunderstood for so long."""
UNHEARD: Final = frozenset({"lost", "one_way", "silent"})
"""Kinds under which a silent caller may be talking all the time."""

_NOTES: Final = {
    "lost": ("no audio has arrived for some time", "no audio arrived for some time"),
    "gap": ("the audio has gaps", "the audio had gaps"),
    "garbled": ("the audio is garbled", "the audio was garbled"),
    "one_way": (
        "nothing arrives from the caller, who may well hear you",
        "nothing arrived from the caller for a while",
    ),
    "silent": (
        "no sound at all comes from the caller, who may be muted",
        "no sound at all came from the caller for a while",
    ),
    "clipping": ("the caller's voice is overdriven", "the caller's voice was overdriven"),
    "poor": ("the connection is poor", "the connection was poor"),
}


@value(frozen=True, slots=True)
class AudioTrouble:
    """One trouble of the caller's audio: going on, or over since a moment."""

    kind: str
    detail: str
    over: bool

    @property
    def note(self) -> str:
        """A line for a model."""
        now, before = _NOTES.get(self.kind, ("the audio is disturbed", "the audio was disturbed"))
        text = f"A moment ago {before}" if self.over else f"At present {now}"
        return f"{text} ({self.detail}): words may be missing or wrong, so ask again if in doubt."


def troubles_at(troubles: Sequence[Trouble], at_us: int) -> tuple[AudioTrouble, ...]:
    """What goes on, or was over no longer than `RECENT_S` before; the latest of each kind."""
    found: dict[str, AudioTrouble] = {}
    for trouble in troubles:
        if trouble.over_us is None or at_us - trouble.over_us <= RECENT_S * 1e6:
            over = trouble.over_us is not None
            found.pop(trouble.kind, None)
            found[trouble.kind] = AudioTrouble(trouble.kind, trouble.detail, over)
    return tuple(found.values())
