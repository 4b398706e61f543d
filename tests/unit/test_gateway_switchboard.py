"""What a switchboard does for its calls: notices find their call, and what could not begin leaves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from telephony.call.commands import EndCall
from telephony.call.ids import AGENT, CALLER
from telephony.call.ports import AgentMedia, CallAccess, CallParticipant
from telephony.call.session import CallSession
from telephony.dialplan import AgentChoice
from telephony.gateway.switchboard import Arrival, LiveCall, Switchboard
from telephony.legs.call_audio import CallMedia
from telephony.media.handles import SlotHandle
from telephony.media.notices import Digit, Levels, PlayoutProgress, PlayoutState
from tests.fakes.calls import CallBench, FakeLeg, FakeParticipant, settle
from tests.fakes.plane import FakePlane

TO_AGENT = Arrival(
    transport="sip",
    called="demo",
    caller="+15550100",
    choice=AgentChoice("tone", 1, {}),
    voice_rate_hz=8000,
)
BETWEEN_PEOPLE = Arrival(
    transport="sip", called="200", caller="+15550100", choice=None, voice_rate_hz=8000
)


class House:
    """A switchboard with calls whose callers have a slot each."""

    def __init__(self, *, fault: Exception | None = None) -> None:
        self.bench = CallBench(max_calls=3)
        self.plane = FakePlane()
        self.agents: list[FakeParticipant] = []
        self.fault = fault
        self.board = Switchboard(self.bench.registry, self.plane, self.bench.clock, self.agent)

    def agent(
        self, call: CallAccess, media: AgentMedia, definition: Mapping[str, Any]
    ) -> CallParticipant:
        if self.fault is not None:
            raise self.fault
        self.agents.append(FakeParticipant(call))
        return self.agents[-1]

    def slot(self) -> SlotHandle:
        return self.plane.reserve_rtp()[0]

    def call(self, arrival: Arrival = TO_AGENT) -> LiveCall:
        slot = self.slot()

        def join(session: CallSession, media: CallMedia) -> FakeLeg:
            media.attach(CALLER, slot, 8000)
            return FakeLeg()

        return self.board.open(arrival, join)


async def test_notices_find_their_call_until_it_ends() -> None:
    house = House()
    first, second = house.call(), house.call()
    slots = [live.media.slots[CALLER] for live in (first, second)]
    voice = second.media.voice_handle
    said = PlayoutProgress(voice, "1.1.1", 160, PlayoutState.PLAYING, 0.0)
    house.board.deliver([Digit(slots[1], "5", 0.0), said, Digit(slots[0], "7", 0.0)])
    assert [len(agent.facts) for agent in house.agents] == [1, 2]

    second.session.post(EndCall(cause="bye", by="caller"))
    await second.session.wait_closed()
    await settle()
    house.board.deliver([Digit(slots[1], "5", 0.0), said])
    assert len(house.agents[1].facts) == 2


async def test_an_ended_call_leaves_no_audio_and_no_agent_busy() -> None:
    house = House()
    live, between = house.call(), house.call(BETWEEN_PEOPLE)
    registry = house.bench.registry
    assert (registry.agents, registry.agent_calls) == ({"tone": 1}, 1)
    for each in (live, between):
        each.session.post(EndCall(cause="bye", by="caller"))
        await each.session.wait_closed()
    await settle()
    assert (house.board.calls(), house.plane.live) == ((), set())
    assert (registry.agents, registry.agent_calls) == ({}, 0)


async def test_a_leg_that_comes_later_is_found_as_well() -> None:
    house = House()
    live, slot = house.call(), house.slot()
    live.media.attach(AGENT, slot, 8000)
    house.board.deliver([Digit(slot, "1", 0.0)])
    live.media.detach(AGENT)
    house.board.deliver([Digit(slot, "2", 0.0)])
    assert len(house.agents[0].facts) == 1


async def test_levels_of_all_calls_are_one_message() -> None:
    house = House()
    slots = np.array([house.call().media.slots[CALLER] for _ in range(2)] + [999], np.int64)
    levels = Levels(
        slots, np.array([-20.4, -90.0, 0.0]), np.array([-31.0, -12.6, 0.0]), 0.0
    )  # fmt: skip
    house.board.deliver([levels])
    told = [body for topic, body in house.bench.published if topic == "level"]
    assert [list(body["calls"].values()) for body in told] == [
        [{"caller": -20, "agent": -31}, {"caller": -90, "agent": -12}]
    ]


async def test_an_agent_that_cannot_be_made_leaves_nothing_behind() -> None:
    house = House(fault=ValueError("definition"))
    before = len(house.bench.registry)
    with pytest.raises(ValueError, match="definition"):
        house.call()
    assert len(house.bench.registry) == before
    assert (house.board.calls(), house.plane.live) == ((), set())
    assert house.bench.registry.agent_calls == 0


async def test_a_call_between_people_has_companions_and_no_agent() -> None:
    house = House()
    beside: list[LiveCall] = []

    def companion(live: LiveCall) -> CallParticipant:
        beside.append(live)
        return FakeParticipant(live.session)

    house.board.accompany(companion)
    live = house.call(BETWEEN_PEOPLE)
    await settle()
    assert beside == [live]
    assert (house.agents, live.session.state.agent) == ([], None)
