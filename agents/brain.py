"""What a call says to its agent and hears back: messages between media node and worker, and the port.

The brain is stateless between turns. `OpenCall`, `ListenTo` and `Expect` can be repeated to any worker at any time,
and `Think` carries all that an answer needs; so a call goes on where it was when a worker is replaced.
Generations rise within a call and mark everything that belongs to one answer: what arrives for an older one is dropped.

`pcm` is int16 little-endian mono at the call's rate. How it travels: `agents.brain_wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Protocol

from telephony.call.ids import CallId
from telephony.values import value

# ------------------------------------------------------------------------------------------------- media node -> worker


@value(frozen=True, slots=True)
class Introduce:
    """First message of a media node: the number that marks its datagrams, for taps are counted by each node."""

    source: int


@value(frozen=True, slots=True)
class OpenCall:
    """A call that needs this worker. `definition`: see `agents.conversation.flow`."""

    call: str
    agent: str
    rate_hz: int
    definition: Mapping[str, Any]


@value(frozen=True, slots=True)
class ListenTo:
    """Frames of the tap are the leg's."""

    call: str
    leg: str
    tap: int
    rate_hz: int


@value(frozen=True, slots=True)
class Unlisten:
    """The leg is gone."""

    call: str
    leg: str


@value(frozen=True, slots=True)
class Expect:
    """A turn of the leg begins; the answers of `step` are expected, or anything (empty)."""

    call: str
    leg: str
    turn: int
    step: str


@value(frozen=True, slots=True)
class FinishTurn:
    """The leg's turn is over: `FinalHeard` is wanted."""

    call: str
    leg: str
    turn: int


@value(frozen=True, slots=True)
class Think:
    """An answer is wanted. `situation`: see `agents.conversation.context`."""

    call: str
    generation: int
    situation: Mapping[str, Any]


@value(frozen=True, slots=True)
class Say:
    """A sentence that the governor allowed: its audio is wanted."""

    call: str
    generation: int
    utterance: str
    text: str


@value(frozen=True, slots=True)
class Prepare:
    """Audio that will be kept by the media node."""

    call: str
    text: str


@value(frozen=True, slots=True)
class Cancel:
    """Nothing of this generation or an older one is wanted any more."""

    call: str
    generation: int


@value(frozen=True, slots=True)
class Judge:
    """Speech began over the agent's voice: is it speech?"""

    call: str
    leg: str
    onset: int


@value(frozen=True, slots=True)
class CloseCall:
    """The call is over."""

    call: str


# ------------------------------------------------------------------------------------------------- worker -> media node


@value(frozen=True, slots=True)
class Hello:
    """First message of a worker: its name, and how many calls its recognisers can listen to at once."""

    worker: str
    calls: int


@value(frozen=True, slots=True)
class Heartbeat:
    """The worker's loop runs."""

    calls: int


@value(frozen=True, slots=True)
class PartialHeard:
    """What the leg has said so far in this turn."""

    call: str
    leg: str
    turn: int
    text: str


@value(frozen=True, slots=True)
class FinalHeard:
    """What the leg said; `failed` names why it is lost, if it is."""

    call: str
    leg: str
    turn: int
    text: str
    confidence: float
    failed: str = ""


@value(frozen=True, slots=True)
class Proposal:
    """A piece of an answer: a sentence, effects, or both; `last` closes the answer.

    `effects`: `{"fills": {slot: value or null}, "step": name, "ending": "end"|"person"}`, each optional.
    """

    call: str
    generation: int
    index: int
    text: str
    effects: Mapping[str, Any] = field(default_factory=dict)
    misunderstood: bool = False
    last: bool = False


@value(frozen=True, slots=True)
class Audio:
    """Speech of an utterance; `last` closes it (no samples at all: it cannot be spoken)."""

    call: str
    generation: int
    utterance: str
    last: bool
    pcm: bytes = b""


@value(frozen=True, slots=True)
class Prepared:
    """The whole audio of a text at the call's rate."""

    call: str
    text: str
    pcm: bytes = b""


@value(frozen=True, slots=True)
class Judged:
    """The verdict on an onset: `speech`, `hum` or `noise`."""

    call: str
    leg: str
    onset: int
    verdict: str


@value(frozen=True, slots=True)
class Failed:
    """An answer will not come; `reason` is stable."""

    call: str
    generation: int
    reason: str


ToWorker = (
    Introduce
    | OpenCall
    | ListenTo
    | Unlisten
    | Expect
    | FinishTurn
    | Think
    | Say
    | Prepare
    | Cancel
    | Judge
    | CloseCall
)
FromWorker = (
    Hello | Heartbeat | PartialHeard | FinalHeard | Proposal | Audio | Prepared | Judged | Failed
)

# ------------------------------------------------------------------------------------------------------------- the port


@value(frozen=True, slots=True)
class Attached:
    """A worker answers for the call from now on; it knows nothing of it yet."""

    worker: str


@value(frozen=True, slots=True)
class Lost:
    """The worker died or stalled; `Attached` follows when another is there."""

    reason: str


Told = FromWorker | Attached | Lost


class BrainLine(Protocol):
    """One call's connection to whatever answers for its agent."""

    def send(self, message: ToWorker) -> None:
        """Never blocks; without a worker the message is dropped, for `Attached` starts anew."""

    def close(self) -> None:
        """Tells the worker that the call is over; nothing is told afterwards."""


class Brain(Protocol):
    """All agents' answers, as a media node sees them. Used in the loop's thread."""

    def open(self, call: CallId, tell: Callable[[Told], None]) -> BrainLine:
        """`Attached` is told first, not before this call has returned."""
