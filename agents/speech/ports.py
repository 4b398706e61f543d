"""Ports of speech and language: what the agent worker needs of any recogniser, voice or model.

Audio is `bytes`: int16 little-endian mono, 20 ms per frame, at the rate named when opening. No port
reads a clock of its own: a stage's deadline is the adapter's or its user's. Every late result
carries the turn or generation it belongs to, so that one of a cancelled turn is recognised and dropped.
Errors: the tree of `agents.speech.errors`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FRAME_SECONDS = 0.02
RATES_HZ = (8_000, 16_000, 24_000)


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the caller is expected to say in this turn.

    `jsgf` is a whole JSGF text with one public rule; or `sentences` are plain alternatives; with
    neither the turn is open and the engine uses its own model. `words` adds pronunciations as
    (word, ARPAbet phones). Engines without grammars take `sentences` as hints. Build one with
    `agents.speech.grammar`.
    """

    jsgf: str = ""
    sentences: tuple[str, ...] = ()
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A recognised or spoken word; times in seconds from the turn's or the sentence's first sample."""

    text: str
    start: float
    end: float
    confidence: float = 1.0
    beside_gap: bool = False


@dataclass(frozen=True, slots=True)
class Partial:
    """What has been understood so far; later partials of the turn may say otherwise."""

    turn: int
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Final:
    """The turn as understood. `text` is empty when there was speech but nothing that fits.

    `confidence` is 0..1 and is passed on however low it is: what to do with it is the flow's matter.
    """

    turn: int
    text: str
    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    replayed: int = 0


SttResult = Partial | Final


class SttSession(Protocol):
    """One call's recogniser. `expect`, `feed`, `finish` return at once and never block the loop."""

    def expect(self, turn: int, grammar: Grammar) -> None:
        """Begin a turn; an unfinished earlier turn is cancelled and gives no more results."""
        ...

    def feed(self, seq: int, pcm: bytes) -> None:
        """Audio in order; `seq` counts 20 ms frames and a jump in it marks a gap."""
        ...

    def finish(self) -> None:
        """The turn's speech is over: exactly one `Final` of this turn follows."""
        ...

    def results(self) -> AsyncIterator[SttResult]:
        """Results of all turns, in order, until `close`. Raises: SttFailedError per lost turn.

        After an error the session is still good: call `results()` again and go on with a new turn.
        """
        ...

    async def close(self) -> None:
        """Free the decoder; idempotent; `results` ends."""
        ...


class SpeechToText(Protocol):
    """A recogniser engine or provider."""

    @property
    def capacity(self) -> int:
        """Sessions that can be open at once."""
        ...

    async def start(self) -> None:
        """Load, connect or warm up. Raises: EngineMissingError."""
        ...

    async def open(self, call: str, rate_hz: int, expected: Grammar) -> SttSession:
        """A session whose turn 0 expects `expected`. Raises: NoCapacityError, GrammarError."""
        ...

    async def close(self) -> None:
        """End all sessions and processes; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """Names one sentence given to a voice: `number` rises within the call."""

    call: str
    number: int


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """20 ms of speech (the last one padded with silence) and the words that begin in it, if known."""

    pcm: bytes
    words: tuple[Word, ...] = ()


class TextToSpeech(Protocol):
    """A voice engine or provider."""

    async def start(self) -> None:
        """Load, connect or warm up. Raises: EngineMissingError."""
        ...

    def synthesize(
        self, text: str, voice: str, rate_hz: int, generation: Generation
    ) -> AsyncGenerator[SpeechChunk, None]:
        """Chunks as they are made; none at all for empty or unspeakable text.

        Ends early, without error, once the generation is cancelled. Close it (`aclosing`) when
        leaving it unfinished. Raises: TtsFailedError.
        """
        ...

    def cancel(self, generation: Generation) -> None:
        """Takes effect at once: no chunk of this generation comes out afterwards. Idempotent."""
        ...

    async def close(self) -> None:
        """End all processes or connections; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class ToolIntent:
    """A tool the model would like to use; whether it may is the governor's decision.

    `arguments` are parsed JSON, always an object.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the context. `tool_call_id` names the call a `tool` message answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_call_id: str = ""
    tool_intents: tuple[ToolIntent, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool offered to the model; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the reply's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The reply is complete. A reply that ended without this must not be taken as complete."""

    finish_reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


ModelEvent = TextDelta | ToolIntent | Done


class LanguageModel(Protocol):
    """A model behind some endpoint."""

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ModelEvent, None]:
        """The reply as it is made, `Done` last. Close the iterator to cancel.

        Raises: ModelFailedError and below, StageTimeoutError.
        """
        ...

    async def close(self) -> None:
        """Close the connections; idempotent."""
        ...
