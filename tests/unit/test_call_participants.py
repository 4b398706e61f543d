"""Participants of a call: their reports, their last words, and their faults, which never end the call."""

from __future__ import annotations

import pytest

from telephony.call.commands import (
    TakeFloor,
)
from telephony.call.events import (
    PersonRequested,
    Recorded,
    SlotFilled,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import CALLER, UtteranceId
from telephony.call.ports import DigitPressed
from telephony.call.state import Phase
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    CONNECT,
    START,
    CallBench,
    desk_joins,
    settle,
)

SPOKEN = UtteranceStarted(
    utterance=UtteranceId("1"), turn=None, text="Hello.", step="greet", start_s=0.1
)
SAID = UtteranceEnded(utterance=UtteranceId("1"), heard="Hello.", complete=True, end_s=0.9)
ASKED = PersonRequested(reason="asked")


async def test_a_report_is_accepted_or_refused_at_once():
    bench = CallBench()
    await bench.do(START, CONNECT)
    assert bench.session.report(SPOKEN)
    assert bench.session.state.seq == 4
    assert not bench.session.report(SPOKEN)
    await bench.end()


async def test_a_report_comes_after_the_commands_that_wait():
    bench = CallBench()
    await bench.do(START, CONNECT, *desk_joins())
    bench.session.post(TakeFloor(leg=ANNS_LEG, who=ANN))
    assert not bench.session.report(SPOKEN)
    await bench.end()


async def test_reports_made_inside_of_on_event_keep_the_order_for_all():
    bench = CallBench()
    original = bench.agent.on_event

    def answering(record: Recorded, state: object) -> None:
        original(record, state)  # type: ignore[arg-type]
        if record.kind == "LegConnected":
            assert bench.session.report(ASKED, SlotFilled(name="a", value="b"))

    bench.agent.on_event = answering  # type: ignore[method-assign]
    await bench.do(START, CONNECT)
    await settle()
    assert [record.seq for record in bench.agent.records] == [1, 2, 3, 4, 5]
    await bench.end()


@pytest.mark.parametrize("what", ["on_event", "on_media", "timer", "task"])
async def test_a_participant_that_raises_fails_the_agent_and_not_the_call(
    what: str, caplog: pytest.LogCaptureFixture
):
    bench = CallBench()
    await bench.do(START, CONNECT)

    def broken() -> None:
        raise ValueError("broken")

    async def broken_task() -> None:
        broken()

    match what:
        case "on_event":
            bench.agent.fault = ValueError("broken")
            bench.session.report(ASKED)
        case "on_media":
            bench.agent.fault = ValueError("broken")
            bench.session.media(DigitPressed(CALLER, "5"))
        case "timer":
            bench.session.set_timer("t", 1.0, broken)
            bench.clock.advance(1.0)
        case _:
            bench.session.spawn("t", broken_task())
    await settle()
    state = bench.session.state
    assert (state.phase, state.conversation.agent_failed is not None) == (Phase.ACTIVE, True)
    assert "ValueError" in str(state.conversation.agent_failed)
    await bench.end()


async def test_the_agent_ends_the_call_after_its_last_words():
    bench = CallBench()
    await bench.do(START, CONNECT)
    bench.session.report(SPOKEN)
    bench.session.request_end("goodbye")
    await settle()
    assert bench.session.state.phase is Phase.ACTIVE
    bench.session.report(SAID)
    await bench.session.wait_closed()
    assert bench.session.state.end_cause == "goodbye"
    assert bench.leg.closed == ["goodbye"]


async def test_last_words_that_never_end_do_not_keep_the_call():
    bench = CallBench()
    await bench.do(START, CONNECT)
    bench.session.report(SPOKEN)
    bench.session.request_end("goodbye")
    bench.clock.advance(30.0)
    await bench.session.wait_closed()


async def test_a_silent_agent_ends_the_call_at_once():
    bench = CallBench()
    await bench.do(START, CONNECT)
    bench.session.request_end("goodbye")
    await bench.session.wait_closed()


async def test_a_person_who_takes_the_call_keeps_it_from_ending():
    bench = CallBench()
    await bench.do(START, CONNECT, *desk_joins())
    bench.session.report(SPOKEN)
    bench.session.request_end("goodbye")
    await bench.do(TakeFloor(leg=ANNS_LEG, who=ANN))
    bench.session.report(SAID)
    bench.clock.advance(31.0)
    await settle()
    assert bench.session.state.phase is Phase.ACTIVE
    await bench.end()


async def test_media_facts_timers_and_messages_reach_their_place():
    bench = CallBench()
    await bench.do(START, CONNECT)
    fired: list[float] = []
    bench.session.set_timer("a", 2.0, lambda: fired.append(bench.session.now_s()))
    bench.session.set_timer("b", 1.0, lambda: fired.append(-1.0))
    bench.session.set_timer("b", None, lambda: None)
    bench.clock.advance(3.0)
    bench.session.media(DigitPressed(CALLER, "5"))
    bench.session.publish("partial", {"text": "hel"})
    assert fired == [2.0]
    assert bench.agent.facts == [DigitPressed(CALLER, "5")]
    assert bench.published[-1] == ("partial", {"call": "c1", "text": "hel"})
    bench.session.fail_agent("eof")
    await settle()
    assert bench.session.state.conversation.agent_failed == "eof"
    await bench.end()
