"""A brain that answers by the flow, when the test lets it, and a voice whose playout the clock moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agents.brain import (
    Attached,
    Audio,
    Lost,
    OpenCall,
    Prepare,
    Prepared,
    Proposal,
    Say,
    Think,
    Told,
    ToWorker,
)
from agents.conversation.context import Situation
from agents.conversation.flow import Flow, parse_definition
from agents.conversation.responder import respond
from telephony.call.ids import CallId, LegId, UtteranceId
from telephony.call.ports import PlayoutMoved, Tap, VoiceVerb

RATE_HZ = 8000
CHARACTERS_PER_SECOND = 14


def speech(text: str) -> bytes:
    """Stands for the audio of a text: as long as the text."""
    return b"\1\0" * round(len(text) / CHARACTERS_PER_SECOND * RATE_HZ)


@dataclass
class ScriptedBrain:
    """`Brain` and its one `BrainLine`. `thinks`, `speaks`: whether it does so by itself."""

    thinks: bool = True
    speaks: bool = True
    sent: list[ToWorker] = field(default_factory=list)
    closed: int = 0
    propose: Callable[[Flow, Think], list[Proposal]] | None = None

    def open(self, call: CallId, tell: Callable[[Told], None]) -> ScriptedBrain:
        self.tell = tell
        return self

    def close(self) -> None:
        self.closed += 1

    def send(self, message: ToWorker) -> None:
        self.sent.append(message)
        self.inbox.append(message)

    def __post_init__(self) -> None:
        self.inbox: deque[ToWorker] = deque()
        self.flow: Flow | None = None

    def attach(self, worker: str = "worker1") -> None:
        self.tell(Attached(worker))
        self.work()

    def die(self) -> None:
        self.inbox.clear()
        self.tell(Lost("worker_died"))

    def work(self) -> None:
        """Does all that was asked of it."""
        while self.inbox:
            message = self.inbox.popleft()
            match message:
                case OpenCall(definition=definition):
                    self.flow = parse_definition(definition)
                case Think() if self.thinks and self.flow is not None:
                    for proposal in (self.propose or by_flow)(self.flow, message):
                        self.tell(proposal)
                case Say() if self.speaks:
                    self.say(message)
                case Prepare(call=call, text=text):
                    self.tell(Prepared(call, text, speech(text)))
                case _:
                    pass

    def say(self, message: Say) -> None:
        pcm = speech(message.text)
        self.tell(Audio(message.call, message.generation, message.utterance, False, pcm))
        self.tell(Audio(message.call, message.generation, message.utterance, True))

    def of(self, kind: type) -> list[Any]:
        """Messages of this class that were sent."""
        return [message for message in self.sent if type(message) is kind]


def by_flow(flow: Flow, think: Think) -> list[Proposal]:
    reply = respond(flow, Situation.from_json(think.situation))
    effects = {"fills": dict(reply.fills), "step": reply.step, "ending": reply.ending}
    texts = reply.sentences or ("",)
    return [
        Proposal(
            think.call,
            think.generation,
            index,
            text,
            effects if index == 0 else {},
            reply.misunderstood and index == 0,
            index == len(texts) - 1,
        )
        for index, text in enumerate(texts)
    ]


@dataclass
class FakeAgentMedia:
    """`AgentMedia`: one queue at `RATE_HZ`; `play_on` lets time pass."""

    report: Callable[[PlayoutMoved], None]
    queue: list[list[Any]] = field(default_factory=list)
    verbs: list[VoiceVerb] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    paused: bool = False
    voice_rate_hz: int = RATE_HZ

    def listen(self, leg: LegId) -> Tap | None:
        return Tap(abs(hash(leg)) % 1000, 8000)

    def play(self, utterance: UtteranceId, pcm: bytes, *, last: bool) -> None:
        entry = next((each for each in self.queue if each[0] == utterance), None)
        if entry is None:
            entry = [utterance, 0, 0, False]
            self.queue.append(entry)
        entry[1] += len(pcm) // 2
        entry[3] = last

    def voice(self, verb: VoiceVerb) -> None:
        self.verbs.append(verb)
        self.paused = verb is VoiceVerb.PAUSE
        if verb is VoiceVerb.FLUSH:
            queue, self.queue = self.queue, []
            for utterance, _, sent, _ in queue:
                if sent:
                    self.report(PlayoutMoved(utterance, sent, done=False, flushed=True))

    @property
    def sounding(self) -> bool:
        return bool(self.queue) and not self.paused

    def play_on(self, seconds: float) -> None:
        samples = round(seconds * RATE_HZ)
        while samples > 0 and self.sounding:
            entry = self.queue[0]
            step = min(samples, entry[1] - entry[2])
            entry[2] += step
            samples -= step
            if entry[2] < entry[1] or not entry[3]:
                self.report(PlayoutMoved(entry[0], entry[2], done=False, flushed=False))
                return
            self.queue.pop(0)
            self.report(PlayoutMoved(entry[0], entry[2], done=True, flushed=False))
