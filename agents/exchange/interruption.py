"""The caller speaks over the agent: evidence goes in, the voice is paused, resumed or stopped."""

from __future__ import annotations

from collections.abc import Callable

from agents.brain import Judge, ToWorker
from agents.exchange.voice import Voice
from agents.turn.backchannel import is_backchannel
from agents.turn.barge_in import Action, BargeIn, State, Verdict, Words
from agents.turn.echo import is_echo
from telephony.call.events import BargedIn
from telephony.call.ids import CALLER, UtteranceId
from telephony.call.ports import AgentMedia, CallAccess, SpeechBegan, VoiceVerb


class Interruption:
    """Applies `BargeIn` to the voice of one call. `on_confirm` is called when the caller means it."""

    def __init__(
        self,
        call: CallAccess,
        media: AgentMedia,
        voice: Voice,
        send: Callable[[ToWorker], None],
        on_confirm: Callable[[], None],
    ) -> None:
        self._call = call
        self._media = media
        self._voice = voice
        self._send = send
        self._on_confirm = on_confirm
        self._barge_in = BargeIn()
        self._content_before = False
        self._ducked = False
        self._voiced_s = 0.0
        self._ducked_s: float | None = None

    @property
    def pending(self) -> bool:
        return self._barge_in.state is not State.QUIET

    def cut(self, utterance: UtteranceId | None) -> None:
        """The voice was stopped for it: put on record, counted from the first voiced frame."""
        if utterance is None:
            return
        after = [
            None if at is None else round((at - self._voiced_s) * 1000, 1)
            for at in (self._ducked_s, self._call.now_s())
        ]
        self._call.report(
            BargedIn(utterance=utterance, at_s=self._voiced_s, duck_ms=after[0], stop_ms=after[1])
        )

    def began(self, fact: SpeechBegan) -> None:
        at_s, ducked = fact.at_s, fact.ducked
        self._content_before = False
        self._ducked = True
        self._voiced_s, self._ducked_s = fact.voiced_s, at_s if ducked else None
        if not ducked:
            self._media.voice(VoiceVerb.DUCK)
        self._do(self._barge_in.began(at_s, protected=self._voice.protected))
        call = self._call.state.id
        self._send(Judge(call, CALLER, self._barge_in.number))

    def partial(self, words: list[str], *, answer_expected: bool) -> None:
        """One word may be a recogniser's guess at a noise; content counts when it stays."""
        if not words:
            return
        kind = self.kind_of(words, answer_expected=answer_expected)
        stays, self._content_before = self._content_before, kind is Words.CONTENT
        if kind is not Words.CONTENT or stays or len(words) > 1:
            self._do(self._barge_in.words(kind, self._call.now_s()))

    def kind_of(self, words: list[str], *, answer_expected: bool) -> Words:
        if is_echo(words, self._voice.played_words()):
            return Words.ECHO
        acknowledges = is_backchannel(words, answer_expected=answer_expected)
        return Words.BACKCHANNEL if acknowledges else Words.CONTENT

    def judged(self, onset: int, verdict: str) -> None:
        known = {each.value: each for each in Verdict}
        if verdict in known:
            self._do(self._barge_in.verdict(onset, known[verdict]))

    def paused(self) -> None:
        self._do(self._barge_in.paused())
        self._unduck()

    def quiet(self) -> None:
        """The agent's voice is silent: nothing is left to be interrupted."""
        self._barge_in.reset()
        self._call.set_timer("barge_in", None, self._due)
        self._unduck()

    def _due(self) -> None:
        self._do(self._barge_in.due(self._call.now_s()))

    def _do(self, action: Action) -> None:
        match action:
            case Action.PAUSE:
                self._media.voice(VoiceVerb.PAUSE)
            case Action.RESUME:
                self._unduck()
            case Action.CONFIRM:
                self._on_confirm()
            case Action.NOTHING:
                pass
        deadline = self._barge_in.deadline
        wait = None if deadline is None else max(0.0, deadline - self._call.now_s()) + 0.001
        self._call.set_timer("barge_in", wait, self._due)

    def _unduck(self) -> None:
        if self._ducked:
            self._ducked = False
            self._media.voice(VoiceVerb.RESUME)
