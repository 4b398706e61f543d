"""The audio of one call over the media plane: edges to routes, the agent's ears and voice, notices to facts.

The plane knows slots and voices; here they get the names of legs and the times of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Final, Protocol, assert_never

from telephony.call.commands import CallCommand, EndCall, RemoveLeg, Report
from telephony.call.events import CallEvent, DigitReceived, MediaTroubled, QualityMeasured
from telephony.call.ids import AGENT, CALLER, CallId, LegId, UtteranceId
from telephony.call.ports import (
    Clock,
    DigitPressed,
    MediaFact,
    PlayoutMoved,
    Route,
    SpeechBegan,
    SpeechPaused,
    Tap,
    VoiceVerb,
)
from telephony.legs.key_presses import KeyPresses, Way
from telephony.legs.plane_port import Plane
from telephony.legs.waiting_tones import TONES, WaitingTones
from telephony.media import commands, notices
from telephony.media.handles import SlotHandle, SourceHandle, VoiceHandle

MEDIA_LOST_END_S: Final = 40.0
"""A phone that has sent no audio for the plane's limit and this long beyond it is gone without a BYE."""

_VERBS: Final[Mapping[VoiceVerb, Callable[[VoiceHandle], commands.Command]]] = {
    VoiceVerb.DUCK: commands.Duck,
    VoiceVerb.PAUSE: commands.Pause,
    VoiceVerb.RESUME: commands.Resume,
    VoiceVerb.FLUSH: commands.Flush,
}


class Listener(Protocol):
    """The call that owns this audio; `CallSession` in production."""

    @property
    def id(self) -> CallId: ...
    def now_s(self) -> float: ...
    def media(self, fact: MediaFact) -> None: ...
    def post(self, command: CallCommand) -> None: ...
    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None: ...


class CallMedia:
    """`CallAudio` and `AgentMedia` of one call. The session is bound after it was made with this audio.

    `directory`: whose slot or voice a notice is about; each call keeps its own entries in it.
    """

    def __init__(
        self,
        plane: Plane,
        clock: Clock,
        voice_rate_hz: int,
        directory: MutableMapping[SourceHandle, CallMedia] | None = None,
    ) -> None:
        self._plane = plane
        self._clock = clock
        self._directory: MutableMapping[SourceHandle, CallMedia] = (
            {} if directory is None else directory
        )
        self._voice = plane.add_voice(voice_rate_hz)
        self._directory[self._voice] = self
        self._voice_rate_hz = voice_rate_hz
        self._slots: dict[LegId, SlotHandle] = {}
        self._rates: dict[LegId, int] = {}
        self._legs: dict[SlotHandle, LegId] = {}
        self._tones = WaitingTones(plane, voice_rate_hz, self._directory)
        self._routes: tuple[Route, ...] = ()
        self._listened: set[LegId] = set()
        self._silent: set[LegId] = set()
        self._phones: set[LegId] = set()
        self._keys = KeyPresses()
        self._troubles: dict[LegId, set[notices.TroubleKind]] = {}
        self._session: Listener | None = None

    def bind(self, session: Listener) -> None:
        """The call to which facts go; once, before audio flows."""
        self._session = session

    @property
    def voice_handle(self) -> VoiceHandle:
        return self._voice

    @property
    def slots(self) -> Mapping[LegId, SlotHandle]:
        return self._slots

    # ------------------------------------------------------------------------------- legs

    def attach(self, leg: LegId, slot: SlotHandle, rate_hz: int, *, phone: bool = False) -> None:
        """The leg's audio is on this slot from now on; edges that name the leg take effect.

        `phone`: a leg that is gone when its audio stays away, without a BYE.
        """
        if phone:
            self._phones.add(leg)
        self._slots[leg] = slot
        self._legs[slot] = leg
        self._directory[slot] = self
        self._rates[leg] = rate_hz
        self.route(self._routes, flush_agent=False)

    def detach(self, leg: LegId) -> None:
        """The slot is given back to the plane. Idempotent."""
        slot = self._slots.pop(leg, None)
        if slot is not None:
            del self._legs[slot]
            self._directory.pop(slot, None)
            self._listened.discard(leg)
            self._phones.discard(leg)
            self._troubles.pop(leg, None)
            self._keys.forget(leg)
            self._plane.apply(commands.Remove(slot))

    def close(self) -> None:
        """The call is over: all slots and the voice go back to the plane."""
        for leg in list(self._slots):
            self.detach(leg)
        self._tones.keep(frozenset())
        self._directory.pop(self._voice, None)
        self._plane.apply(commands.Remove(self._voice))
        self._session = None

    # ------------------------------------------------------------------------------- CallAudio

    def route(self, routes: Sequence[Route], *, flush_agent: bool) -> None:
        self._routes = tuple(routes)
        heard: dict[LegId, list[tuple[SourceHandle, float]]] = {leg: [] for leg in self._slots}
        for edge in self._routes:
            source = self._source(edge.source)
            if source is not None and edge.destination in heard:
                heard[edge.destination].append((source, edge.gain))
        changes: list[commands.Command] = [commands.Flush(self._voice)] if flush_agent else []
        changes += [
            commands.Route(self._slots[leg], tuple(sources)) for leg, sources in heard.items()
        ]
        self._plane.apply(*changes)
        self._tones.keep(TONES & {edge.source for edge in self._routes})

    def _source(self, leg: LegId) -> SourceHandle | None:
        if leg in TONES:
            return self._tones.source(leg, self)
        return self._voice if leg == AGENT else self._slots.get(leg)

    def rename(self, leg: LegId, to: LegId) -> None:
        slot, listened = self._slots.pop(leg, None), to in self._listened
        self.detach(to)
        if slot is None:
            return
        self._listened.discard(leg)
        phone = leg in self._phones
        self._phones.discard(leg)
        self.attach(to, slot, self._rates.pop(leg), phone=phone)
        if listened:
            self.listen(to)

    # ------------------------------------------------------------------------------- AgentMedia

    @property
    def voice_rate_hz(self) -> int:
        return self._voice_rate_hz

    def listen(self, leg: LegId) -> Tap | None:
        slot = self._slots.get(leg)
        if slot is None:
            return None
        if leg not in self._listened:
            self._listened.add(leg)
            changes: list[commands.Command] = [commands.Listen(slot, on=True)]
            if leg == CALLER:
                changes.append(commands.Guard(self._voice, slot))
            self._plane.apply(*changes)
        return Tap(int(slot), self._rates[leg])

    def play(self, utterance: UtteranceId, pcm: bytes, *, last: bool) -> None:
        self._plane.apply(commands.Enqueue(self._voice, utterance, pcm, last))

    def voice(self, verb: VoiceVerb) -> None:
        self._plane.apply(_VERBS[verb](self._voice))

    # ------------------------------------------------------------------------------- notices

    def note_levels(
        self, calls: dict[str, dict[str, int]], slot: SlotHandle, received: int, sent: int
    ) -> None:
        """Adds what one leg says, and what the caller hears, to the levels of all calls; whole dBFS."""
        leg, session = self._legs.get(slot), self._session
        if leg is None or session is None:
            return
        legs = calls.get(session.id)
        if legs is None:
            legs = calls[session.id] = {}
        legs[leg] = received
        if leg == CALLER:
            legs[AGENT] = sent

    def notice(self, notice: notices.Notice) -> None:
        """One notice about a slot or the voice of this call."""
        session = self._session
        if session is None or isinstance(notice, notices.Levels):
            return
        if isinstance(notice, notices.PlayoutProgress):
            if notice.voice == self._voice:
                session.media(_moved(notice))
            else:
                self._tones.moved(notice)
        elif isinstance(notice, notices.PlayoutRefused):
            done = PlayoutMoved(UtteranceId(notice.utterance), 0, done=False, flushed=True)
            session.media(done)
        else:
            leg = self._legs.get(notice.slot)
            if leg is not None:
                self._of_leg(session, leg, notice)

    def _of_leg(
        self,
        session: Listener,
        leg: LegId,
        notice: notices.SpeechStarted
        | notices.SpeechStopped
        | notices.Digit
        | notices.Latched
        | notices.MediaLost
        | notices.Gap
        | notices.Quality
        | notices.AudioTroubled
        | notices.AudioRecovered,
    ) -> None:
        match notice:
            case notices.SpeechStarted(at=at, voiced_at=voiced_at, ducked=ducked):
                times = self._call_time(at), self._call_time(voiced_at)
                session.media(SpeechBegan(leg, times[0], ducked, times[1]))
            case notices.SpeechStopped(last_voiced_at=at):
                session.media(SpeechPaused(leg, self._call_time(at)))
            case notices.Digit(digit=digit, at=at, began_at=began_at, source=source):
                self.pressed(leg, digit, source, at if began_at is None else began_at, at)
            case notices.MediaLost(silent_for=seconds):
                self._media_lost(session, leg, seconds)
            case notices.Gap(frames=frames):
                self._report(MediaTroubled(leg=leg, kind="gap", detail=f"{frames * 20} ms"))
            case notices.AudioTroubled():
                self._troubled(leg, notice)
            case notices.AudioRecovered(kind=kind):
                self._recovered(leg, kind)
            case notices.Quality():
                self._quality(session, leg, notice)
            case notices.Latched():
                self._media_back(session, leg)
            case _:
                assert_never(notice)

    def pressed(
        self,
        leg: LegId,
        digit: str,
        way: Way = "info",
        began: float | None = None,
        ended: float | None = None,
    ) -> None:
        """A key press, from `began` to `ended` on the plane's clock (None: now); one that came by two ways counts once."""
        now = self._clock.monotonic()
        began, ended = now if began is None else began, now if ended is None else ended
        if self._session is not None and self._keys.is_new(leg, digit, way, began, ended):
            self._session.media(DigitPressed(leg, digit))
            self._report(DigitReceived(leg=leg, digit=digit))

    def _call_time(self, at: float) -> float:
        now_s = self._session.now_s() if self._session is not None else 0.0
        return max(0.0, now_s - (self._clock.monotonic() - at))

    def _media_lost(self, session: Listener, leg: LegId, seconds: float) -> None:
        self._silent.add(leg)
        self._report(MediaTroubled(leg=leg, kind="lost", detail=f"{seconds:.0f} s without audio"))
        gone: CallCommand | None = None
        if leg == CALLER:
            gone = EndCall(cause="media_lost", by="system")
        elif leg in self._phones:
            gone = RemoveLeg(leg=leg, reason="media_lost")
        if gone is not None:
            name = f"media_lost:{leg}"
            session.set_timer(name, MEDIA_LOST_END_S, partial(session.post, gone))

    def _media_back(self, session: Listener, leg: LegId) -> None:
        if leg in self._silent:
            self._silent.discard(leg)
            session.set_timer(f"media_lost:{leg}", None, lambda: None)
            self._report(MediaTroubled(leg=leg, kind="ok", detail="audio is back"))

    def _troubled(self, leg: LegId, notice: notices.AudioTroubled) -> None:
        self._troubles.setdefault(leg, set()).add(notice.kind)
        self._report(MediaTroubled(leg=leg, kind=notice.kind.value, detail=notice.detail))

    def _recovered(self, leg: LegId, kind: notices.TroubleKind) -> None:
        """One trouble is over; the leg is well again only without any other."""
        troubles = self._troubles.get(leg, set())
        troubles.discard(kind)
        if not troubles and leg not in self._silent:
            self._report(MediaTroubled(leg=leg, kind="ok", detail=f"no longer {kind.value}"))

    def _quality(self, session: Listener, leg: LegId, notice: notices.Quality) -> None:
        if not notice.received:
            return
        self._media_back(session, leg)
        measured = QualityMeasured(
            leg=leg,
            loss_pct=round(notice.loss * 100, 2),
            jitter_ms=round(notice.jitter_ms, 2),
            rtt_ms=notice.round_trip_ms,
            mos=round(notice.mos, 2),
            remote_loss_pct=(
                None if notice.remote_loss is None else round(notice.remote_loss * 100, 2)
            ),
        )
        self._report(measured)

    def _report(self, *events: CallEvent) -> None:
        if self._session is not None:
            self._session.post(Report(actor="media", events=events))


def _moved(notice: notices.PlayoutProgress) -> PlayoutMoved:
    return PlayoutMoved(
        UtteranceId(notice.utterance),
        notice.samples_sent,
        done=notice.state is notices.PlayoutState.DONE,
        flushed=notice.state is notices.PlayoutState.FLUSHED,
    )
