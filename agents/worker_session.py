"""One call in the worker: its recognisers, its answers, its voice. Holds nothing that the call could not do without."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.brain import (
    Audio,
    Cancel,
    Expect,
    Failed,
    FinalHeard,
    FinishTurn,
    FromWorker,
    Judge,
    Judged,
    ListenTo,
    OpenCall,
    PartialHeard,
    Prepare,
    Prepared,
    Proposal,
    Say,
    Think,
    ToWorker,
    Unlisten,
)
from agents.conversation.context import Situation, SituationError
from agents.conversation.flow import Flow
from agents.conversation.model_responder import Piece, answer
from agents.speech.engines import Engines
from agents.speech.errors import GrammarError, SpeechError
from agents.speech.ports import Generation, Grammar, Partial
from agents.worker_hearing import Gate, Judgement

log = logging.getLogger(__name__)

MOST_WAITING: Final = 64
"""Sentences of one call that wait for the voice; more were never allowed at once."""
CHUNKS_AT_ONCE: Final = 10
PREPARED_GENERATION: Final = 0


class Owner(Protocol):
    """Who runs the work of a call: the worker."""

    def spawn(self, name: str, work: Awaitable[None]) -> Task: ...

    def grammar(self, flow: Flow, agent: str, step: str) -> Grammar: ...


class Task(Protocol):
    """Work that can be called off."""

    def cancel(self) -> Any: ...


@dataclass(slots=True)
class _Ear:
    leg: str
    tap: int
    gate: Gate
    judgement: Judgement
    turn: int = 0
    task: Task | None = None


@dataclass(slots=True)
class _Sentence:
    generation: int
    utterance: str
    text: str
    prepared: bool = False
    begun: bool = False


@dataclass(slots=True)
class WorkerCall:
    """The session of one call with one media node; `send` never blocks."""

    opened: OpenCall
    flow: Flow
    engines: Engines
    owner: Owner
    send: Callable[[FromWorker], None]
    ears: dict[str, _Ear] = field(default_factory=dict)
    _waiting: deque[_Sentence] = field(default_factory=deque)
    _speaking: _Sentence | None = None
    _speech: Generation | None = None
    _voice_task: Task | None = None
    _think_task: Task | None = None
    _cancelled: int = 0
    _spoken: int = 0

    @property
    def call(self) -> str:
        return self.opened.call

    def handle(self, message: ToWorker | FromWorker) -> None:
        """What does not concern an open call is ignored."""
        match message:
            case Think() | Say() | Prepare() | Cancel():
                self._asked(message)
            case ListenTo():
                self._listen(message)
            case Unlisten(leg=leg):
                self._unlisten(leg)
            case Expect():
                self._expect(message)
            case FinishTurn():
                self._finish_turn(message)
            case Judge(leg=leg, onset=onset) if leg in self.ears:
                self.ears[leg].judgement.begin(onset)
            case _:
                pass

    def _asked(self, message: Think | Say | Prepare | Cancel) -> None:
        match message:
            case Think():
                self._think(message)
            case Say(generation=generation) if generation > self._cancelled:
                self._speak(_Sentence(generation, message.utterance, message.text))
            case Prepare(text=text):
                self._speak(_Sentence(PREPARED_GENERATION, "", text, prepared=True))
            case Cancel(generation=generation):
                self._cancel(generation)
            case Say():
                pass  # of an answer that is not wanted any more

    def frame(self, leg: str, number: int, pcm: NDArray[np.int16], *, speech: bool) -> None:
        """One frame of a leg this call listens to."""
        ear = self.ears[leg]
        judged = ear.judgement.frame(pcm, speech=speech)
        if judged is not None:
            self.send(Judged(self.call, leg, *judged))
        ear.gate.frame(number, pcm.tobytes(), speech=speech)

    async def close(self) -> None:
        """Frees decoders and stops all work of the call."""
        for task in (self._voice_task, self._think_task):
            if task is not None:
                task.cancel()
        if self._speech is not None and self.engines.tts is not None:
            self.engines.tts.cancel(self._speech)
        for leg in list(self.ears):
            self._unlisten(leg)

    # ------------------------------------------------------------------------------------------------------- hearing

    def _listen(self, message: ListenTo) -> None:
        self._unlisten(message.leg)
        ear = _Ear(message.leg, message.tap, Gate(), Judgement(message.rate_hz))
        self.ears[message.leg] = ear
        if self.engines.stt is not None:
            ear.task = self.owner.spawn("hear", self._hear(ear, message.rate_hz))

    def _unlisten(self, leg: str) -> None:
        ear = self.ears.pop(leg, None)
        if ear is not None and ear.task is not None:
            ear.task.cancel()

    def _expect(self, message: Expect) -> None:
        ear = self.ears.get(message.leg)
        if ear is None:
            return
        ear.turn = message.turn
        try:
            grammar = self.owner.grammar(self.flow, self.opened.agent, message.step)
        except GrammarError:
            log.warning("grammar_failed", extra={"call_id": self.call, "step": message.step})
            return
        ear.gate.expect(message.turn, grammar)

    def _finish_turn(self, message: FinishTurn) -> None:
        ear = self.ears.get(message.leg)
        if ear is None or ear.turn != message.turn or not ear.gate.finish():
            self.send(FinalHeard(self.call, message.leg, message.turn, "", 0.0, "no_recogniser"))

    async def _hear(self, ear: _Ear, rate_hz: int) -> None:
        """Results of one leg until it is given up; a lost turn is told, and the next one is heard."""
        if self.engines.stt is None:
            return
        try:
            expected = self.owner.grammar(self.flow, self.opened.agent, "")
            session = await self.engines.stt.open(f"{self.call}/{ear.leg}", rate_hz, expected)
        except SpeechError as error:
            log.warning("recogniser_missing", extra={"call_id": self.call, "reason": error.reason})
            return
        ear.gate.connect(session)
        try:
            while True:
                try:
                    async for result in session.results():
                        if isinstance(result, Partial):
                            told: FromWorker = PartialHeard(
                                self.call, ear.leg, result.turn, result.text
                            )
                        else:
                            told = FinalHeard(
                                self.call, ear.leg, result.turn, result.text, result.confidence
                            )
                        self.send(told)
                    return
                except SpeechError as error:
                    lost = FinalHeard(self.call, ear.leg, ear.turn, "", 0.0, error.reason)
                    self.send(lost)
        finally:
            ear.gate.session = None
            await session.close()

    # ------------------------------------------------------------------------------------------------------- thinking

    def _think(self, message: Think) -> None:
        if self._think_task is not None:
            self._think_task.cancel()
            self._think_task = None
        if message.generation <= self._cancelled:
            return
        try:
            situation = Situation.from_json(message.situation)
        except SituationError:
            self.send(Failed(self.call, message.generation, "situation_invalid"))
            return
        self._think_task = self.owner.spawn("think", self._answer(message.generation, situation))

    async def _answer(self, generation: int, situation: Situation) -> None:
        """Proposals as they come, each sent when the next is known, for the last one has to say so."""
        index, held = 0, None
        try:
            async with aclosing(answer(self.flow, situation, self.engines.llm)) as pieces:
                async for piece in pieces:
                    if held is not None:
                        self._propose(generation, index, held, last=False)
                        index += 1
                    held = piece
            self._propose(generation, index, held or Piece(), last=True)
        except (ValueError, KeyError) as error:
            log.warning("answer_failed", exc_info=error, extra={"call_id": self.call})
            self.send(Failed(self.call, generation, "answer_failed"))

    def _propose(self, generation: int, index: int, piece: Piece, *, last: bool) -> None:
        effects: Mapping[str, Any] = piece.effects
        self.send(
            Proposal(self.call, generation, index, piece.text, effects, piece.misunderstood, last)
        )

    # ------------------------------------------------------------------------------------------------------- speaking

    def _speak(self, sentence: _Sentence) -> None:
        if len(self._waiting) >= MOST_WAITING:
            return
        if sentence.prepared:
            self._waiting.append(sentence)
        else:  # what is kept for later waits for what is wanted now
            place = sum(1 for each in self._waiting if not each.prepared)
            self._waiting.insert(place, sentence)
        if self._speaking is None:
            self._speaking = self._waiting.popleft()
            self._voice_task = self.owner.spawn("speak", self._speak_all())

    def _cancel(self, generation: int) -> None:
        self._cancelled = max(self._cancelled, generation)
        self._waiting = deque(s for s in self._waiting if s.prepared or s.generation > generation)
        now, tts = self._speaking, self.engines.tts
        stale = now is not None and not now.prepared and now.generation <= generation
        if stale and self._speech is not None and tts is not None:
            tts.cancel(self._speech)

    async def _speak_all(self) -> None:
        try:
            while self._speaking is not None:
                await self._speak_one(self._speaking)
                self._speaking = self._waiting.popleft() if self._waiting else None
        finally:
            self._speaking = None

    async def _speak_one(self, sentence: _Sentence) -> None:
        chunks: list[bytes] = []
        tts = self.engines.tts
        self._spoken += 1
        self._speech = speech = Generation(self.call, self._spoken)
        try:
            if tts is not None:
                rate_hz = self.opened.rate_hz
                stream = tts.synthesize(sentence.text, self.flow.voice, rate_hz, speech)
                async for chunk in stream:
                    chunks.append(chunk.pcm)
                    enough = len(chunks) >= CHUNKS_AT_ONCE or not sentence.begun
                    if enough and not sentence.prepared:
                        self._send_audio(sentence, chunks, last=False)
        except SpeechError as error:
            log.warning("sentence_not_spoken", extra={"call_id": self.call, "reason": error.reason})
        if sentence.prepared:
            self.send(Prepared(self.call, sentence.text, b"".join(chunks)))
        elif sentence.generation > self._cancelled:
            self._send_audio(sentence, chunks, last=True)

    def _send_audio(self, sentence: _Sentence, chunks: list[bytes], *, last: bool) -> None:
        sentence.begun = True
        pcm = b"".join(chunks)
        chunks.clear()
        self.send(Audio(self.call, sentence.generation, sentence.utterance, last, pcm))
