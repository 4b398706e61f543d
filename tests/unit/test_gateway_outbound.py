"""Calls that we place, where placing them goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from telephony.call.ports import CallParticipant
from telephony.dialplan import EMPTY, AgentChoice
from telephony.gateway.outbound import OutboundGateway
from telephony.gateway.switchboard import Switchboard
from tests.fakes.calls import CallBench
from tests.fakes.dialler import FakeDialler
from tests.fakes.plane import FakePlane

ORDER = {"agent": "desk", "destination": "+15550123", "id": "1"}


def no_agent(*_: Any) -> CallParticipant:
    raise RuntimeError("it cannot be made")


async def test_no_phone_rings_for_a_call_whose_agent_could_not_be_made() -> None:
    bench, plane = CallBench(max_calls=2), FakePlane(capacity=20)
    dialler = FakeDialler(plane)
    board = Switchboard(bench.registry, plane, bench.clock, no_agent)
    board.plan = replace(EMPTY, agents={"desk": AgentChoice("desk", 1, {})})
    with pytest.raises(RuntimeError):
        OutboundGateway(board, dialler.dial).place(ORDER)
    assert dialler.last.cancelled == 1
