from __future__ import annotations

from collections.abc import Callable

import pytest

from telephony.call.commands import CallCommand, EndCall, RemoveLeg, Report
from telephony.call.events import DigitReceived, MediaTroubled, QualityMeasured
from telephony.call.ids import AGENT, CALLER, CallId, LegId, UtteranceId
from telephony.call.ports import (
    DigitPressed,
    MediaFact,
    PlayoutMoved,
    Route,
    SpeechBegan,
    SpeechPaused,
    Tap,
    VoiceVerb,
)
from telephony.legs.call_audio import MEDIA_LOST_END_S, CallMedia
from telephony.media import commands as c
from telephony.media import notices as n
from telephony.media.handles import SlotHandle
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane

ANN = LegId("desk-1")
SLOT, DESK_SLOT = SlotHandle(101), SlotHandle(102)


class Call:
    """The session as its audio sees it."""

    id = CallId("c-1")

    def __init__(self) -> None:
        self.facts: list[MediaFact] = []
        self.posted: list[CallCommand] = []
        self.timers: dict[str, tuple[float, Callable[[], None]]] = {}

    def now_s(self) -> float:
        return 12.0

    def media(self, fact: MediaFact) -> None:
        self.facts.append(fact)

    def post(self, command: CallCommand) -> None:
        self.posted.append(command)

    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None:
        if seconds is None:
            self.timers.pop(name, None)
        else:
            self.timers[name] = (seconds, callback)

    def reported(self) -> list[object]:
        return [event for one in self.posted if isinstance(one, Report) for event in one.events]


@pytest.fixture
def plane() -> FakePlane:
    return FakePlane()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def call() -> Call:
    return Call()


@pytest.fixture
def media(plane: FakePlane, clock: ManualClock, call: Call) -> CallMedia:
    audio = CallMedia(plane, clock, 8000)
    audio.bind(call)
    audio.attach(CALLER, SLOT, 8000)
    audio.attach(ANN, DESK_SLOT, 16000)
    plane.commands.clear()
    return audio


def test_edges_of_a_call_become_one_route_per_leg(media: CallMedia, plane: FakePlane) -> None:
    media.route(
        [Route(AGENT, CALLER), Route(CALLER, ANN), Route(AGENT, ANN, 0.5)], flush_agent=False
    )
    voice = media.voice_handle
    assert plane.commands == [
        c.Route(SLOT, ((voice, 1.0),)),
        c.Route(DESK_SLOT, ((SLOT, 1.0), (voice, 0.5))),
    ]


def test_a_take_over_flushes_and_swaps_in_one_step(media: CallMedia, plane: FakePlane) -> None:
    media.route([Route(ANN, CALLER)], flush_agent=True)
    assert plane.commands[0] == c.Flush(media.voice_handle)
    assert c.Route(SLOT, ((DESK_SLOT, 1.0),)) in plane.commands


def test_a_leg_that_comes_later_gets_the_edges_that_name_it(
    media: CallMedia, plane: FakePlane
) -> None:
    media.route([Route(LegId("late"), CALLER)], flush_agent=False)
    media.attach(LegId("late"), SlotHandle(103), 16000)
    assert plane.last(c.Route) in plane.commands
    assert c.Route(SLOT, ((SlotHandle(103), 1.0),)) in plane.commands


def test_listening_to_the_caller_guards_the_voice_once(media: CallMedia, plane: FakePlane) -> None:
    assert media.listen(CALLER) == media.listen(CALLER) == Tap(101, 8000)
    assert plane.commands == [c.Listen(SLOT, on=True), c.Guard(media.voice_handle, SLOT)]
    assert media.listen(ANN) == Tap(102, 16000)
    assert media.listen(LegId("nobody")) is None


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        (VoiceVerb.DUCK, c.Duck),
        (VoiceVerb.PAUSE, c.Pause),
        (VoiceVerb.RESUME, c.Resume),
        (VoiceVerb.FLUSH, c.Flush),
    ],
)
def test_verbs_reach_the_voice(
    media: CallMedia, plane: FakePlane, verb: VoiceVerb, command: type
) -> None:
    media.voice(verb)
    assert plane.commands == [command(media.voice_handle)]


def test_facts_carry_names_of_legs_and_times_of_the_call(
    media: CallMedia, clock: ManualClock, call: Call
) -> None:
    now = clock.monotonic()
    media.notice(n.SpeechStarted(SLOT, now - 0.5, now - 0.5625, 800, True))
    media.notice(n.SpeechStopped(SLOT, now, now - 0.25, 900))
    media.notice(n.PlayoutProgress(media.voice_handle, "1.1.1", 160, n.PlayoutState.DONE, now))
    media.notice(n.PlayoutRefused(media.voice_handle, "1.1.2", now))
    assert call.facts == [
        SpeechBegan(CALLER, 11.5, True, 11.4375),
        SpeechPaused(CALLER, 11.75),
        PlayoutMoved(UtteranceId("1.1.1"), 160, done=True, flushed=False),
        PlayoutMoved(UtteranceId("1.1.2"), 0, done=False, flushed=True),
    ]


def test_a_digit_is_a_fact_and_an_event(media: CallMedia, call: Call) -> None:
    media.notice(n.Digit(SLOT, "5", 0.0))
    assert call.facts == [DigitPressed(CALLER, "5")]
    assert call.reported() == [DigitReceived(leg=CALLER, digit="5")]


def test_a_caller_without_audio_is_given_up_unless_it_comes_back(
    media: CallMedia, call: Call
) -> None:
    media.notice(n.MediaLost(SLOT, 20.0, 0.0))
    seconds, give_up = call.timers["media_lost:caller"]
    assert seconds == MEDIA_LOST_END_S
    give_up()
    assert call.posted[-1] == EndCall(cause="media_lost", by="system")

    media.notice(n.Latched(SLOT, ("127.0.0.1", 1), 0.0))
    assert "media_lost:caller" not in call.timers
    troubles = [event for event in call.reported() if isinstance(event, MediaTroubled)]
    assert [trouble.kind for trouble in troubles] == ["lost", "ok"]


def test_quality_is_reported_only_where_something_arrived(media: CallMedia, call: Call) -> None:
    def quality(received: int) -> n.Quality:
        return n.Quality(SLOT, received, 1, 0, 1, 0.004, 1.234, None, 4.321, 0.0)

    media.notice(quality(0))
    media.notice(quality(250))
    assert call.reported() == [
        QualityMeasured(leg=CALLER, loss_pct=0.4, jitter_ms=1.23, rtt_ms=None, mos=4.32)
    ]


def test_notices_about_what_has_left_are_dropped(
    media: CallMedia, plane: FakePlane, call: Call
) -> None:
    media.detach(ANN)
    media.detach(ANN)
    media.notice(n.Digit(DESK_SLOT, "5", 0.0))
    assert call.facts == []
    assert plane.commands == [c.Remove(DESK_SLOT)]


def test_a_dialled_phone_whose_audio_stays_away_leaves_and_a_browser_does_not(
    media: CallMedia, call: Call
) -> None:
    target, slot = LegId("target-1"), SlotHandle(103)
    media.attach(target, slot, 8000, phone=True)
    for lost in (slot, SLOT, DESK_SLOT):
        media.notice(n.MediaLost(lost, 20.0, 1.0))
    assert set(call.timers) == {"media_lost:target-1", "media_lost:caller"}
    call.timers["media_lost:target-1"][1]()
    assert call.posted[-1] == RemoveLeg(leg=target, reason="media_lost")
    media.notice(n.Latched(slot, ("127.0.0.1", 9), 2.0))
    assert set(call.timers) == {"media_lost:caller"}


def test_the_end_gives_all_handles_back(media: CallMedia, plane: FakePlane) -> None:
    media.close()
    removed = {command.handle for command in plane.commands if isinstance(command, c.Remove)}
    assert removed == {SLOT, DESK_SLOT, media.voice_handle}


def test_a_leg_is_well_again_when_none_of_its_troubles_is_left(
    media: CallMedia, call: Call
) -> None:
    media.notice(n.AudioTroubled(SLOT, n.TroubleKind.GARBLED, "wrong_law", 0.0))
    media.notice(n.AudioTroubled(SLOT, n.TroubleKind.POOR, "12% lost, MOS 2.9", 1.0))
    media.notice(n.AudioRecovered(SLOT, n.TroubleKind.GARBLED, 2.0))
    media.notice(n.AudioRecovered(SLOT, n.TroubleKind.POOR, 3.0))
    assert call.reported() == [
        MediaTroubled(leg=CALLER, kind="garbled", detail="wrong_law"),
        MediaTroubled(leg=CALLER, kind="poor", detail="12% lost, MOS 2.9"),
        MediaTroubled(leg=CALLER, kind="ok", detail="no longer poor"),
    ]


def test_what_the_peer_lost_of_ours_is_reported_with_the_figures(
    media: CallMedia, call: Call
) -> None:
    media.notice(n.Quality(SLOT, 250, 1, 0, 1, 0.004, 1.2, 80.0, 4.3, 0.0, remote_loss=0.0123))
    (measured,) = call.reported()
    assert isinstance(measured, QualityMeasured)
    assert (measured.rtt_ms, measured.remote_loss_pct) == (80.0, 1.23)
