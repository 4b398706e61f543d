"""Text to speech by child processes: a small pool, restarted when killed, with a cache of sentences.

The sentence of a killed or stuck child is spoken again by a fresh one, from the chunk where it broke
off; a second failure of the same sentence is a TtsFailedError.
"""

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from agents.providers.child_channel import Frame, Kind
from agents.providers.child_process import ChildProcess
from agents.speech.errors import EngineMissingError, TtsFailedError
from agents.speech.ports import RATES_HZ, Generation, SpeechChunk

START_SECONDS: Final = 20.0
CANCEL_SECONDS: Final = 1.0
TRIES: Final = 2
# In a row without one that became warm: then the next sentence tries again, not this loop.
COLD_ENDS: Final = 3
LONGEST_TEXT: Final = 2_000
CACHED_BYTES: Final = 16 << 20
CANCELLED_KEPT: Final = 4_096
_Key = tuple[str, str, int]
_Item = bytes | Kind


@dataclass(slots=True, eq=False)
class _Child:
    """A place of the pool: its process, and the sentence it speaks now."""

    process: ChildProcess
    ready: asyncio.Future[str]
    context: int = 0
    items: asyncio.Queue[_Item] | None = None
    overdue: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class SentenceCache:
    """Sentences spoken before, oldest forgotten first."""

    limit_bytes: int = CACHED_BYTES
    _kept: OrderedDict[_Key, tuple[bytes, ...]] = field(default_factory=OrderedDict)
    _size: int = 0

    def get(self, key: _Key) -> tuple[bytes, ...] | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: _Key, pieces: tuple[bytes, ...]) -> None:
        if key in self._kept:
            return
        self._kept[key] = pieces
        self._size += sum(map(len, pieces))
        while self._size > self.limit_bytes:
            _, old = self._kept.popitem(last=False)
            self._size -= sum(map(len, old))


class ProcessVoice:
    """TextToSpeech over `processes` children running `module`."""

    def __init__(
        self,
        module: str,
        processes: int = 1,
        stall_seconds: float = 2.0,
        cache_bytes: int = CACHED_BYTES,
    ) -> None:
        self._module = module
        self._count = processes
        self._stall = stall_seconds
        self._cache = SentenceCache(cache_bytes)
        self._children: list[_Child] = []
        self._cold_ends = 0
        self._started = False
        self._idle: asyncio.Queue[_Child] = asyncio.Queue()
        self._contexts = itertools.count(1)
        self._speaking: dict[Generation, asyncio.Queue[_Item] | None] = {}
        self._cancelled: OrderedDict[Generation, None] = OrderedDict()

    @property
    def pids(self) -> list[int]:
        """Process ids of the children, for health pages."""
        return [child.process.pid for child in self._children]

    async def start(self) -> None:
        """Starts the children and waits until they are warm. Raises: EngineMissingError."""
        fresh = [self._spawn() for _ in range(self._count - len(self._children))]
        try:
            async with asyncio.timeout(START_SECONDS):
                refused = [why for child in fresh if (why := await child.ready)]
        except TimeoutError as error:
            await self.close()
            message = f"{self._module} did not start in {START_SECONDS:g} s"
            raise EngineMissingError(message) from error
        if refused:
            await self.close()
            raise EngineMissingError(refused[0])
        self._started = True

    async def close(self) -> None:
        """Ends the children; sentences being spoken fail."""
        self._started = False
        for child in self._children:
            self._let_go(child, Kind.FAILED)
            child.process.end()
        self._children.clear()
        self._idle = asyncio.Queue()

    def cancel(self, generation: Generation) -> None:
        """No chunk of this generation comes out from now on."""
        self._cancelled[generation] = None
        while len(self._cancelled) > CANCELLED_KEPT:
            self._cancelled.popitem(last=False)
        items = self._speaking.get(generation)
        if items is not None:
            items.put_nowait(Kind.CANCEL)

    async def synthesize(
        self, text: str, voice: str, rate_hz: int, generation: Generation
    ) -> AsyncGenerator[SpeechChunk, None]:
        """See the port. Raises: TtsFailedError."""
        if rate_hz not in RATES_HZ:
            message = f"{rate_hz} Hz is not one of {RATES_HZ}"
            raise TtsFailedError(message)
        spoken = " ".join(text.split())[:LONGEST_TEXT]
        if not any(letter.isalnum() for letter in spoken):
            return
        key = (spoken, voice, rate_hz)
        pieces = self._cache.get(key)
        if pieces is None:
            async with aclosing(self._made(key, generation)) as made:
                async for piece in made:
                    yield SpeechChunk(piece)
            return
        for piece in pieces:
            if generation in self._cancelled:
                return
            yield SpeechChunk(piece)

    async def _made(self, key: _Key, generation: Generation) -> AsyncGenerator[bytes, None]:
        pieces: list[bytes] = []
        self._speaking[generation] = None
        try:
            for _ in range(TRIES):
                end: _Item = Kind.FAILED
                skip = len(pieces)
                async with aclosing(self._one_try(key, generation)) as items:
                    async for item in items:
                        if isinstance(item, Kind):
                            end = item
                        elif skip:
                            skip -= 1
                        else:
                            pieces.append(item)
                            yield item
                if end is not Kind.FAILED:
                    break
            else:
                raise TtsFailedError(f"{self._module} failed {TRIES} times with one sentence")
        finally:
            self._speaking.pop(generation, None)
        if end is Kind.DONE:
            self._cache.put(key, tuple(pieces))

    async def _one_try(self, key: _Key, generation: Generation) -> AsyncGenerator[_Item, None]:
        """Chunks, then how it ended: DONE, CANCEL or FAILED."""
        if generation in self._cancelled:
            yield Kind.CANCEL
            return
        child = await self._taken()
        if child is None:
            yield Kind.FAILED
            return
        items: asyncio.Queue[_Item] = asyncio.Queue()
        self._speaking[generation] = items
        child.context, child.items = next(self._contexts), items
        context = child.context
        text, voice, rate_hz = key
        wanted = {"text": text, "voice": voice, "rate_hz": rate_hz}
        child.process.send(Kind.SPEAK, context, wanted)
        item: _Item = Kind.CANCEL if generation in self._cancelled else b""
        try:
            while not isinstance(item, Kind):
                item = await self._next(child, items)
                if generation in self._cancelled:
                    item = Kind.CANCEL
                yield item
        finally:
            self._abandon(child, context)

    async def _next(self, child: _Child, items: asyncio.Queue[_Item]) -> _Item:
        try:
            async with asyncio.timeout(self._stall):
                return await items.get()
        except TimeoutError:
            child.process.kill()
            return Kind.FAILED

    async def _taken(self) -> _Child | None:
        """An idle child, warm; None if there is none in time."""
        while self._started and len(self._children) < self._count:
            self._spawn()
        try:
            async with asyncio.timeout(self._stall * 2):
                while True:
                    child = await self._idle.get()
                    if child.process.alive and not await child.ready:
                        return child
        except TimeoutError:
            return None

    def _abandon(self, child: _Child, context: int) -> None:
        """A sentence that is still being made is stopped; a child that does not stop is ended."""
        if child.context == context and child.items is not None:
            child.items = None
            child.process.send(Kind.CANCEL, context)
            loop = asyncio.get_running_loop()
            child.overdue = loop.call_later(CANCEL_SECONDS, child.process.kill)

    def _let_go(self, child: _Child, end: Kind) -> None:
        if child.items is not None:
            child.items.put_nowait(end)
        if child.overdue is not None:
            child.overdue.cancel()
        child.context, child.items, child.overdue = 0, None, None

    def _spawn(self) -> _Child:
        ready = asyncio.get_running_loop().create_future()
        process = ChildProcess(self._module, (), self._on_frame, self._on_exit)
        child = _Child(process, ready)
        self._children.append(child)
        self._idle.put_nowait(child)
        return child

    def _on_frame(self, process: ChildProcess, frame: Frame) -> None:
        child = next((child for child in self._children if child.process is process), None)
        if child is None:
            return
        if frame.kind in (Kind.READY, Kind.REFUSED):
            self._cold_ends = 0
            child.ready.set_result("" if frame.kind == Kind.READY else frame.json()["why"])
        elif frame.context != child.context:
            return
        elif frame.kind == Kind.AUDIO:
            if child.items is not None:
                child.items.put_nowait(frame.payload)
        else:
            self._let_go(child, Kind(frame.kind))
            self._idle.put_nowait(child)

    def _on_exit(self, process: ChildProcess) -> None:
        for child in [child for child in self._children if child.process is process]:
            self._children.remove(child)
            refused = child.ready.done() and child.ready.result() != ""
            if not child.ready.done():
                self._cold_ends += 1
                child.ready.set_result(f"{self._module} ended while it was loading")
            self._let_go(child, Kind.FAILED)
            if not refused and self._cold_ends < COLD_ENDS:
                self._spawn()
