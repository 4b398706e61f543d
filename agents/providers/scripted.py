"""Engines without delay, chosen by the name "fake": what is left in a latency figure is our own time.

The recogniser "understands" a fixed sentence as soon as the turn is finished; the voice is a tone.
Also the reference of the contract suites.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

import numpy as np

from agents.speech.errors import NoCapacityError
from agents.speech.ports import (
    FRAME_SECONDS,
    Done,
    Generation,
    Grammar,
    Message,
    ModelEvent,
    Partial,
    SpeechChunk,
    SttResult,
    TextDelta,
    ToolSpec,
    Word,
)
from agents.speech.ports import Final as FinalResult

WORDS_A_SECOND: Final = 2.5
TONE_HZ: Final = 440.0
TONE_LEVEL: Final = 8_000.0


class ScriptedSession:
    """Gives the next sentence of the script for each turn that was fed anything."""

    def __init__(self, owner: "ScriptedStt") -> None:
        self._owner = owner
        self._results: asyncio.Queue[SttResult | None] = asyncio.Queue()
        self._turn = -1
        self._open = False
        self._fed = 0

    def expect(self, turn: int, grammar: Grammar) -> None:
        """See the port."""
        self._turn, self._open, self._fed = turn, True, 0

    def feed(self, seq: int, pcm: bytes) -> None:
        """See the port; the first frame already gives a partial."""
        if not self._open:
            return
        self._fed += 1
        if self._fed == 1:
            text = self._owner.sentence.split(" ", 1)[0]
            self._results.put_nowait(Partial(self._turn, text, self._words(text)))

    def finish(self) -> None:
        """See the port."""
        if self._open:
            self._open = False
            text = self._owner.next_sentence() if self._fed else ""
            words = self._words(text)
            self._results.put_nowait(FinalResult(self._turn, text, words, 1.0 if text else 0.0))

    async def results(self) -> AsyncIterator[SttResult]:
        """See the port."""
        while (item := await self._results.get()) is not None:
            if item.turn == self._turn:
                yield item
        self._results.put_nowait(None)

    async def close(self) -> None:
        """See the port."""
        self._open = False
        self._owner.forget(self)
        self._results.put_nowait(None)

    def _words(self, text: str) -> tuple[Word, ...]:
        each = 1 / WORDS_A_SECOND
        return tuple(
            Word(word, round(n * each, 3), round((n + 1) * each, 3))
            for n, word in enumerate(text.split())
        )


class ScriptedStt:
    """SpeechToText that hears `sentences` in turn, over and over."""

    def __init__(self, sentences: Sequence[str] = ("yes",), capacity: int = 1_000) -> None:
        self._sentences = tuple(sentences)
        self._next = 0
        self.capacity = capacity
        self._sessions: set[ScriptedSession] = set()

    @property
    def sentence(self) -> str:
        """The one that will be heard next."""
        return self._sentences[self._next % len(self._sentences)]

    def next_sentence(self) -> str:
        """Takes it."""
        sentence = self.sentence
        self._next += 1
        return sentence

    def forget(self, session: ScriptedSession) -> None:
        """The session is over."""
        self._sessions.discard(session)

    async def start(self) -> None:
        """Nothing to load."""

    async def open(self, call: str, rate_hz: int, expected: Grammar) -> ScriptedSession:
        """See the port."""
        if len(self._sessions) >= self.capacity:
            message = f"{self.capacity} calls are listened to, which is all"
            raise NoCapacityError(message)
        session = ScriptedSession(self)
        self._sessions.add(session)
        session.expect(0, expected)
        return session

    async def close(self) -> None:
        """See the port."""
        for session in list(self._sessions):
            await session.close()


class ToneVoice:
    """TextToSpeech that hums for as long as the words would take, all chunks at once."""

    def __init__(self) -> None:
        self._cancelled: set[Generation] = set()

    async def start(self) -> None:
        """Nothing to load."""

    def cancel(self, generation: Generation) -> None:
        """See the port."""
        self._cancelled.add(generation)

    async def synthesize(
        self, text: str, voice: str, rate_hz: int, generation: Generation
    ) -> AsyncGenerator[SpeechChunk, None]:
        """See the port."""
        size = int(rate_hz * FRAME_SECONDS)
        spoken = text.split() if any(letter.isalnum() for letter in text) else []
        each = math.ceil(1 / WORDS_A_SECOND / FRAME_SECONDS)
        for number in range(len(spoken) * each):
            if generation in self._cancelled:
                return
            place, within = divmod(number, each)
            start = place * each * FRAME_SECONDS
            word = Word(spoken[place], round(start, 3), round(start + each * FRAME_SECONDS, 3))
            times = (np.arange(size) + number * size) / rate_hz
            tone = TONE_LEVEL * np.sin(2 * math.pi * TONE_HZ * times)
            yield SpeechChunk(tone.astype("<i2").tobytes(), () if within else (word,))

    async def close(self) -> None:
        """Nothing to close."""


class EchoModel:
    """LanguageModel that repeats the last thing said to it, word by word."""

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ModelEvent, None]:
        """See the port."""
        said = messages[-1].content.split() if messages else []
        for number, word in enumerate(said):
            yield TextDelta(word if number == 0 else f" {word}")
        yield Done("stop", None, len(said))

    async def close(self) -> None:
        """Nothing to close."""
