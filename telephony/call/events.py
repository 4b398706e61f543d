"""Facts of a call, in the past tense: the only thing the log holds and the only source of its state.

Nothing here decides or acts. `PII` marks fields whose value is speech or personal data: the log's adapters encrypt
them at rest, presenters mask them, and no log line carries them. Times named `_s` are seconds since the call
started, on the monotonic clock; wall time is stamped once, by the log (`Recorded`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from telephony.call.ids import CALLER, CallId, LegId, TurnId, UserName, UtteranceId
from telephony.call.marks import LATER, PII
from telephony.call.transfer_events import (
    AnswererJudged,
    FloorGiven,
    LegReplaced,
    LegRinging,
    TransferEnded,
    TransferProgressed,
    TransferRequested,
    TrunkMeasured,
)
from telephony.values import value

Role = Literal["caller", "agent", "supervisor", "target"]
Transport = Literal["sip", "webrtc", "loopback"]


@value(frozen=True, slots=True)
class AgentRef:
    """A published agent version: immutable, so the log needs only its name."""

    agent: str
    version: int


@value(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """A call reached us (`inbound`) or was placed by us (`outbound`).

    `persons_first`: people are rung for it, and its agent answers only if none of them does.
    """

    direction: Literal["inbound", "outbound"]
    transport: Transport
    called: str = field(metadata=PII)
    caller: str = field(metadata=PII)
    agent: AgentRef | None
    variables: Mapping[str, str] = field(default_factory=dict, metadata=PII)
    persons_first: bool = field(default=False, metadata=LATER)


@value(frozen=True, slots=True, kw_only=True)
class LegAdded:
    """A leg was attached; it does not carry audio yet. `replaces`: whose place it takes once it does."""

    leg: LegId
    role: Role
    transport: Transport
    who: UserName | None = None
    replaces: LegId | None = field(default=None, metadata=LATER)


@value(frozen=True, slots=True, kw_only=True)
class LegConnected:
    """The leg carries audio: the call was answered, ICE and DTLS are through, or a lost leg is back."""

    leg: LegId
    codec: str
    resumed: bool = False


@value(frozen=True, slots=True, kw_only=True)
class LegLost:
    """The leg's transport is gone; it may come back until the resume time is over."""

    leg: LegId
    reason: str


@value(frozen=True, slots=True, kw_only=True)
class LegRemoved:
    """The leg left for good."""

    leg: LegId
    reason: str


@value(frozen=True, slots=True, kw_only=True)
class CallHeld:
    """The caller put us on hold (RFC 3264 8.4), or another leg its side of the call."""

    leg: LegId


@value(frozen=True, slots=True, kw_only=True)
class CallResumed:
    """The hold ended."""

    leg: LegId


@value(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The call is over; nothing but administrative facts may follow."""

    cause: str
    by: Literal["caller", "agent", "supervisor", "system", "target"]
    who: UserName | None = None


@value(frozen=True, slots=True, kw_only=True)
class ListenStarted:
    """A supervisor hears the call; recorded before the first frame reaches the leg."""

    leg: LegId
    who: UserName


@value(frozen=True, slots=True, kw_only=True)
class ListenStopped:
    """The supervisor no longer hears the call."""

    leg: LegId
    who: UserName


@value(frozen=True, slots=True, kw_only=True)
class FloorTaken:
    """A supervisor speaks to the caller; the agent is silent and goes on transcribing.

    `taken_from`: the colleague who lost the floor by it, against `force_reason`.
    """

    leg: LegId
    who: UserName
    taken_from: UserName | None = None
    force_reason: str = ""


@value(frozen=True, slots=True, kw_only=True)
class FloorReturned:
    """The agent has the floor again, knowing all that was said. `brief`: what the supervisor asks of it."""

    who: UserName | None
    reason: str
    brief: str = field(default="", metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class PersonRequested:
    """The caller asked for a person, or a rule did; the desk shows it until somebody takes the call."""

    reason: str


@value(frozen=True, slots=True, kw_only=True)
class AgentAttached:
    """A brain answers for the agent leg: at the start, after a failure, or on another worker."""

    agent: AgentRef
    worker: str


@value(frozen=True, slots=True, kw_only=True)
class AgentFailed:
    """The brain died, stalled or misbehaved; the call stays up and the fallback speaks."""

    reason: str


@value(frozen=True, slots=True, kw_only=True)
class SegmentHeard:
    """Somebody said something, as far as speech recognition understood it (final, not partial)."""

    leg: LegId
    role: Role
    turn: TurnId | None
    text: str = field(metadata=PII)
    start_s: float
    end_s: float
    pause_before_s: float
    overlap_s: float = 0.0
    confidence: float | None = None


@value(frozen=True, slots=True, kw_only=True)
class UtteranceStarted:
    """The governor let a sentence pass and its first frame was queued for playout.

    `heard_by`: the caller, or the target of a transfer whom the agent speaks to first.
    """

    utterance: UtteranceId
    turn: TurnId | None
    text: str = field(metadata=PII)
    step: str
    start_s: float
    heard_by: LegId = field(default=CALLER, metadata=LATER)


@value(frozen=True, slots=True, kw_only=True)
class UtteranceEnded:
    """What of the sentence was heard, by playout's report. Only this enters the agent's context."""

    utterance: UtteranceId
    heard: str = field(metadata=PII)
    complete: bool
    end_s: float
    evidence: Literal["samples_sent", "playout_report"] = "samples_sent"


@value(frozen=True, slots=True, kw_only=True)
class BargedIn:
    """The caller spoke over the agent and meant it: playout was flushed."""

    utterance: UtteranceId
    at_s: float
    duck_ms: float | None
    stop_ms: float | None


@value(frozen=True, slots=True, kw_only=True)
class StepEntered:
    """The flow moved; the governor allowed it."""

    step: str
    previous: str | None
    because: str


@value(frozen=True, slots=True, kw_only=True)
class SlotFilled:
    """A value the flow asked for; `value` None forgets it."""

    name: str
    value: str | None = field(metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class Misunderstood:
    """Speech was there and nothing fitting was recognised."""

    turn: TurnId
    times: int


@value(frozen=True, slots=True, kw_only=True)
class RuleRefused:
    """The governor stopped a sentence, a step change or a tool."""

    rule: str
    what: Literal["sentence", "step", "tool"]
    detail: str = field(metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class ToolRequested:
    """The intent of a side effect, recorded before it happens."""

    run: str
    tool: str
    arguments: Mapping[str, str] = field(metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """The outcome of a tool run."""

    run: str
    ok: bool
    result: str = field(metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class TurnTimed:
    """Where the time of an answer went, in ms after the caller's last voiced sample; None: not reached.

    `endpoint_ms` end of turn decided, `stt_final_ms`, `first_sentence_ms` responder, `first_audio_ms` TTS,
    `first_packet_ms` first agent frame handed to the network.
    """

    turn: TurnId
    endpoint_ms: float
    stt_final_ms: float | None
    first_sentence_ms: float | None
    first_audio_ms: float | None
    first_packet_ms: float | None


@value(frozen=True, slots=True, kw_only=True)
class DigitReceived:
    """One DTMF key press (RFC 4733 or INFO)."""

    leg: LegId
    digit: str = field(metadata=PII)


@value(frozen=True, slots=True, kw_only=True)
class MediaTroubled:
    """Audio of a leg is not as it should be, told once at its onset; `ok`: nothing is wrong any more.

    `lost`: nothing for so long that the call is given up; `gap`: a hole of over 60 ms; `garbled`: not what was
    negotiated; `one_way`: we send and nothing comes back; `silent`: packets without any sound; `clipping`: overdriven;
    `poor`: MOS below 3.5 or a burst of loss. `detail` is for people and holds no personal data.
    """

    leg: LegId
    kind: Literal["lost", "gap", "garbled", "one_way", "silent", "clipping", "poor", "ok"]
    detail: str


@value(frozen=True, slots=True, kw_only=True)
class QualityMeasured:
    """Figures of a leg over the last interval; MOS by the E-model (G.107).

    `remote_loss_pct`: what the peer says it lost of our audio (RTCP); None while it has said nothing.
    """

    leg: LegId
    loss_pct: float
    jitter_ms: float
    rtt_ms: float | None
    mos: float
    remote_loss_pct: float | None = field(default=None, metadata=LATER)


CallEvent = (
    CallStarted
    | LegAdded
    | LegConnected
    | LegLost
    | LegRemoved
    | CallHeld
    | CallResumed
    | CallEnded
    | ListenStarted
    | ListenStopped
    | FloorTaken
    | FloorReturned
    | PersonRequested
    | AgentAttached
    | AgentFailed
    | SegmentHeard
    | UtteranceStarted
    | UtteranceEnded
    | BargedIn
    | StepEntered
    | SlotFilled
    | Misunderstood
    | RuleRefused
    | ToolRequested
    | ToolFinished
    | TurnTimed
    | DigitReceived
    | MediaTroubled
    | QualityMeasured
    | LegRinging
    | LegReplaced
    | FloorGiven
    | TransferRequested
    | TransferProgressed
    | TransferEnded
    | TrunkMeasured
    | AnswererJudged
)


@value(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An event in the log. `seq` counts 1.. per call without gaps; `at_us` is wall time (Unix, microseconds)."""

    call: CallId
    seq: int
    at_us: int
    event: CallEvent
    actor: str
    idempotency_key: str | None = None

    @property
    def kind(self) -> str:
        return type(self.event).__name__


Body = Mapping[str, Any]
"""An event as plain JSON values."""
