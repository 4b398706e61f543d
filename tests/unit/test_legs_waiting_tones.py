"""What a waiting person hears: rounds without gaps, given back when nobody waits any more; and legs that change names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from telephony.call.commands import CallCommand
from telephony.call.ids import AGENT, CALLER, COMFORT, RINGBACK, LegId
from telephony.call.ports import MediaFact, Route
from telephony.legs.call_audio import CallMedia
from telephony.media.commands import Enqueue, Listen, Remove
from telephony.media.commands import Route as Edges
from telephony.media.handles import SourceHandle
from telephony.media.notices import PlayoutProgress, PlayoutState
from tests.fakes.calls import CALL
from tests.fakes.manual_clock import ManualClock
from tests.fakes.plane import FakePlane

TARGET = LegId("target-1")


class Call:
    """A call that nothing is told of."""

    id = CALL

    def now_s(self) -> float:
        return 0.0

    def media(self, fact: MediaFact) -> None:
        raise AssertionError("a tone is nobody's voice")

    def post(self, command: CallCommand) -> None:
        raise AssertionError("a tone is no fact")

    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None:
        raise AssertionError("a tone has no timer")


class Waiting:
    """A call whose caller has a slot."""

    def __init__(self, capacity: int = 10) -> None:
        self.plane = FakePlane(capacity=capacity)
        self.directory: dict[SourceHandle, CallMedia] = {}
        self.media = CallMedia(self.plane, ManualClock(), 8000, self.directory)
        self.media.bind(Call())
        self.media.attach(CALLER, self.plane.reserve_rtp()[0], 8000)

    def hears(self, *sources: LegId) -> None:
        routes = [Route(source, CALLER) for source in sources]
        self.media.route(routes, flush_agent=False)

    @property
    def rounds(self) -> list[Enqueue]:
        return [command for command in self.plane.commands if isinstance(command, Enqueue)]

    @property
    def heard(self) -> list[int]:
        """What is routed to the caller."""
        edges = [c for c in self.plane.commands if isinstance(c, Edges)]
        return [source for source, _ in edges[-1].sources]


def test_a_tone_is_fed_round_by_round_until_nobody_waits() -> None:
    waiting = Waiting()
    waiting.hears(RINGBACK)
    first, second = waiting.rounds
    assert waiting.heard == [first.voice]
    assert first.utterance != second.utterance
    for state in (PlayoutState.PLAYING, PlayoutState.DONE):
        waiting.directory[first.voice].notice(
            PlayoutProgress(first.voice, first.utterance, 9, state, 0.0)
        )
    waiting.hears(RINGBACK)
    assert len(waiting.rounds) == 3
    waiting.hears(AGENT)
    assert Remove(first.voice) in waiting.plane.commands
    assert first.voice not in waiting.directory


@pytest.mark.parametrize(("tone", "sounds_s"), [(RINGBACK, 2.0), (COMFORT, 0.7)])
def test_a_round_begins_with_its_sound_softly_and_ends_in_silence(
    tone: LegId, sounds_s: float
) -> None:
    waiting = Waiting()
    waiting.hears(tone)
    pcm = np.frombuffer(waiting.rounds[0].pcm, "<i2")
    sounding = np.flatnonzero(pcm)[-1] / 8000
    assert sounding == pytest.approx(sounds_s, abs=0.01)
    assert abs(int(pcm[0])) < 50
    assert 500 < np.abs(pcm).max() < 4000


def test_a_plane_without_room_lets_the_caller_wait_in_silence() -> None:
    waiting = Waiting(capacity=2)
    waiting.hears(COMFORT)
    assert (waiting.heard, waiting.rounds) == ([], [])


def test_the_end_of_the_call_gives_the_tones_back() -> None:
    waiting = Waiting()
    waiting.hears(RINGBACK, COMFORT)
    waiting.media.close()
    assert (waiting.plane.live, waiting.directory) == (set(), {})


def test_a_leg_that_takes_anothers_name_brings_its_own_audio() -> None:
    waiting = Waiting()
    waiting.media.listen(CALLER)
    old, new = waiting.media.slots[CALLER], waiting.plane.reserve_rtp()[0]
    waiting.media.attach(TARGET, new, 16000)
    waiting.media.rename(TARGET, CALLER)
    assert dict(waiting.media.slots) == {CALLER: new}
    assert Remove(old) in waiting.plane.commands
    assert waiting.plane.last(Listen) == Listen(new, on=True)
    tap = waiting.media.listen(CALLER)
    assert tap is not None
    assert (tap.number, tap.rate_hz) == (new, 16000)
    waiting.media.rename(LegId("nobody"), CALLER)
    assert dict(waiting.media.slots) == {}
