"""A second engine for when the first fails, and a circuit that stops asking one that keeps failing.

The first engine has `seconds` to begin (800 ms are added once, then its circuit opens). What has begun
is not begun again by another: half a sentence in one voice and all of it in the next is worse than the
error, which the conversation knows how to answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar

from agents.speech.errors import CircuitOpenError, SpeechError, StageTimeoutError
from agents.speech.ports import (
    Generation,
    Grammar,
    LanguageModel,
    Message,
    ModelEvent,
    SpeechChunk,
    SpeechToText,
    SttSession,
    TextToSpeech,
    ToolSpec,
)

SWITCH_SECONDS: Final = 0.8
Item = TypeVar("Item")


@dataclass(slots=True)
class CircuitBreaker:
    """Opens after `failures` in a row for `open_seconds`, then lets one attempt through."""

    failures: int = 2
    open_seconds: float = 30.0
    _failed: int = 0
    _open_until: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether to ask the engine; after the pause only the first to ask may."""
        if self._failed < self.failures:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self.open_seconds
        return True

    def succeeded(self) -> None:
        """The engine works: all may ask again."""
        self._failed = 0

    def fails(self, now: float) -> None:
        """The engine failed."""
        self._failed += 1
        if self._failed >= self.failures:
            self._open_until = now + self.open_seconds


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _begun(stream: AsyncGenerator[Item, None], stage: str, seconds: float) -> Item | None:
    """The first item, None for an empty stream. Raises: StageTimeoutError."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(stream, None)
    except TimeoutError as error:
        raise StageTimeoutError(stage, seconds) from error


async def _first_or_second(
    first: Callable[[], AsyncGenerator[Item, None]],
    second: Callable[[], AsyncGenerator[Item, None]],
    breaker: CircuitBreaker,
    stage: str,
    seconds: float,
) -> AsyncGenerator[Item, None]:
    if breaker.allows(_now()):
        begun = False
        async with aclosing(first()) as stream:
            try:
                item = await _begun(stream, stage, seconds)
                begun = item is not None
                if item is not None:
                    yield item
                async for item in stream:
                    yield item
                breaker.succeeded()
                return
            except SpeechError:
                breaker.fails(_now())
                if begun:
                    raise
    async with aclosing(second()) as stream:
        async for item in stream:
            yield item


class FallbackVoice:
    """TextToSpeech with a second voice engine."""

    def __init__(
        self,
        first: TextToSpeech,
        second: TextToSpeech,
        breaker: CircuitBreaker | None = None,
        seconds: float = SWITCH_SECONDS,
    ) -> None:
        self._first = first
        self._second = second
        self._breaker = breaker or CircuitBreaker()
        self._seconds = seconds

    async def start(self) -> None:
        """See the port."""
        await self._first.start()
        await self._second.start()

    def synthesize(
        self, text: str, voice: str, rate_hz: int, generation: Generation
    ) -> AsyncGenerator[SpeechChunk, None]:
        """See the port."""
        return _first_or_second(
            lambda: self._first.synthesize(text, voice, rate_hz, generation),
            lambda: self._second.synthesize(text, voice, rate_hz, generation),
            self._breaker,
            "tts_first_chunk",
            self._seconds,
        )

    def cancel(self, generation: Generation) -> None:
        """See the port."""
        self._first.cancel(generation)
        self._second.cancel(generation)

    async def close(self) -> None:
        """See the port."""
        await self._first.close()
        await self._second.close()


class FallbackModel:
    """LanguageModel with a second endpoint."""

    def __init__(
        self,
        first: LanguageModel,
        second: LanguageModel,
        breaker: CircuitBreaker | None = None,
        seconds: float = SWITCH_SECONDS,
    ) -> None:
        self._first = first
        self._second = second
        self._breaker = breaker or CircuitBreaker()
        self._seconds = seconds

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ModelEvent, None]:
        """See the port."""
        return _first_or_second(
            lambda: self._first.stream(messages, tools),
            lambda: self._second.stream(messages, tools),
            self._breaker,
            "model_first_event",
            self._seconds,
        )

    async def close(self) -> None:
        """See the port."""
        await self._first.close()
        await self._second.close()


class FallbackStt:
    """SpeechToText with a second recogniser for new sessions.

    A session stays with the engine that opened it: after its SttFailedError open another one.
    """

    def __init__(
        self,
        first: SpeechToText,
        second: SpeechToText,
        breaker: CircuitBreaker | None = None,
        seconds: float = SWITCH_SECONDS,
    ) -> None:
        self._first = first
        self._second = second
        self._breaker = breaker or CircuitBreaker()
        self._seconds = seconds

    async def start(self) -> None:
        """See the port."""
        await self._first.start()
        await self._second.start()

    async def open(self, call: str, rate_hz: int, expected: Grammar) -> SttSession:
        """See the port."""
        try:
            return await self._open_first(call, rate_hz, expected)
        except SpeechError:
            return await self._second.open(call, rate_hz, expected)

    async def close(self) -> None:
        """See the port."""
        await self._first.close()
        await self._second.close()

    async def _open_first(self, call: str, rate_hz: int, expected: Grammar) -> SttSession:
        if not self._breaker.allows(_now()):
            raise CircuitOpenError("the recogniser failed repeatedly")
        try:
            async with asyncio.timeout(self._seconds):
                session = await self._first.open(call, rate_hz, expected)
        except (SpeechError, TimeoutError) as error:
            self._breaker.fails(_now())
            if isinstance(error, TimeoutError):
                raise StageTimeoutError("stt_open", self._seconds) from error
            raise
        self._breaker.succeeded()
        return session
