"""Who answered, by how the greeting went."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from telephony.call.commands import CallCommand, Report
from telephony.call.events import LegConnected
from telephony.call.ids import CALLER, LegId
from telephony.call.ports import SpeechBegan, SpeechPaused
from telephony.call.state import CallState
from telephony.call.transfer_events import AnswererJudged
from telephony.gateway.greeting import GreetingWatch
from tests.fakes.calls import CALL, record
from tests.fakes.manual_clock import ManualClock, ManualTimer

START_S = 1000.0


class Scene:
    """A call that was just answered, whose called side speaks as a test says."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.posted: list[CallCommand] = []
        self._timers: dict[str, ManualTimer] = {}
        self.watch = GreetingWatch(self)
        state = CallState(id=CALL)
        self.watch.on_event(record(state, LegConnected(leg=CALLER, codec="PCMU")), state)

    def post(self, command: CallCommand) -> None:
        self.posted.append(command)

    def set_timer(self, name: str, seconds: float | None, callback: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        if seconds is not None:
            self._timers[name] = self.clock.call_later(seconds, callback)

    def speaks(self, seconds: float, leg: LegId = CALLER) -> None:
        now_s = self.clock.monotonic() - START_S
        self.watch.on_media(SpeechBegan(leg, now_s, False, now_s))
        self.clock.advance(seconds)
        end_s = self.clock.monotonic() - START_S
        self.watch.on_media(SpeechPaused(leg, end_s))

    @property
    def judged(self) -> list[str]:
        return [
            event.answerer
            for command in self.posted
            if isinstance(command, Report)
            for event in command.events
            if isinstance(event, AnswererJudged)
        ]


@pytest.mark.parametrize(("seconds", "judged"), [(0.6, ["person"]), (3.0, ["person"]), (4.0, [])])
def test_a_short_greeting_is_a_persons(seconds: float, judged: list[str]) -> None:
    scene = Scene()
    scene.clock.advance(0.5)
    scene.speaks(seconds)
    scene.clock.advance(2)
    assert scene.judged == judged


def test_a_text_that_is_read_out_is_a_machines() -> None:
    scene = Scene()
    scene.speaks(8)
    assert scene.judged == ["machine"]


def test_breath_between_sentences_is_no_pause() -> None:
    scene = Scene()
    for _ in range(4):
        scene.speaks(1.3)
        scene.clock.advance(0.3)
    assert scene.judged == ["machine"]


def test_it_is_told_once() -> None:
    scene = Scene()
    scene.speaks(0.5)
    scene.clock.advance(2)
    scene.speaks(20)
    scene.clock.advance(2)
    assert scene.judged == ["person"]


def test_a_silent_line_and_other_legs_say_nothing() -> None:
    scene = Scene()
    scene.speaks(9, LegId("desk-1"))
    scene.clock.advance(30)
    assert scene.judged == []
