"""Whether a caller who speaks over the agent means to interrupt.

The media plane ducks by itself at the onset; this machine gathers evidence and decides what comes of it:

```
QUIET --onset--> DUCKED --speech | hum | words | 0.3 s----------------> PAUSE   (HELD)
                 DUCKED, HELD --speech over | noise | echo-----------> RESUME  (QUIET)
                 DUCKED, HELD --content word, so long a speech-------> CONFIRM (QUIET)
```
A verdict "speech", or a word, silences the voice at once but does not cut it: an "mm-hm" is speech too, a recogniser
with a small grammar takes it for a word of it, and it is over after 300 ms. A short word that was meant ("stop") cuts
when it is final.
So long: 0.36 s of speech by verdict, 0.45 s without one, 0.9 s of acknowledging words, from the onset.
A protected sentence (a disclosure) is only ever ducked. Evidence of an earlier onset changes nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Verdict(Enum):
    """What the confirming detector makes of the first 300 ms."""

    SPEECH = "speech"
    HUM = "hum"
    NOISE = "noise"


class Words(Enum):
    """What the words of a partial transcript are."""

    CONTENT = "content"
    BACKCHANNEL = "backchannel"
    ECHO = "echo"


class Action(Enum):
    """What to do with the agent's voice."""

    NOTHING = "nothing"
    PAUSE = "pause"
    RESUME = "resume"
    CONFIRM = "confirm"


class State(Enum):
    """Where the machine is."""

    QUIET = "quiet"
    DUCKED = "ducked"
    HELD = "held"


DUCK_S: Final = 0.3
JUDGED_SPEECH_S: Final = 0.36
"""An "mm-hm" of 300 ms is told as over 0.32 s after its onset."""
SPEECH_S: Final = 0.45
BACKCHANNEL_S: Final = 0.9
"""Longest time that acknowledging words may last before they are taken for more."""


class BargeIn:
    """One speaker over the agent's voice. Every method returns what to do now; `deadline` is when to call `due`."""

    def __init__(self) -> None:
        self._state = State.QUIET
        self._onset = 0.0
        self._number = 0
        self._protected = False
        self._backchannel = False
        self._judged_speech = False

    @property
    def state(self) -> State:
        return self._state

    @property
    def onset(self) -> float:
        """When the last onset was."""
        return self._onset

    @property
    def number(self) -> int:
        """Counts onsets; a verdict names the one it belongs to."""
        return self._number

    @property
    def deadline(self) -> float | None:
        if self._state is State.QUIET or self._protected:
            return None
        return self._onset + (DUCK_S if self._state is State.DUCKED else self._longest())

    def began(self, at: float, *, protected: bool) -> Action:
        """Speech over the agent's voice. Speech that goes on after a short break is a new onset, unless held."""
        if self._state is State.HELD:
            return Action.NOTHING
        self._state = State.DUCKED
        self._onset = at
        self._number += 1
        self._protected = protected
        self._backchannel = False
        self._judged_speech = False
        return Action.NOTHING

    def words(self, words: Words, now: float) -> Action:
        """A partial transcript came."""
        if self._state is State.QUIET or self._protected:
            return Action.NOTHING
        match words:
            case Words.CONTENT if now >= self._onset + JUDGED_SPEECH_S:
                return self._leave(Action.CONFIRM)
            case Words.CONTENT:
                self._judged_speech, self._backchannel = True, False
                return self._hold()
            case Words.ECHO:
                return self._leave(Action.RESUME)
            case _:  # a backchannel
                self._backchannel = True
                return self._hold()

    def verdict(self, number: int, verdict: Verdict) -> Action:
        """The confirming detector spoke about onset `number`."""
        if self._state is State.QUIET or self._protected or number != self._number:
            return Action.NOTHING
        match verdict:
            case Verdict.NOISE:
                return self._leave(Action.RESUME)
            case Verdict.HUM:
                return self._hold()
            case _:  # speech
                self._judged_speech = True
                return self._hold()

    def paused(self) -> Action:
        """The speech is over and was not confirmed."""
        return Action.NOTHING if self._state is State.QUIET else self._leave(Action.RESUME)

    def due(self, now: float) -> Action:
        """The deadline may have passed."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return Action.NOTHING
        return self._hold() if self._state is State.DUCKED else self._leave(Action.CONFIRM)

    def reset(self) -> None:
        """The agent fell silent: there is nothing to interrupt."""
        self._state = State.QUIET

    def _longest(self) -> float:
        if self._backchannel:
            return BACKCHANNEL_S
        return JUDGED_SPEECH_S if self._judged_speech else SPEECH_S

    def _hold(self) -> Action:
        if self._state is State.HELD:
            return Action.NOTHING
        self._state = State.HELD
        return Action.PAUSE

    def _leave(self, action: Action) -> Action:
        self._state = State.QUIET
        return action
