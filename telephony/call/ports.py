"""What the call core needs from outside, and what others need of a call. Adapters are bound in voiceapp.bootstrap."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from telephony.call.events import CallEvent, Recorded
from telephony.call.ids import CallId, LegId, UtteranceId
from telephony.call.state import CallState
from telephony.call.transfer_events import AfterTarget, TransferMode
from telephony.values import value


class Clock(Protocol):
    """Time: monotonic for durations, wall for the log's stamp."""

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""

    def wall_us(self) -> int:
        """Unix time in microseconds."""


class TimerHandle(Protocol):
    """A timer that can be taken back."""

    def cancel(self) -> None: ...


class Scheduler(Clock, Protocol):
    """A clock that also calls back; the asyncio loop in production, `ManualClock` in tests."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> TimerHandle: ...


# ------------------------------------------------------------------------------------------------ log and bus


class EventLog(Protocol):
    """Append-only log of calls; `seq` is given by the caller (the session) and never repeated."""

    def append(self, records: Sequence[Recorded]) -> None:
        """Queues the records durably within 20 ms; never blocks the loop. Raises: LogFullError."""

    async def committed(self, call: CallId, seq: int) -> None:
        """Returns when the record is on disk: class A events wait for it before they act."""

    async def read(self, call: CallId, since: int = 0) -> Sequence[Recorded]:
        """Records after `since`, in order."""


@value(frozen=True, slots=True)
class BusMessage:
    """One message of the bus. `cursor`: opaque position to resume after."""

    topic: str
    body: Mapping[str, Any]
    cursor: str = ""


Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class EventBus(Protocol):
    """The nodes, as other processes see them: topics without loss within the ring's size, and requests.

    Topics: `event` (a `Recorded` as JSON with its call's row), `partial`, `level`, `node`. Bodies are plain JSON.
    """

    def subscribe(self, since: str | None = None) -> AsyncIterator[BusMessage]:
        """Messages after `since` (None: from now on); `topic` = `gap` where some are no longer held.

        Reconnects by itself; ends with the iterator (`aclose`).
        """

    async def request(
        self, node: str, name: str, args: Mapping[str, Any], timeout_s: float = 5.0
    ) -> Mapping[str, Any]:
        """Raises: RequestError (typed refusal: `code`, `text`), NodeUnreachableError, TimeoutError."""


class NodeBus(Protocol):
    """The bus as its node sees it."""

    @property
    def cursor(self) -> str:
        """Position after the last message that was published."""

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """Never blocks; a subscriber who is too slow sees `gap`."""

    def serve(self, name: str, handler: Handler) -> None:
        """Answers requests of this name. A `CallError` raised is the typed refusal."""


# --------------------------------------------------------------------------- what takes part in a call, and its media


@value(frozen=True, slots=True)
class SpeechBegan:
    """Voice activity on a leg (stage 1), in seconds since the call started.

    `at_s`: when it was certain; `ducked`: the plane ducked the agent at that moment. `voiced_s`: when the first of the
    frames began that made it certain.
    """

    leg: LegId
    at_s: float
    ducked: bool
    voiced_s: float


@value(frozen=True, slots=True)
class SpeechPaused:
    """The leg is silent. `last_voiced_s` is dated by level, not by the detector's hang-over."""

    leg: LegId
    last_voiced_s: float


@value(frozen=True, slots=True)
class PlayoutMoved:
    """Samples of an utterance that left for the caller; `done` all of it, `flushed` cut."""

    utterance: UtteranceId
    samples_sent: int
    done: bool
    flushed: bool


@value(frozen=True, slots=True)
class DigitPressed:
    """One key press on a leg."""

    leg: LegId
    digit: str


MediaFact = SpeechBegan | SpeechPaused | PlayoutMoved | DigitPressed


@value(frozen=True, slots=True)
class Tap:
    """A leg's audio on its way to the brain: the number that marks its frames, and their rate (8000 or 16000)."""

    number: int
    rate_hz: int


class VoiceVerb(StrEnum):
    """What can be done to the agent's voice."""

    DUCK = "duck"
    PAUSE = "pause"
    RESUME = "resume"
    FLUSH = "flush"


class AgentMedia(Protocol):
    """The agent's ears and voice in one call. Never blocks; effects within one sub-tick (5 ms)."""

    @property
    def voice_rate_hz(self) -> int: ...

    def listen(self, leg: LegId) -> Tap | None:
        """Frames of this leg go to the brain from now on; None if the leg has no audio yet."""

    def play(self, utterance: UtteranceId, pcm: bytes, *, last: bool) -> None:
        """int16 little-endian mono at `voice_rate_hz`; `last` closes the utterance (pcm may be empty)."""

    def voice(self, verb: VoiceVerb) -> None:
        """Duck, pause, resume (from the exact sample), flush (all queued utterances)."""


@value(frozen=True, slots=True, kw_only=True)
class CallerTransfer:
    """Where an agent wants its caller to be put through; fields as in `TransferRequested`."""

    name: str
    destination: str
    mode: TransferMode = "blind"
    then: AfterTarget = "return"
    brief: str = ""
    agent_stays: bool = True


class CallAccess(Protocol):
    """What a participant may do to its call: the session implements it."""

    @property
    def state(self) -> CallState: ...

    def now_s(self) -> float:
        """Seconds since the call started."""

    def report(self, *events: CallEvent) -> bool:
        """Facts of the conversation; False if the session refused them (the call moved on meanwhile)."""

    def request_end(self, cause: str) -> None:
        """The agent ends the call after what it is saying."""

    def request_transfer(self, wish: CallerTransfer) -> None:
        """The agent wants the caller put through; what becomes of it is told by the events."""

    def complete_transfer(self) -> None:
        """The agent has spoken with the other side: caller and target shall speak."""

    def fail_agent(self, reason: str) -> None:
        """The brain is gone; repeated calls are harmless."""

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        """Lossy, never logged: partial transcripts, levels. `call` is added."""

    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None:
        """One timer per name, owned by the call; None cancels it. All end with the call."""

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A task owned by the call; a failure becomes `FailAgent`."""


class CallParticipant(Protocol):
    """Something that takes part in a call beside people: the AI agent. Methods must return at once."""

    def on_event(self, record: Recorded, state: CallState) -> None:
        """After each event, in order; `state` is the state after it."""

    def on_media(self, fact: MediaFact) -> None: ...

    async def close(self) -> None:
        """The call ended; returns when nothing of the participant runs any more."""


ParticipantFactory = Callable[[CallAccess, AgentMedia, Mapping[str, Any]], CallParticipant]
"""(call, media, agent definition as JSON) -> participant. The definition travels in the gateway's snapshot."""


# ------------------------------------------------------------------------------------------- what legs give a call


class LegControl(Protocol):
    """A leg as its session sees it."""

    def answer(self) -> None:
        """Accepts the caller (200 OK); no effect on legs that are answered by signalling of their own."""

    def ring(self, *, early_media: bool) -> None:
        """Tells a caller who is not answered yet that somebody is rung; `early_media`: and lets them hear it."""

    def become(self, leg: LegId) -> None:
        """The leg goes on under this name: it took the place of another."""

    def close(self, cause: str) -> None:
        """Ends the transport (BYE, closed peer connection). Idempotent."""


@value(frozen=True, slots=True)
class Route:
    """`source` is heard on `destination` with `gain` (1.0 = as it is)."""

    source: LegId
    destination: LegId
    gain: float = 1.0


class CallAudio(Protocol):
    """The audio of one call: legs carry it out."""

    def route(self, routes: Sequence[Route], *, flush_agent: bool) -> None:
        """Replaces all edges of the call in one sub-tick. Sources may be `RINGBACK` and `COMFORT`."""

    def rename(self, leg: LegId, to: LegId) -> None:
        """The audio of `leg` is that of `to` from now on; what `to` had before is given back."""
