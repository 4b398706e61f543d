"""A whole call on the manual clock: session, agent pipeline, scripted brain, played-out voice, and a caller's words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from agents.brain import FinalHeard, FinishTurn, PartialHeard
from agents.exchange.prepared import PreparedLines
from agents.exchange.published import PublishedAgent
from agents.pipeline import AgentPipeline
from telephony.call.commands import CallCommand
from telephony.call.events import Recorded, UtteranceEnded
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import DigitPressed, MediaFact, PlayoutMoved, SpeechBegan, SpeechPaused
from telephony.call.state import CallState
from tests.fakes.brain import FakeAgentMedia, ScriptedBrain
from tests.fakes.calls import CONNECT, START, CallBench

RECEPTIONIST = json.loads(
    (Path(__file__).parents[2] / "agents/fixtures/receptionist.json").read_text()
)
TICK_S = 0.02


class Talk:
    """Drives one call. Time passes only in `wait`, in ticks of 20 ms."""

    def __init__(
        self, definition: Any = RECEPTIONIST, *, lines: PreparedLines | None = None
    ) -> None:
        self.bench = CallBench()
        self.brain = ScriptedBrain()
        self.media = FakeAgentMedia(self._playout)
        self.session = self.bench.session
        agent = PublishedAgent.read(definition)
        self.pipeline = AgentPipeline(
            self.session, self.media, agent, self.brain, lines or PreparedLines()
        )
        self.session.join(self.pipeline)
        self._moved: list[PlayoutMoved] = []

    def _playout(self, fact: PlayoutMoved) -> None:
        self._moved.append(fact)

    @property
    def state(self) -> CallState:
        return self.session.state

    async def begin(self) -> Talk:
        self.session.start()
        self.brain.attach()
        await self.do(START, CONNECT)
        return self

    async def do(self, *commands: CallCommand) -> None:
        for command in commands:
            await self.session.submit(command)
        await self.settle()

    async def settle(self) -> None:
        """Everything that follows from what has happened so far, without time passing."""
        quiet = 0
        while quiet < 3:
            quiet = 0 if self.brain.inbox or self._moved else quiet + 1
            self.brain.work()
            moved, self._moved = self._moved, []
            for fact in moved:
                self.session.media(fact)
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(turn.set_result, None)
            await turn

    async def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.media.play_on(TICK_S)
            self.bench.clock.advance(TICK_S)
            await self.settle()

    async def until_quiet(self) -> None:
        for _ in range(100):
            if not self.media.queue:
                return
            await self.wait(0.5)
        raise AssertionError("the agent never stops")

    async def fact(self, fact: MediaFact) -> None:
        self.session.media(fact)
        await self.settle()

    def turn_of(self, leg: LegId = CALLER) -> int:
        """The recogniser's turn that is asked for on the leg."""
        ear = self.pipeline._hearing.ear(leg)
        assert ear is not None
        return ear.turn

    async def says(
        self,
        text: str,
        *,
        leg: LegId = CALLER,
        seconds: float = 1.0,
        ducked: bool = False,
        confidence: float = 0.9,
    ) -> None:
        """Somebody speaks for so long; words come as a partial at the end, then as final words when asked for."""
        await self.begins_to_speak(leg, ducked=ducked)
        await self.wait(seconds)
        if text:
            await self.partial(text, leg=leg)
        await self.stops_to_speak(leg)
        await self.final(text, leg=leg, confidence=confidence)

    async def begins_to_speak(self, leg: LegId = CALLER, *, ducked: bool = False) -> None:
        now_s = self.session.now_s()
        await self.fact(SpeechBegan(leg, now_s, ducked, now_s - 0.06))

    async def stops_to_speak(self, leg: LegId = CALLER) -> None:
        await self.fact(SpeechPaused(leg, self.session.now_s()))

    async def partial(self, text: str, *, leg: LegId = CALLER) -> None:
        self.brain.tell(PartialHeard(self.session.id, leg, self.turn_of(leg), text))
        await self.settle()

    async def final(self, text: str, *, leg: LegId = CALLER, confidence: float = 0.9) -> None:
        """The recogniser answers as soon as it is asked for the final words; 1.5 s at most."""
        turn = self.turn_of(leg)
        for _ in range(75):
            asked = [m for m in self.brain.of(FinishTurn) if (m.leg, m.turn) == (leg, turn)]
            if asked:
                self.brain.tell(FinalHeard(self.session.id, leg, turn, text, confidence))
                await self.settle()
                return
            await self.wait(TICK_S)
        raise AssertionError("the turn never ended")

    async def presses(self, keys: str) -> None:
        for key in keys:
            await self.fact(DigitPressed(CALLER, key))

    async def log(self) -> list[Recorded]:
        return list(await self.bench.log.read(self.session.id))

    async def events(self, kind: type) -> list[Any]:
        return [r.event for r in await self.log() if type(r.event) is kind]

    async def heard_from_agent(self) -> list[str]:
        return [event.heard for event in await self.events(UtteranceEnded)]

    async def close(self) -> None:
        await self.session.abort()
