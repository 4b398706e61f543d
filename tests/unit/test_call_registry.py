"""The calls of a node: admission, rows, drain, the end of all."""

from __future__ import annotations

import asyncio

import pytest

from telephony.call import registry
from telephony.call.commands import EndCall
from telephony.call.errors import BrokenLogError, CallGoneError, NoCapacityError
from telephony.call.events import CallEnded
from telephony.call.ids import CallId
from telephony.call.log import MemoryEventLog
from telephony.call.machine import replay
from telephony.call.registry import ENDED_KEPT_S
from telephony.call.state import Phase
from tests.fakes.calls import CONNECT, START, CallBench, FakeAudio, FakeParticipant, after, record


class HangingParticipant(FakeParticipant):
    async def close(self) -> None:
        await asyncio.Event().wait()


END = EndCall(cause="bye", by="caller")


async def test_a_full_node_takes_no_more_calls_until_one_ends():
    bench = CallBench(max_calls=1)
    with pytest.raises(NoCapacityError):
        bench.registry.open(FakeAudio())
    bench.session.post(END)
    await bench.session.wait_closed()
    assert bench.registry.refusal() is None
    await bench.registry.end_all("stop", 1.0)


async def test_a_draining_node_keeps_its_calls_and_takes_no_more():
    bench = CallBench()
    await bench.do(START, CONNECT)
    bench.admission.draining = True
    with pytest.raises(NoCapacityError):
        bench.registry.open(FakeAudio())
    assert bench.session.state.phase is Phase.ACTIVE
    bench.admission.draining = False
    await bench.registry.end_all("stop", 1.0)


async def test_calls_are_found_while_they_live():
    bench = CallBench()
    assert bench.registry.get(CallId("c1")) is bench.session
    with pytest.raises(CallGoneError):
        bench.registry.get(CallId("c9"))
    await bench.registry.end_all("stop", 1.0)


async def test_an_ended_call_is_listed_for_a_minute():
    bench = CallBench()
    await bench.do(START, CONNECT)
    assert [row["state"] for row in bench.registry.rows()] == ["listening"]
    bench.session.post(END)
    await bench.session.wait_closed()
    assert [row["state"] for row in bench.registry.rows()] == ["ended"]
    assert len(bench.registry) == 0
    bench.clock.advance(ENDED_KEPT_S)
    assert bench.registry.rows() == []


async def test_all_calls_end_by_the_rules():
    bench = CallBench()
    await bench.do(START, CONNECT)
    other = bench.registry.open(FakeAudio())
    await bench.registry.end_all("shutdown", 1.0)
    assert (bench.session.state.end_cause, other.state.end_cause) == ("shutdown", "shutdown")
    assert bench.leg.closed == ["shutdown"]
    assert (len(bench.registry), bench.clock.pending) == (0, 0)


async def test_a_call_that_does_not_close_by_the_deadline_is_cut_off():
    bench = CallBench()
    await bench.do(START, CONNECT)
    stuck = asyncio.Event()

    async def close() -> None:
        bench.agent.closed += 1
        if bench.agent.closed == 1:
            await stuck.wait()

    bench.agent.close = close  # type: ignore[method-assign]
    await bench.registry.end_all("shutdown", 0.01)
    assert len(bench.registry) == 0
    assert bench.session.state.phase is Phase.ENDED


def test_the_log_in_memory_takes_records_in_order_only():
    ringing = after(START)
    with pytest.raises(BrokenLogError):
        MemoryEventLog().append([record(ringing, CallEnded(cause="x", by="system"))])


async def test_a_call_that_a_dead_node_left_has_an_end(caplog: pytest.LogCaptureFixture):
    bench = CallBench()
    await bench.do(START, CONNECT)
    left = await bench.log.read(CallId("c1"))
    again = CallBench(bench.log)
    again.registry.end_unfinished({CallId("c1"): left[-1].seq})
    state = replay(await again.log.read(CallId("c1")))
    assert (state.phase, state.end_cause) == (Phase.ENDED, "node_died")
    await again.registry.end_all("stop", 1.0)
    await bench.session.abort()


async def test_calls_that_hang_are_cut_off_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "CUT_OFF_S", 0.05)
    bench = CallBench(max_calls=20)
    sessions = [bench.session] + [bench.registry.open(FakeAudio()) for _ in range(10)]
    for session in sessions:
        session.join(HangingParticipant(session))
        session.post(START)
    began = asyncio.get_running_loop().time()
    await bench.registry.end_all("stop", 0.01)
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_a_session_that_got_no_call_leaves_its_room_and_no_record():
    bench = CallBench(max_calls=1)
    bench.registry.discard(bench.session)
    assert bench.registry.refusal() is None
    await bench.session.wait_closed()
    assert bench.registry.rows() == []
    assert await bench.log.read(bench.session.id) == []
