"""The session: order, idempotence, participants that fail, timers, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from telephony.call import session
from telephony.call.commands import (
    EndCall,
    FailAgent,
    HandBack,
    LoseLeg,
    RemoveLeg,
    Report,
    StartListening,
    TakeFloor,
)
from telephony.call.effects import Limits
from telephony.call.errors import (
    CallError,
    CallGoneError,
    IllegalTransitionError,
    LogFullError,
    NoCapacityError,
)
from telephony.call.events import (
    PersonRequested,
    SegmentHeard,
    ToolRequested,
    UtteranceEnded,
    UtteranceStarted,
)
from telephony.call.ids import AGENT, CALLER, CallId, UtteranceId
from telephony.call.log import MemoryEventLog
from telephony.call.machine import replay
from telephony.call.ports import Route
from telephony.call.serial import record_from_json
from telephony.call.session import MAILBOX, REMEMBERED_COMMANDS
from telephony.call.state import Phase
from tests.fakes.calls import (
    ANN,
    ANNS_LEG,
    BOB,
    BOBS_LEG,
    CONNECT,
    START,
    TAKEN,
    CallBench,
    FakeAudio,
    FakeLeg,
    desk_joins,
    settle,
)

END = EndCall(cause="bye", by="caller")
SPOKEN = UtteranceStarted(
    utterance=UtteranceId("1"), turn=None, text="Hello.", step="greet", start_s=0.1
)
SAID = UtteranceEnded(utterance=UtteranceId("1"), heard="Hello.", complete=True, end_s=0.9)
MISTYPED = SegmentHeard(
    leg=CALLER,
    role="caller",
    turn="second",  # type: ignore[arg-type]
    text="hi",
    start_s=0.1,
    end_s=0.2,
    pause_before_s=0.0,
)
ASKED = PersonRequested(reason="asked")


async def test_commands_become_records_effects_and_messages():
    bench = CallBench()
    await bench.do(START, CONNECT)
    assert await bench.kinds() == ["CallStarted", "LegAdded", "LegConnected"]
    assert bench.leg.answered == 1
    assert bench.audio.routes == [(Route(AGENT, CALLER),)]
    assert bench.agent.kinds == await bench.kinds()
    assert [body["row"]["state"] for _, body in bench.published] == [
        "ringing",
        "ringing",
        "listening",
    ]
    assert [record_from_json(body).seq for _, body in bench.published] == [1, 2, 3]
    await bench.end()


async def test_the_state_is_the_fold_of_the_log():
    bench = CallBench()
    await bench.do(*TAKEN, HandBack(who=ANN))
    assert replay(await bench.log.read(bench.session.id)) == bench.session.state
    await bench.end()


async def test_the_loser_of_two_take_overs_gets_a_typed_refusal():
    bench = CallBench()
    await bench.do(START, CONNECT, *desk_joins(), *desk_joins(BOBS_LEG, BOB))
    bench.session.post(TakeFloor(leg=ANNS_LEG, who=ANN))
    with pytest.raises(CallError) as refusal:
        await bench.session.submit(TakeFloor(leg=BOBS_LEG, who=BOB))
    assert bench.session.state.controller == ANN
    assert refusal.value.user_message == "ann has the call."
    assert bench.session.refused == 1
    await bench.end()


async def test_a_repeated_command_has_its_first_result():
    bench = CallBench()
    await bench.do(*TAKEN)
    back = HandBack(who=ANN, id="k1")
    first = await bench.session.submit(back)
    await bench.do(TakeFloor(leg=ANNS_LEG, who=ANN))
    assert await bench.session.submit(back) == first
    assert bench.session.state.controller == ANN
    refused = HandBack(who=BOB, id="k2")
    for _ in range(2):
        with pytest.raises(CallError):
            await bench.session.submit(refused)
    assert bench.session.refused == 1
    await bench.end()


async def test_a_key_is_in_the_log_once_and_remembered_for_a_while():
    bench = CallBench()
    await bench.do(*TAKEN)
    lost = LoseLeg(leg=ANNS_LEG, reason="ice", id="k")
    await bench.do(lost)
    keys = [record.idempotency_key for record in await bench.log.read(bench.session.id)]
    assert [key for key in keys if key] == ["k"]
    for number in range(REMEMBERED_COMMANDS):
        bench.session.post(StartListening(leg=ANNS_LEG, who=ANN, id=f"n{number}"))
        await settle() if number % 500 == 499 else None
    assert await bench.session.submit(lost) == bench.session.state.seq
    await bench.end()


# ------------------------------------------------------------------------------------------------- time, ends


async def test_a_caller_who_does_not_come_back_is_given_up():
    bench = CallBench(limits=Limits(resume_s=30))
    await bench.do(START, CONNECT, LoseLeg(leg=CALLER, reason="ice"))
    bench.clock.advance(29.0)
    await settle()
    assert bench.session.state.phase is Phase.RECONNECTING
    bench.clock.advance(1.0)
    await bench.session.wait_closed()
    assert bench.session.state.end_cause == "lost"


async def test_a_caller_who_comes_back_stays():
    bench = CallBench(limits=Limits(resume_s=30))
    await bench.do(START, CONNECT, LoseLeg(leg=CALLER, reason="ice"), CONNECT)
    bench.clock.advance(60.0)
    await settle()
    assert bench.session.state.phase is Phase.ACTIVE
    await bench.end()


async def test_the_longest_call_ends():
    bench = CallBench(limits=Limits(call_s=1800))
    await bench.do(START, CONNECT)
    bench.clock.advance(1800.0)
    await bench.session.wait_closed()
    assert bench.session.state.end_cause == "too_long"


async def test_the_end_closes_everything_of_the_call():
    bench = CallBench()
    desk = FakeLeg()
    bench.session.attach_leg(ANNS_LEG, desk)
    await bench.do(*TAKEN)
    never = asyncio.Event()

    async def wait() -> None:
        await never.wait()

    bench.session.spawn("waits", wait())
    await bench.end()
    assert (bench.leg.closed, desk.closed) == (["bye"], ["bye"])
    assert bench.agent.closed == 1
    assert bench.audio.routes[-1] == ()
    tasks = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert not tasks
    with pytest.raises(CallGoneError):
        await bench.session.submit(END)
    bench.session.post(END)
    bench.session.set_timer("late", 1.0, lambda: None)
    bench.session.spawn("late", wait())
    await settle()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


async def test_last_facts_are_taken_until_the_participants_are_closed():
    bench = CallBench()
    await bench.do(START, CONNECT)
    bench.session.report(SPOKEN)

    async def close() -> None:
        assert bench.session.report(SAID)

    bench.agent.close = close  # type: ignore[method-assign]
    await bench.end()
    assert (await bench.kinds())[-2:] == ["CallEnded", "UtteranceEnded"]


async def test_a_participant_that_cannot_be_closed_does_not_keep_the_call(
    caplog: pytest.LogCaptureFixture,
):
    bench = CallBench()
    await bench.do(START)

    async def close() -> None:
        raise ValueError("broken")

    bench.agent.close = close  # type: ignore[method-assign]
    await bench.end()
    assert "participant_close_failed" in caplog.text


async def test_a_full_mailbox_refuses_all_but_hang_up():
    bench = CallBench()
    await bench.do(START, CONNECT)
    for _ in range(MAILBOX):
        bench.session.post(FailAgent(reason="eof"))
    bench.session.post(FailAgent(reason="eof"))
    with pytest.raises(NoCapacityError):
        await bench.session.submit(FailAgent(reason="eof"))
    assert bench.session.refused == 2
    bench.session.post(RemoveLeg(leg=CALLER, reason="bye"))
    await bench.session.wait_closed()


async def test_a_full_log_refuses_facts_and_lets_the_call_end():
    bench = CallBench(MemoryEventLog(capacity=3))
    await bench.do(START, CONNECT)
    with pytest.raises(LogFullError):
        await bench.session.submit(Report(events=(ASKED,)))
    assert bench.session.state.conversation.person_requested is None
    await bench.end()
    assert (await bench.kinds())[-1] == "CallEnded"


class HeldLog(MemoryEventLog):
    """A disk that commits when told."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = asyncio.Event()
        self.asked: list[int] = []

    async def committed(self, call: CallId, seq: int) -> None:
        self.asked.append(seq)
        await self.disk.wait()


async def test_nothing_follows_from_class_a_before_it_is_on_disk():
    log = HeldLog()
    bench = CallBench(log)
    await bench.do(START, CONNECT)
    bench.session.report(ToolRequested(run="r", tool="book", arguments={}))
    await settle()
    assert "ToolRequested" not in bench.agent.kinds
    log.disk.set()
    await settle()
    assert (log.asked, bench.agent.kinds[-1]) == ([4], "ToolRequested")
    await bench.end()


async def test_a_disk_that_is_too_slow_is_reported_and_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(session, "COMMIT_S", 0.0)
    bench = CallBench(HeldLog())
    await bench.do(START, CONNECT, *desk_joins())
    assert bench.session.state.legs[ANNS_LEG].listening
    assert "commit_late" in caplog.text
    await bench.end()


async def test_who_stops_waiting_for_an_answer_harms_nobody():
    bench = CallBench()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await bench.session.submit(START)
    await bench.do(CONNECT)
    assert bench.session.state.phase is Phase.ACTIVE
    await bench.end()


async def test_a_decision_that_fails_is_refused_and_the_call_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    bench = CallBench()
    await bench.do(START, CONNECT)
    with pytest.raises(IllegalTransitionError):
        await bench.session.submit(Report(events=(MISTYPED,)))
    assert bench.session.state.phase is Phase.ACTIVE
    await bench.end()


class BrokenAudio(FakeAudio):
    def route(self, routes: Sequence[Route], *, flush_agent: bool) -> None:
        raise ValueError("broken")


class BrokenLeg(FakeLeg):
    def answer(self) -> None:
        raise ValueError("broken")

    def close(self, cause: str) -> None:
        raise ValueError("broken")


async def test_broken_audio_and_legs_do_not_keep_the_call_from_ending(
    caplog: pytest.LogCaptureFixture,
):
    bench = CallBench()
    session = bench.registry.open(BrokenAudio())
    session.attach_leg(CALLER, BrokenLeg())
    for command in (START, CONNECT, END):
        await session.submit(command)
    await session.wait_closed()
    assert caplog.text.count("effect_failed") == 4
    await bench.end()
