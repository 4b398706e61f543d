"""pocketsphinx: the embedded recogniser, bound to the grammar of the expected answers.

A pool of processes with a fixed number of decoders each; their sum is how many calls can be listened
to. The turn of a killed or stuck process is replayed from its kept audio in a fresh one; the second
time in one turn the words are lost (SttFailedError) and the agent asks again.
"""

import asyncio
import importlib.util
import itertools
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.providers.child_channel import Frame, Kind
from agents.providers.child_process import ChildProcess
from agents.speech.errors import (
    EngineMissingError,
    GrammarError,
    NoCapacityError,
    SpeechError,
    SttFailedError,
)
from agents.speech.grammar import compiled
from agents.speech.ports import FRAME_SECONDS, Grammar, Partial, SttResult, Word
from agents.speech.ports import Final as FinalResult

MODULE: Final = "agents.providers.pocketsphinx_child"
START_SECONDS: Final = 30.0
TURN_SECONDS: Final = 60
REPLAYS: Final = 1
# In a row without one that became warm: then the next call tries again, not this loop.
COLD_ENDS: Final = 3
# Silence put in for lost frames, so that the times of later words stay true.
LONGEST_GAP_FRAMES: Final = 25
BESIDE_SECONDS: Final = 0.1


@dataclass(slots=True, eq=False)
class _Worker:
    process: ChildProcess
    ready: asyncio.Future[str]
    sessions: dict[int, "PocketsphinxSession"] = field(default_factory=dict)


class PocketsphinxSession:
    """One call's recogniser; made by `PocketsphinxStt.open`."""

    def __init__(self, owner: "PocketsphinxStt", context: int, rate_hz: int) -> None:
        self._owner = owner
        self.context = context
        self._rate_hz = rate_hz
        self._results: asyncio.Queue[SttResult | SpeechError | None] = asyncio.Queue()
        self._audio: deque[bytes] = deque(maxlen=int(TURN_SECONDS / FRAME_SECONDS))
        self._worker: _Worker | None = None
        self._turn = -1
        self._grammar = Grammar()
        self._open = False  # a final of the turn is still owed
        self._finished = False
        self._replays = 0
        self._seq: int | None = None
        self._heard_frames = 0
        self._gaps: list[float] = []
        self._overdue: asyncio.TimerHandle | None = None

    def expect(self, turn: int, grammar: Grammar) -> None:
        """See the port. Raises: GrammarError."""
        self._grammar = compiled(grammar)
        self._turn = turn
        self._open, self._finished, self._replays = True, False, 0
        self._audio.clear()
        self._seq, self._heard_frames, self._gaps = None, 0, []
        self._stop_clock()
        self._send_turn()

    def feed(self, seq: int, pcm: bytes) -> None:
        """See the port; frames of an older or repeated number are dropped."""
        if not self._open or self._finished or (self._seq is not None and seq <= self._seq):
            return
        missing = 0 if self._seq is None else seq - self._seq - 1
        self._seq = seq
        if missing:
            self._gaps.append(self._heard_frames * FRAME_SECONDS)
        silence = bytes(int(self._rate_hz * FRAME_SECONDS) * 2)
        for frame in [silence] * min(missing, LONGEST_GAP_FRAMES) + [pcm]:
            self._heard_frames += 1
            self._audio.append(frame)
            self._send(Kind.AUDIO, payload=frame)

    def finish(self) -> None:
        """See the port."""
        if self._open and not self._finished:
            self._finished = True
            self._send(Kind.FINISH)
            self._start_clock()

    async def results(self) -> AsyncIterator[SttResult]:
        """See the port. Raises: SttFailedError, GrammarError."""
        while (item := await self._results.get()) is not None:
            if isinstance(item, SpeechError):
                raise item
            if item.turn == self._turn:
                yield item
        self._results.put_nowait(None)

    async def close(self) -> None:
        """See the port."""
        self._stop_clock()
        self._open = False
        self._send(Kind.CLOSE)
        self._owner.forget(self)
        self._worker = None
        self._results.put_nowait(None)

    def attach(self, worker: _Worker | None) -> None:
        """Goes on with this process; a turn that was cut off is replayed in it."""
        first = self._worker is None
        self._worker = worker
        self._stop_clock()
        self._send(Kind.OPEN, {"rate_hz": self._rate_hz})
        if not self._open or first:
            return
        if worker is None or self._replays >= REPLAYS:
            self._fail(SttFailedError("the recogniser was lost twice in one turn"))
            return
        self._replays += 1
        self._send_turn()

    def take(self, frame: Frame) -> None:
        """A message of the process about this session; those of an older turn are dropped."""
        if frame.kind == Kind.FAILED:
            self._fail(GrammarError(frame.json()["why"]))
            return
        values = frame.json()
        if values["turn"] != self._turn or not self._open:
            return
        words = tuple(self._word(one) for one in values["words"])
        if frame.kind == Kind.PARTIAL:
            self._results.put_nowait(Partial(self._turn, values["text"], words))
        else:
            self._stop_clock()
            self._open = False
            confidence = float(values["confidence"])
            final = FinalResult(self._turn, values["text"], words, confidence, self._replays)
            self._results.put_nowait(final)

    def _word(self, values: list[Any]) -> Word:
        word = Word(*values)
        near = any(
            word.start - BESIDE_SECONDS <= gap <= word.end + BESIDE_SECONDS for gap in self._gaps
        )
        return replace(word, beside_gap=True) if near else word

    def _send(self, kind: Kind, values: object = None, payload: bytes = b"") -> None:
        if self._worker is not None:
            self._worker.process.send(kind, self.context, values, payload)

    def _send_turn(self) -> None:
        grammar = self._grammar
        wanted = {"turn": self._turn, "jsgf": grammar.jsgf, "words": grammar.words}
        self._send(Kind.EXPECT, wanted)
        for frame in self._audio:
            self._send(Kind.AUDIO, payload=frame)
        if self._finished:
            self._send(Kind.FINISH)
            self._start_clock()

    def _start_clock(self) -> None:
        """A process that owes a final too long is stuck: ended, and the turn replayed."""
        if self._worker is not None:
            loop = asyncio.get_running_loop()
            seconds = self._owner.final_seconds
            if not self._worker.ready.done():
                seconds += START_SECONDS
            self._overdue = loop.call_later(seconds, self._worker.process.kill)

    def _stop_clock(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _fail(self, error: SpeechError) -> None:
        self._stop_clock()
        self._open = False
        self._results.put_nowait(error)


class PocketsphinxStt:
    """SpeechToText over `processes` children with `decoders` each."""

    def __init__(self, processes: int = 2, decoders: int = 2, final_seconds: float = 1.5) -> None:
        self._processes = processes
        self._decoders = decoders
        self.final_seconds = final_seconds
        self._workers: list[_Worker] = []
        self._contexts = itertools.count(1)
        self._cold_ends = 0
        self._started = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the children, for health pages."""
        return [worker.process.pid for worker in self._workers]

    @property
    def capacity(self) -> int:
        return self._processes * self._decoders

    @property
    def free(self) -> int:
        """Calls that can still be opened."""
        return sum(self._decoders - len(worker.sessions) for worker in self._workers)

    async def start(self) -> None:
        """Loads all decoders (about 0.4 s each). Raises: EngineMissingError."""
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineMissingError("pocketsphinx is not installed: pip install pocketsphinx")
        fresh = [self._spawn() for _ in range(self._processes - len(self._workers))]
        try:
            async with asyncio.timeout(START_SECONDS):
                refused = [why for worker in fresh if (why := await worker.ready)]
        except TimeoutError as error:
            await self.close()
            message = f"pocketsphinx did not start in {START_SECONDS:g} s"
            raise EngineMissingError(message) from error
        if refused:
            await self.close()
            raise EngineMissingError(refused[0])
        self._started = True

    async def open(self, call: str, rate_hz: int, expected: Grammar) -> PocketsphinxSession:
        """See the port."""
        grammar = compiled(expected)
        while self._started and len(self._workers) < self._processes:
            self._spawn()
        worker = min(self._workers, key=lambda one: len(one.sessions), default=None)
        if worker is None or len(worker.sessions) >= self._decoders:
            message = f"{self.capacity} calls are listened to, which is all"
            raise NoCapacityError(message)
        session = PocketsphinxSession(self, next(self._contexts), rate_hz)
        worker.sessions[session.context] = session
        session.attach(worker)
        session.expect(0, grammar)
        return session

    async def close(self) -> None:
        """Ends all sessions and processes."""
        self._started = False
        for worker in self._workers:
            for session in list(worker.sessions.values()):
                await session.close()
            worker.process.end()
        self._workers.clear()

    def forget(self, session: PocketsphinxSession) -> None:
        """The session is over and its decoder free."""
        for worker in self._workers:
            worker.sessions.pop(session.context, None)

    def _spawn(self) -> _Worker:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        process = ChildProcess(MODULE, (str(self._decoders),), self._on_frame, self._on_exit)
        worker = _Worker(process, ready)
        self._workers.append(worker)
        return worker

    def _on_frame(self, process: ChildProcess, frame: Frame) -> None:
        for worker in self._workers:
            if worker.process is process:
                if frame.kind == Kind.READY:
                    self._cold_ends = 0
                    worker.ready.set_result("")
                elif session := worker.sessions.get(frame.context):
                    session.take(frame)

    def _on_exit(self, process: ChildProcess) -> None:
        for lost in [worker for worker in self._workers if worker.process is process]:
            self._workers.remove(lost)
            if not lost.ready.done():
                self._cold_ends += 1
                lost.ready.set_result("pocketsphinx ended while it was loading")
            fresh = self._spawn() if self._cold_ends < COLD_ENDS else None
            for session in lost.sessions.values():
                if fresh is not None:
                    fresh.sessions[session.context] = session
                session.attach(fresh)
