"""The answers of one call: asked of the brain, governed, spoken; with a word of patience when it is slow or gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final, Literal

from agents.brain import Audio, Cancel, Prepare, Prepared, Proposal, Say, Think, ToWorker
from agents.conversation.context import Cause, situation_of
from agents.conversation.endings import Destination, target_of
from agents.conversation.rendering import Renderer
from agents.exchange.answer import Answer, Governor, Verdict
from agents.exchange.prepared import PreparedLines
from agents.exchange.published import PublishedAgent
from agents.exchange.voice import Utterance, Voice
from telephony.call.events import (
    CallEvent,
    Misunderstood,
    PersonRequested,
    RuleRefused,
    SlotFilled,
    StepEntered,
)
from telephony.call.ids import CALLER, LegId, TurnId, UtteranceId
from telephony.call.ports import AgentMedia, CallAccess, CallerTransfer

FILLER_S: Final = 1.2
FALLBACK_S: Final = 3.5
FALLBACK_AGAIN_S: Final = 6.0
"""So long a caller waits for another word while no brain is there."""
INTRODUCE_S: Final = 15.0
"""So long the agent may take to say whom it has; then they are put through all the same."""
_INTRODUCED: Final = "introduced"
_WHAT: Final[Mapping[str, Literal["sentence", "step", "tool"]]] = {
    "step": "step",
    "slot": "tool",
    "ending": "tool",
}
"""What the rules that are not about sentences guard."""


class Reply:
    """One answer at a time; `generation` rises with each, and what belongs to an older one is dropped."""

    def __init__(
        self,
        call: CallAccess,
        media: AgentMedia,
        agent: PublishedAgent,
        voice: Voice,
        lines: PreparedLines,
        send: Callable[[ToWorker], None],
    ) -> None:
        self._call = call
        self._media = media
        self._agent = agent
        self._flow = agent.flow
        self._voice = voice
        self._lines = lines
        self._send = send
        self._governor = Governor(agent)
        self._recorded: dict[str, bytes] = {}
        self._said_fallback_s: float | None = None
        self.attached = False
        self.generation = 0
        self.answer: Answer | None = None
        self.turn = TurnId(0)
        self.silences = 0
        self.taken_at_s: float | None = None

    @property
    def pending(self) -> bool:
        """An answer is owed to the caller and is not whole."""
        return self.answer is not None and self.answer.committed and not self.answer.complete

    @property
    def begun(self) -> Answer | None:
        """An answer that was begun ahead of the end of the turn."""
        answer = self.answer
        return None if answer is None or answer.committed else answer

    def drop_begun(self) -> None:
        if self.begun is not None:
            self.drop()

    def today(self) -> date:
        """The date where the agent is, now."""
        return self._now().date()

    def _now(self) -> datetime:
        seconds = self._call.state.started_us / 1e6 + self._call.now_s()
        return datetime.fromtimestamp(seconds, self._flow.zone)

    # -------------------------------------------------------------------------------------------------------- asking

    def ask(
        self, cause: Cause, text: str = "", *, confidence: float = 1.0, committed: bool = True
    ) -> None:
        """Asks for an answer; one that was being made is dropped."""
        self.drop()
        self.generation += 1
        now_s = self._call.now_s()
        self.answer = Answer(self.generation, cause, text, now_s, committed)
        self._voice.first_sample_s = None
        self._voice.timed_generation = self.generation
        self._voice.cut_short = False
        situation = situation_of(
            self._call.state,
            cause,
            self._now(),
            text=text,
            confidence=confidence,
            silences=self.silences,
            taken_at_s=self.taken_at_s if cause == "back" else None,
        )
        self._send(Think(self._call.state.id, self.generation, situation.to_json()))
        if committed:
            self._be_patient()

    def drop(self) -> None:
        """Nothing of the answer at hand is wanted any more; what is being heard goes on."""
        if self.answer is None:
            return
        self._send(Cancel(self._call.state.id, self.answer.generation))
        self._voice.cancel(self.answer.generation)
        self.answer = None
        self._stop_waiting()

    def commit(self) -> None:
        """The turn is over and was what the answer was begun for: it may be heard and have effects."""
        answer = self.answer
        if answer is None or answer.committed:
            return
        answer.committed = True
        self._be_patient()
        waiting, answer.waiting = answer.waiting, []
        for verdict in waiting:
            self._take_effect(answer, verdict)
        self._voice.release(answer.generation)
        self._finish(answer)

    # ------------------------------------------------------------------------------------------------- what comes back

    def proposed(self, proposal: Proposal) -> None:
        """A piece of the answer; a repeated, late or foreign one changes nothing."""
        answer = self.answer
        if answer is None or proposal.generation != answer.generation:
            return
        if proposal.index != answer.expected or answer.complete:
            return
        answer.expected += 1
        talk = self._call.state.conversation
        verdict = self._governor.judge(answer, proposal, talk, self.today())
        answer.refused = answer.refused or bool(verdict.refusals)
        answer.misunderstood = answer.misunderstood or proposal.misunderstood
        answer.complete = proposal.last
        if answer.sentence_s is None:
            answer.sentence_s = self._call.now_s()
        if answer.committed:
            self._take_effect(answer, verdict)
        else:
            answer.waiting.append(verdict)
        for sentence in verdict.sentences:
            self._say(answer, sentence)
        self._finish(answer)

    def _say(self, answer: Answer, text: str, heard_by: LegId = CALLER) -> None:
        answer.utterances += 1
        name = f"{self.turn}.{answer.generation}.{answer.utterances}"
        utterance = Utterance(
            UtteranceId(name),
            text,
            answer.generation,
            self.turn or None,
            self._call.state.conversation.step or self._flow.start,
            protected=text in self._flow.must_say,
            held=not answer.committed,
            heard_by=heard_by,
        )
        self._voice.begin(utterance)
        ready = self._lines.get(self._flow.voice, self._media.voice_rate_hz, text)
        if ready is not None:
            answer.audio_s = answer.audio_s or self._call.now_s()
            self._voice.audio(name, ready, last=True)
        else:
            self._send(Say(self._call.state.id, answer.generation, name, text))

    def audio(self, audio: Audio) -> None:
        """Speech of a sentence. Sentences that never change are kept for the next call."""
        text = self._voice.text_of(audio.utterance)
        if text is None:
            return
        answer = self.answer
        if answer is not None and audio.generation == answer.generation and audio.pcm:
            answer.audio_s = answer.audio_s or self._call.now_s()
        if text in self._agent.rules.unchanging:
            whole = self._recorded.pop(audio.utterance, b"") + audio.pcm
            if not audio.last:
                self._recorded[audio.utterance] = whole
            elif whole:
                self._lines.put(self._flow.voice, self._media.voice_rate_hz, text, whole)
        self._voice.audio(audio.utterance, audio.pcm, last=audio.last)
        self._stop_waiting_if_heard()

    def prepared(self, prepared: Prepared) -> None:
        if prepared.pcm and prepared.text in self._agent.emergency_lines:
            self._lines.put(
                self._flow.voice, self._media.voice_rate_hz, prepared.text, prepared.pcm
            )

    def prepare(self) -> None:
        """Asks for the audio of what must be there when it is needed."""
        for text in self._agent.emergency_lines:
            if self._lines.get(self._flow.voice, self._media.voice_rate_hz, text) is None:
                self._send(Prepare(self._call.state.id, text))

    # ---------------------------------------------------------------------------------------------------------- effects

    def _take_effect(self, answer: Answer, verdict: Verdict) -> None:
        for refusal in verdict.refusals:
            what = _WHAT.get(refusal.rule, "sentence")
            self._call.report(RuleRefused(rule=refusal.rule, what=what, detail=refusal.detail))
        talk = self._call.state.conversation
        effects = verdict.effects
        facts: list[CallEvent] = [SlotFilled(name=k, value=v) for k, v in effects.fills.items()]
        if effects.step:
            facts.append(StepEntered(step=effects.step, previous=talk.step, because=answer.cause))
        if answer.misunderstood and not effects.step:
            facts.append(Misunderstood(turn=self.turn, times=talk.misunderstood + 1))
            answer.misunderstood = False
        if effects.ending == "person":
            facts.append(PersonRequested(reason="caller_asked"))
        answer.ending = answer.ending or effects.ending
        if facts:
            self._call.report(*facts)

    def _finish(self, answer: Answer) -> None:
        if answer.complete and answer.committed:
            self._stop_waiting_if_heard()
            if not self._voice.busy:
                self._conclude(answer)

    def quiet(self) -> None:
        """The voice is silent: an answer that ends the call, or puts it through, has been heard."""
        if self.answer is not None and not self.pending:
            self._conclude(self.answer)

    def _conclude(self, answer: Answer) -> None:
        target = target_of(answer.ending, self._flow.transfers)
        if answer.ending == "end":
            self._call.request_end("agent_finished")
        elif answer.ending == _INTRODUCED:
            answer.ending = ""
            self._put_through()
        elif target is not None:
            answer.ending = ""
            self._call.request_transfer(
                CallerTransfer(
                    name=target.name,
                    destination=target.to,
                    mode=target.mode,
                    then=target.then,
                    brief=" ".join(self._brief(target)),
                    agent_stays=target.stays,
                )
            )

    # --------------------------------------------------------------------------------------------------- putting through

    def introduce(self, to: LegId, name: str) -> None:
        """The other side of a transfer answered and hears who is put through: sentences of the published flow."""
        self.drop()
        self.generation += 1
        answer = Answer(self.generation, "transfer", "", self._call.now_s(), committed=True)
        answer.complete, answer.ending = True, _INTRODUCED
        self.answer = answer
        self._call.set_timer("introduce", INTRODUCE_S, self._put_through)
        target = self._flow.transfers.get(name)
        for text in self._brief(target) if target is not None else ():
            self._say(answer, text, heard_by=to)
        self._finish(answer)

    def _put_through(self) -> None:
        self._call.set_timer("introduce", None, self._put_through)
        self._call.complete_transfer()

    def _brief(self, target: Destination) -> list[str]:
        renderer = Renderer(self._flow, self._call.state.conversation.slots, self.today())
        return [renderer.text(each) for each in target.brief]

    # --------------------------------------------------------------------------------------------- when it takes too long

    def _be_patient(self) -> None:
        self._call.set_timer("filler", FILLER_S, self._filler)
        self._call.set_timer("fallback", FALLBACK_S, self._too_late)

    def _stop_waiting(self) -> None:
        self._call.set_timer("filler", None, self._filler)
        self._call.set_timer("fallback", None, self._too_late)

    def _stop_waiting_if_heard(self) -> None:
        answer = self.answer
        if answer is not None and (answer.audio_s is not None or not answer.utterances):
            self._stop_waiting()

    def _filler(self) -> None:
        if not self._voice.busy or (self.answer and self.answer.audio_s is None):
            self._line(self._flow.wording.filler)

    def _too_late(self) -> None:
        self._call.fail_agent("deadline")
        self.fallback()

    def fallback(self) -> None:
        """A prepared sentence instead of silence, and not over and over."""
        now_s = self._call.now_s()
        if self._said_fallback_s is not None and now_s - self._said_fallback_s < FALLBACK_AGAIN_S:
            return
        self._said_fallback_s = now_s
        self._line(self._flow.wording.fallback)

    def _line(self, sentences: tuple[str, ...]) -> None:
        """Goes in front of what waits for its audio."""
        text = sentences[self.generation % len(sentences)]
        pcm = self._lines.get(self._flow.voice, self._media.voice_rate_hz, text)
        if pcm is None or not self._call.state.agent_has_floor:
            return
        self._voice.insert(text, pcm, self._call.state.conversation.step or self._flow.start)

    def lost(self) -> None:
        """The brain is gone: sentences end where their audio ends, and the caller hears that we are still there."""
        self.attached = False
        self._stop_waiting()
        self._recorded.clear()
        owed = self.pending or self._voice.unfinished
        self._voice.close_incomplete()
        if owed:
            self.fallback()

    def attach(self) -> None:
        """Another brain: what is owed to the caller is asked of it, from the log."""
        self.attached = True
        answer = self.answer
        if answer is None or not answer.committed:
            self.drop()
        elif not answer.utterances:
            self.ask(answer.cause, answer.text)
        elif not answer.complete or self._voice.cut_short:
            self.ask("again")
