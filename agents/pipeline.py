"""The way of a spoken sentence through a call: start here.

    packets -> MediaPlane -> AgentMedia ----- frames by tap ----------> worker: recogniser
                  |  SpeechBegan, SpeechPaused, DigitPressed                |  PartialHeard
                  v                                                         v
    1. `on_media`       an ear opens a turn; over the agent's voice `Interruption` gathers evidence
    2. `partial_heard`  partial words: completeness moves the turn's end, content confirms an interruption
    3. `begin_ahead`    120 ms of silence: the answer to the partial is begun, unheard and without effect
    4. `Hearing`        the end of the turn, by `Endpointer`: the recogniser is asked for its final words;
                        a caller who goes on before the answer is heard has the turn again (`Reopening`)
    5. `turn_heard`     final words are logged; an answer begun for the same words is kept, else asked anew
    6. `Reply`          each proposal passes the `Governor`; allowed sentences go to the voice (`Say`)
    7. `Voice`          speech comes back and is queued for playout, once the answer is committed
    8. `on_media`       `PlayoutMoved`: what was heard enters the log, and only that the next context

While a supervisor has the floor the agent only listens, to both. A brain that dies or stalls costs a prepared
sentence; the next one gets the situation out of the log. Nothing here blocks, and no model is called here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agents.brain import (
    Attached,
    Audio,
    Brain,
    Failed,
    FinalHeard,
    Judged,
    Lost,
    OpenCall,
    PartialHeard,
    Prepared,
    Proposal,
    Told,
)
from agents.conversation.context import Cause
from agents.conversation.flow import Flow, Step
from agents.conversation.understanding import completeness
from agents.conversation.words import tokens
from agents.exchange.ear import SHORTEST_TURN_S, Ear, Heard
from agents.exchange.floor import FLOOR_EVENTS, Floor
from agents.exchange.hearing import Hearing
from agents.exchange.interruption import Interruption
from agents.exchange.keys import Keys
from agents.exchange.prepared import PreparedLines
from agents.exchange.published import PublishedAgent, PublishedAgents
from agents.exchange.reopening import Reopening
from agents.exchange.reply import Reply
from agents.exchange.timing import Timing
from agents.exchange.voice import Voice
from agents.turn.barge_in import Words
from agents.turn.endpointing import Completeness
from telephony.call.events import (
    AgentAttached,
    CallEnded,
    CallHeld,
    CallResumed,
    CallStarted,
    LegConnected,
    LegLost,
    LegRemoved,
    Recorded,
    SegmentHeard,
)
from telephony.call.ids import CALLER, LegId, TurnId
from telephony.call.ports import (
    AgentMedia,
    CallAccess,
    CallParticipant,
    DigitPressed,
    MediaFact,
    ParticipantFactory,
    PlayoutMoved,
    SpeechBegan,
    SpeechPaused,
)
from telephony.call.state import CallState, Phase

YES_ANSWERS: Final = ("yes_no", "intents")
TYPED_BY: Final = "widget"
UNSURE_BELOW: Final = 0.25
"""Confidence below which words do not interrupt the agent, and an answer to them has to know of it."""


def participant_factory(brain: Brain, lines: PreparedLines | None = None) -> ParticipantFactory:
    """Makes the agent's part of each call of a node. Raises: FlowError for a definition that cannot be used."""
    shared, agents = lines or PreparedLines(), PublishedAgents()

    def make(call: CallAccess, media: AgentMedia, definition: Mapping[str, Any]) -> CallParticipant:
        return AgentPipeline(call, media, agents.of(definition), brain, shared)

    return make


class AgentPipeline:
    """The AI agent as a participant of one call."""

    def __init__(
        self,
        call: CallAccess,
        media: AgentMedia,
        agent: PublishedAgent,
        brain: Brain,
        lines: PreparedLines,
    ) -> None:
        self._call = call
        self._media = media
        self._definition = agent.definition
        self._flow: Flow = agent.flow
        self._greeted = False
        self._worker = ""
        self._timing: Timing | None = None
        self._line = brain.open(call.state.id, self._told)
        send = self._line.send
        self._voice = Voice(call, media, self._agent_quiet)
        self._reply = Reply(call, media, agent, self._voice, lines, send)
        self._hearing = Hearing(call, media, self, send)
        self._floor = Floor(self, self._hearing, self._reply)
        self._reopening = Reopening(call, self._voice, self._reply)
        self._interruption = Interruption(call, media, self._voice, send, self._barged_in)
        self._keys = Keys(call, lambda keys: self._written("keys", keys))

    @property
    def _may_speak(self) -> bool:
        return self._call.state.agent_has_floor and self._call.state.phase is Phase.ACTIVE

    @property
    def _step(self) -> Step:
        name = self._call.state.conversation.step or self._flow.start
        return self._flow.steps.get(name) or self._flow.steps[self._flow.start]

    # ----------------------------------------------------------------------------------------- 0. events of the call

    def on_event(self, record: Recorded, state: CallState) -> None:
        if isinstance(record.event, FLOOR_EVENTS):
            self._floor.on_event(record.event, state, self._call.now_s())
            return
        match record.event:
            case CallStarted() if self._worker:
                self._attached(self._worker)
            case LegConnected(leg=leg) if leg == CALLER:
                self._caller_connected()
            case LegRemoved(leg=leg):
                self._hearing.unlisten(leg)
            case CallHeld(leg="caller") | LegLost(leg="caller"):
                self.fall_silent()
            case CallResumed() if self._may_speak:
                self._ask("again")
            case SegmentHeard(text=text) if record.actor == TYPED_BY and self._may_speak:
                self._make_way()
                self._written("speech", text)
            case CallEnded():
                self._voice.end()
                self._reply.drop()
            case _:
                pass

    async def close(self) -> None:
        self._voice.end()
        self._line.close()

    def _caller_connected(self) -> None:
        self._hearing.listen(CALLER)
        self.resume("again")

    def fall_silent(self) -> None:
        """At once, and nothing of what was to come."""
        self._stop_speaking()
        self._keys.forget()
        self._call.set_timer("silence", None, self._silent)

    def _stop_speaking(self) -> None:
        self._reply.drop()
        self._voice.flush()
        self._interruption.quiet()

    def resume(self, cause: Cause) -> None:
        if self._may_speak:
            self._ask(cause if self._greeted else "greet")
            self._greeted = True

    # --------------------------------------------------------------------------------------------------- 1. the ears

    def on_media(self, fact: MediaFact) -> None:
        match fact:
            case SpeechBegan():
                self._speech_began(fact)
            case SpeechPaused(leg=leg, last_voiced_s=last_voiced_s):
                if leg == CALLER:
                    self._interruption.paused()
                self._hearing.paused(leg, last_voiced_s)
            case PlayoutMoved():
                self._voice.moved(fact)
                self._first_sample_left()
            case DigitPressed(leg=leg, digit=digit):
                if leg == CALLER and self._may_speak:
                    self._make_way()
                    self._keys.press(digit, self._step.expect)

    def _speech_began(self, fact: SpeechBegan) -> None:
        leg = fact.leg
        over_agent = leg == CALLER and self._voice.sounding and self._hearing.ear(leg) is not None
        if leg == CALLER:
            self._call.set_timer("silence", None, self._silent)
            said = self._reopening.take_back() if self._may_speak else None
            if said is not None:
                over_agent = False
                self._hearing.reopen(said)
            elif over_agent:
                self._interruption.began(fact)
            else:
                self._reply.drop_begun()  # the turn goes on: that was for half of it
        self._hearing.began(leg, fact.at_s, over_agent=over_agent)

    # ---------------------------------------------------------------- 2. partial words, 3. work begun ahead

    def expected(self, leg: LegId) -> str:
        return self._step.name if leg == CALLER and self._call.state.agent_has_floor else ""

    def completeness(self, text: str) -> Completeness:
        return completeness(self._flow, self._step, text, self._reply.today())

    def partial_heard(self, ear: Ear) -> None:
        body = {"leg": ear.leg, "role": ear.role, "turn": self._reply.turn + 1, "text": ear.partial}
        self._call.publish("partial", body)
        if ear.leg == CALLER and self._interruption.pending:
            yes_answers = self._step.expect.kind in YES_ANSWERS
            self._interruption.partial(tokens(ear.partial), answer_expected=yes_answers)

    def begin_ahead(self, ear: Ear, *, now: bool) -> bool:
        begun = self._reply.begun
        ready = self._reply.attached and self._may_speak and not self._voice.busy
        new = begun is None or begun.text != ear.partial
        worth = ready and new and not self._reply.pending
        if worth and now:
            self._reply.ask("speech", ear.partial, committed=False)
        return worth

    # ------------------------------------------------------------- 4. the end of a turn, 5. its final words

    def turn_heard(self, heard: Heard) -> None:
        to_agent = heard.leg == CALLER and self._may_speak
        if not heard.text and (not to_agent or heard.voiced_s < SHORTEST_TURN_S):
            self._noise(heard)
        elif to_agent and self._voice.sounding and not self._meant(heard):
            pass  # a listener's "mm-hm": the agent goes on
        elif to_agent:
            self._answer_turn(heard)
        else:
            self._call.report(heard.segment(None))

    def _noise(self, heard: Heard) -> None:
        """What was begun for it is dropped, and the caller is listened to as before."""
        if heard.leg == CALLER:
            self._reply.drop_begun()
            if not self._voice.busy:
                self._agent_quiet()

    def _answer_turn(self, heard: Heard) -> None:
        self._reply.turn = self._next_turn()
        self._reply.silences = 0
        if heard.own:
            self._call.report(heard.segment(self._reply.turn))
        now_s = self._call.now_s()
        self._timing = Timing(self._reply.turn, heard.end_s, self._hearing.turn_over_s, now_s)
        begun = self._reply.begun
        self._reopening.turn_over(heard.text)
        same = begun is not None and tokens(begun.text) == tokens(heard.text)
        if same and heard.confidence >= UNSURE_BELOW:
            self._reply.commit()
            self._hearing.expect_anew()
        else:
            self._ask("speech", heard.text, confidence=heard.confidence)

    def _next_turn(self) -> TurnId:
        return TurnId(max(self._reply.turn, self._call.state.conversation.turn) + 1)

    def _meant(self, heard: Heard) -> bool:
        """Speech over the agent's voice that was not confirmed while it lasted: its words decide."""
        if not heard.text or self._voice.protected:
            return bool(heard.text)
        words, answer_expected = tokens(heard.text), self._step.expect.kind in YES_ANSWERS
        kind = self._interruption.kind_of(words, answer_expected=answer_expected)
        if kind is not Words.CONTENT or heard.confidence < UNSURE_BELOW:
            return False
        self._barged_in()
        return True

    def _barged_in(self) -> None:
        """The caller means it: silence now, and the turn is theirs."""
        utterance = self._voice.current
        self._stop_speaking()
        self._hearing.agent_stopped_s = self._call.now_s()
        self._interruption.cut(utterance)

    # --------------------------------------------------------------------------------------------------- keys, silence

    def _make_way(self) -> None:
        if self._voice.sounding and not self._voice.protected:
            self._stop_speaking()
        self._call.set_timer("silence", None, self._silent)

    def _written(self, cause: Cause, text: str) -> None:
        """Keys or typed words: a turn that is over, and certain."""
        self._reply.turn = self._next_turn()
        self._reply.silences = 0
        self._hearing.expect(CALLER)
        self._ask(cause, text)

    def _agent_quiet(self) -> None:
        """Nothing of the agent is being heard; it is the caller's turn."""
        self._interruption.quiet()
        self._reply.quiet()
        ear = self._hearing.ear(CALLER)
        idle = self._may_speak and not self._reply.pending and not (ear and ear.open)
        self._call.set_timer("silence", self._flow.limits.silence_s if idle else None, self._silent)

    def _silent(self) -> None:
        if self._may_speak:
            self._reply.silences += 1
            self._ask("silence")

    # ----------------------------------------------------------------------------------------- 6.-8. answers, and times

    def _ask(self, cause: Cause, text: str = "", *, confidence: float = 1.0) -> None:
        limits = self._flow.limits
        if self._reply.turn > limits.turns or self._call.now_s() > limits.minutes * 60:
            cause = "limit"
        self._reply.ask(cause, text, confidence=confidence)
        if not self._reply.attached and cause != "greet":
            self._reply.fallback()

    def _first_sample_left(self) -> None:
        timing, answer, first_s = self._timing, self._reply.answer, self._voice.first_sample_s
        if timing is None or answer is None or first_s is None or answer.cause != "speech":
            return
        self._timing = None
        self._call.report(timing.fact(answer, first_s))

    # ------------------------------------------------------------------------------------------------- what the brain says

    def _told(self, told: Told) -> None:
        match told:
            case PartialHeard():
                self._hearing.partial(told)
            case FinalHeard():
                self._hearing.final(told)
            case Proposal():
                self._proposed(told)
            case Audio():
                self._reply.audio(told)
            case Judged(onset=onset, verdict=verdict):
                self._interruption.judged(onset, verdict)
            case Prepared():
                self._reply.prepared(told)
            case Attached(worker=worker):
                self._attached(worker)
            case Lost(reason=reason):
                self._worker, self._hearing.patient = "", False
                self._call.fail_agent(reason)
                self._reply.lost()
            case Failed() if told.generation == self._reply.generation and self._reply.pending:
                self._call.fail_agent(told.reason)
                self._reply.fallback()
            case _:
                pass

    def _proposed(self, proposal: Proposal) -> None:
        self._reply.proposed(proposal)
        self._hearing.expect_anew()
        if proposal.last and not self._voice.busy and not self._reply.pending:
            self._agent_quiet()  # there was nothing to say

    def _attached(self, worker: str) -> None:
        """A worker may be there before the call has begun: what it is told waits for the beginning."""
        self._worker, state = worker, self._call.state
        if state.agent is None:
            return
        agent = f"{state.agent.agent}@{state.agent.version}"
        self._line.send(OpenCall(state.id, agent, self._media.voice_rate_hz, self._definition))
        self._hearing.patient = True
        self._hearing.again()
        self._call.report(AgentAttached(agent=state.agent, worker=worker))
        self._reply.prepare()
        self._reply.attach()
