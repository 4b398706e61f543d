"""The agent's voice in one call: allowed sentences become audio, and playout's reports become what was heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agents.turn.heard import heard_text
from telephony.call.events import UtteranceEnded, UtteranceStarted
from telephony.call.ids import CALLER, LegId, TurnId, UtteranceId
from telephony.call.ports import AgentMedia, CallAccess, PlayoutMoved, VoiceVerb

BREATH_S: Final = 0.16
"""Silence behind each sentence: the embedded voices' own is trimmed."""
FLUSH_REPORT_S: Final = 0.5
FRAME_S: Final = 0.02
"""What playout reports as sent includes the frame that leaves at that moment."""


@dataclass(slots=True)
class Utterance:
    """One sentence on its way out. Samples are counted at the voice's rate; `whole`: all audio is known.

    `heard_by`: the caller, or whom the agent speaks to while the caller waits.
    """

    id: UtteranceId
    text: str
    generation: int
    turn: TurnId | None
    step: str
    protected: bool = False
    heard_by: LegId = CALLER
    waiting: list[bytes] = field(default_factory=list)
    held: bool = False
    samples: int = 0
    sent: int = 0
    whole: bool = False
    started: bool = False


class Voice:
    """Utterances in the order in which they are said. `on_quiet` is called when the last one is over."""

    def __init__(self, call: CallAccess, media: AgentMedia, on_quiet: Callable[[], None]) -> None:
        self._call = call
        self._media = media
        self._on_quiet = on_quiet
        self._queue: list[Utterance] = []
        self._flushed: list[Utterance] = []
        self._lines = 0
        self.cut_short = False
        """Sentences were lost for want of audio since the last answer was asked for."""
        self.timed_generation = 0
        self.first_sample_s: float | None = None
        """When the first sample of the answer at hand left; set anew by the answer."""

    @property
    def sounding(self) -> bool:
        """Something of the agent is being heard, or is about to be."""
        return bool(self._queue) and self._queue[0].samples > 0 and not self._queue[0].held

    @property
    def busy(self) -> bool:
        return any(not utterance.held for utterance in self._queue)

    @property
    def protected(self) -> bool:
        return self.sounding and self._queue[0].protected

    @property
    def current(self) -> UtteranceId | None:
        return self._queue[0].id if self.sounding else None

    def played_words(self) -> list[str]:
        """What is being heard now, up to the sample sent last: an echo of it may come back."""
        if not self.sounding:
            return []
        head = self._queue[0]
        ahead = self._media.voice_rate_hz // 4
        return self._heard(head, head.sent + ahead).split()

    @property
    def unfinished(self) -> bool:
        """Sentences in line wait for audio."""
        return any(not utterance.whole for utterance in self._queue)

    def text_of(self, name: str) -> str | None:
        """The text of a sentence in line; None if it is not wanted any more."""
        return next((each.text for each in self._queue if each.id == name), None)

    # ------------------------------------------------------------------------------------------------------ going out

    def begin(self, utterance: Utterance) -> None:
        """The sentence is next in line; its audio follows by `audio`."""
        self._queue.append(utterance)

    def insert(self, text: str, pcm: bytes, step: str) -> None:
        """A ready sentence of our own, in front of all that waits for its audio."""
        self._lines += 1
        place = sum(1 for each in self._queue if each.samples and not each.held)
        utterance = Utterance(UtteranceId(f"0.0.{self._lines}"), text, 0, None, step)
        self._queue.insert(place, utterance)
        self.audio(utterance.id, pcm, last=True)

    def audio(self, name: str, pcm: bytes, *, last: bool) -> None:
        """Audio for a sentence that is in line; for any other it came too late and is dropped."""
        utterance = next((each for each in self._queue if each.id == name), None)
        if utterance is None or utterance.whole:
            return
        utterance.whole = last
        utterance.waiting.append(pcm)
        self._send()

    def release(self, generation: int) -> None:
        """The turn is committed: what was made ahead may be heard."""
        for utterance in self._queue:
            if utterance.generation == generation:
                utterance.held = False
        self._send()

    def _send(self) -> None:
        """Audio goes out sentence by sentence, so that one cannot overtake another."""
        for utterance in list(self._queue):
            if utterance.held:
                return
            if utterance.waiting and not self._start(utterance):
                return
            if not utterance.whole:
                return

    def _start(self, utterance: Utterance) -> bool:
        pcm = b"".join(utterance.waiting)
        utterance.waiting.clear()
        utterance.samples += len(pcm) // 2
        if utterance.whole and not utterance.samples:
            self._queue.remove(utterance)  # nothing in it can be spoken
            self._quiet()
            return True
        if utterance is self._queue[0] and not self._announce(utterance):
            self.flush()
            return False
        if utterance.whole:
            pcm += bytes(2 * round(BREATH_S * self._media.voice_rate_hz))
        self._media.play(utterance.id, pcm, last=utterance.whole)
        return True

    def _announce(self, utterance: Utterance) -> bool:
        if utterance.started:
            return True
        utterance.started = self._call.report(
            UtteranceStarted(
                utterance=utterance.id,
                turn=utterance.turn,
                text=utterance.text,
                step=utterance.step,
                start_s=self._call.now_s(),
                heard_by=utterance.heard_by,
            )
        )
        return utterance.started

    # ------------------------------------------------------------------------------------------------ what became of it

    def moved(self, fact: PlayoutMoved) -> None:
        """Playout's report on one utterance; reports on unknown ones are of no use any more."""
        flushed = next((each for each in self._flushed if each.id == fact.utterance), None)
        if flushed is not None:
            flushed.sent = max(flushed.sent, fact.samples_sent)
            if fact.done or fact.flushed:
                self._flushed.remove(flushed)
                self._over(flushed)
            return
        utterance = next((each for each in self._queue if each.id == fact.utterance), None)
        if utterance is None:
            return
        utterance.sent = max(utterance.sent, fact.samples_sent)
        timed = utterance.generation == self.timed_generation and fact.samples_sent > 0
        if timed and self.first_sample_s is None:
            ago = fact.samples_sent / self._media.voice_rate_hz - FRAME_S
            self.first_sample_s = self._call.now_s() - max(0.0, ago)
        if fact.done or fact.flushed:
            self._queue.remove(utterance)
            self._over(utterance)
            if self._queue and self._queue[0].samples and not self._queue[0].held:
                self._announce(self._queue[0])
            self._quiet()

    def flush(self) -> None:
        """Silence at once. What had begun is reported when playout has told how far it came."""
        queue, self._queue = self._queue, []
        begun = [utterance for utterance in queue if utterance.started]
        self._flushed += begun
        if any(utterance.samples for utterance in queue):
            self._media.voice(VoiceVerb.FLUSH)
        if begun:
            self._call.set_timer("flush_report", FLUSH_REPORT_S, self.settle)

    def cancel(self, generation: int) -> None:
        """Takes back what of a generation waits unheard; nothing of it was sent to playout."""
        self._queue = [u for u in self._queue if not (u.generation <= generation and u.held)]

    def close_incomplete(self) -> None:
        """No more audio will come: sentences end where they are."""
        for utterance in list(self._queue):
            if utterance.whole:
                continue
            utterance.whole = True
            self.cut_short = True
            if utterance.samples and not utterance.held:
                self._media.play(utterance.id, b"", last=True)
            else:
                self._queue.remove(utterance)
        self._quiet()

    def end(self) -> None:
        """The call is over: what was said so far is put on record."""
        queue, self._queue = self._queue, []
        self._flushed += queue
        self.settle()

    def settle(self) -> None:
        """Ends flushed utterances whose report did not come, at the position known last."""
        flushed, self._flushed = self._flushed, []
        for utterance in flushed:
            self._over(utterance)

    def _over(self, utterance: Utterance) -> None:
        if not utterance.started:
            return
        complete = utterance.whole and utterance.sent >= utterance.samples
        self._call.report(
            UtteranceEnded(
                utterance=utterance.id,
                heard=utterance.text if complete else self._heard(utterance, utterance.sent),
                complete=complete,
                end_s=self._call.now_s(),
            )
        )

    def _heard(self, utterance: Utterance, samples: int) -> str:
        rate = self._media.voice_rate_hz
        total = utterance.samples / rate if utterance.whole else None
        return heard_text(utterance.text, samples / rate, total)

    def _quiet(self) -> None:
        if not self._queue:
            self._on_quiet()
