"""What playout's reports say about when a caller heard the agent."""

from __future__ import annotations

import pytest

from agents.exchange.voice import Utterance, Voice
from telephony.call.ids import UtteranceId
from telephony.call.ports import PlayoutMoved
from tests.fakes.brain import RATE_HZ, FakeAgentMedia
from tests.fakes.calls import CONNECT, START, CallBench


async def test_first_sample_left_with_the_first_frame_of_what_was_sent() -> None:
    bench = CallBench()
    bench.session.start()
    await bench.do(START, CONNECT)
    voice = Voice(bench.session, FakeAgentMedia(lambda _: None), lambda: None)
    voice.timed_generation = 1
    voice.begin(Utterance(UtteranceId("1.1.1"), "Yes.", 1, None, "help"))
    voice.audio("1.1.1", bytes(2 * RATE_HZ), last=True)
    began_s = bench.session.now_s()

    bench.clock.advance(0.08)  # the fifth frame of 20 ms leaves
    voice.moved(PlayoutMoved(UtteranceId("1.1.1"), RATE_HZ // 10, done=False, flushed=False))

    assert voice.first_sample_s == pytest.approx(began_s)
    await bench.end()
