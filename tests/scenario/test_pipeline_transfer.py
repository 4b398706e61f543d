"""The agent puts a caller through: says so first, knows what became of it, and comes back knowing what was said."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.brain import Think
from agents.conversation.flow import FlowError, parse_definition
from agents.exchange.reply import INTRODUCE_S
from telephony.call.commands import (
    AddLeg,
    CancelTransfer,
    ConnectLeg,
    EndTransfer,
    RemoveLeg,
    RequestTransfer,
    TakeFloor,
)
from telephony.call.events import SegmentHeard, UtteranceStarted
from telephony.call.ids import CALLER, LegId, TransferId
from telephony.call.transfer_events import TransferRequested
from tests.fakes.calls import ANN, ANNS_LEG, desk_joins
from tests.fakes.conversation import RECEPTIONIST, Talk

TARGET = LegId("target-1")
ADD, ANSWERS = (
    AddLeg(leg=TARGET, role="target", transport="sip"),
    ConnectLeg(leg=TARGET, codec="PCMU"),
)
WISH = "the workshop please"


def definition(**transfer: Any) -> dict[str, Any]:
    """The receptionist, who may put callers through to the workshop."""
    body: dict[str, Any] = copy.deepcopy(RECEPTIONIST)
    body["transfers"] = [{"name": "workshop", "to": "+441632960777", **transfer}]
    body["intents"].append(
        {
            "name": "workshop",
            "phrases": ["the workshop"],
            "say": ["I am putting you through to the workshop."],
            "everywhere": True,
            "ending": "transfer:workshop",
        }
    )
    return body


async def begun(**transfer: Any) -> Talk:
    talk = await Talk(definition(**transfer)).begin()
    await talk.until_quiet()
    await talk.says(WISH)
    return talk


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = await begun()
    yield talk
    await talk.close()


async def asked(talk: Talk) -> list[TransferRequested]:
    return await talk.events(TransferRequested)


async def test_the_agent_says_so_and_asks_when_it_has_been_heard(talk: Talk) -> None:
    await talk.wait(0.4)
    assert await asked(talk) == []
    await talk.until_quiet()
    assert (await talk.heard_from_agent())[-1] == "I am putting you through to the workshop."
    (wish,) = await asked(talk)
    assert (wish.name, wish.destination, wish.by) == ("workshop", "+441632960777", "agent")
    assert (wish.mode, wish.method, wish.then) == ("blind", "bridge", "return")


async def test_the_agent_is_silent_while_it_rings(talk: Talk) -> None:
    await talk.until_quiet()
    before = len(talk.brain.of(Think))
    await talk.wait(9.0)
    assert len(talk.brain.of(Think)) == before


async def test_a_transfer_in_vain_is_told_to_the_caller_and_to_the_agent(talk: Talk) -> None:
    await talk.until_quiet()
    (wish,) = await asked(talk)
    ended = EndTransfer(
        transfer=wish.transfer, outcome="declined", status=486, reason="busy"
    )  # fmt: skip
    await talk.do(ended)
    await talk.until_quiet()
    situation = talk.brain.of(Think)[-1].situation
    assert (situation["cause"], situation["transfer"]) == ("transfer", "workshop: declined (busy)")
    assert any("sorry" in text for text in (await talk.heard_from_agent())[-2:])


async def test_both_people_are_transcribed_and_the_agent_comes_back_knowing(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.do(ADD, ANSWERS)
    await talk.says("would friday suit you", leg=TARGET)
    await talk.says("yes that works")
    assert [s.role for s in await talk.events(SegmentHeard)][-2:] == ["target", "caller"]
    await talk.do(RemoveLeg(leg=TARGET, reason="target_hung_up"))
    await talk.until_quiet()
    assert "Friday" in (await talk.heard_from_agent())[-2]
    assert talk.state.agent_has_floor


async def test_an_agent_that_leaves_hears_nothing_and_comes_back() -> None:
    talk = await begun(leaves=True)
    await talk.until_quiet()
    await talk.do(ADD, ANSWERS)
    assert talk.pipeline._hearing.ear(TARGET) is None
    assert talk.pipeline._hearing.ear(CALLER) is None
    await talk.do(RemoveLeg(leg=TARGET, reason="target_hung_up"))
    assert talk.pipeline._hearing.ear(CALLER) is not None
    await talk.close()


async def test_the_target_hears_whom_it_gets_before_they_are_put_through() -> None:
    talk = await begun(mode="attended", brief=["I have a caller for you."])
    await talk.until_quiet()
    await talk.do(ADD, ANSWERS)
    assert talk.state.transfer is not None
    await talk.until_quiet()
    said = (await talk.events(UtteranceStarted))[-1]
    assert (said.text, said.heard_by) == ("I have a caller for you.", TARGET)
    assert talk.state.floor == TARGET
    history = talk.brain.of(Think)[-1].situation["history"]
    assert "I have a caller for you." not in [part["text"] for part in history]
    await talk.close()


async def test_a_silent_brain_does_not_keep_caller_and_target_apart() -> None:
    talk = await begun(mode="attended", brief=["I have a caller for you."])
    await talk.until_quiet()
    talk.brain.speaks = False
    await talk.do(ADD, ANSWERS)
    await talk.wait(INTRODUCE_S + 0.1)
    assert talk.state.floor == TARGET
    await talk.close()


async def test_what_a_supervisor_says_to_the_target_is_not_listened_to() -> None:
    talk = await Talk(definition()).begin()
    await talk.until_quiet()
    ask = RequestTransfer(
        transfer=TransferId("t1"),
        mode="attended",
        method="bridge",
        by="supervisor",
        who=ANN,
        destination="200",
    )
    await talk.do(*desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN), ask, ADD, ANSWERS)
    assert talk.pipeline._hearing.ear(ANNS_LEG) is None
    await talk.do(CancelTransfer(who=ANN))
    assert talk.pipeline._hearing.ear(ANNS_LEG) is not None
    await talk.close()


def test_a_brain_cannot_call_whom_the_flow_does_not_name() -> None:
    body = definition()
    body["intents"][-1]["ending"] = "transfer:moon"
    with pytest.raises(FlowError, match="there is no transfer 'moon'"):
        parse_definition(body)
    body["intents"][-1]["ending"] = "moon"
    with pytest.raises(FlowError, match="must be one of"):
        parse_definition(body)
    body = definition(brief=["Hello."])
    with pytest.raises(FlowError, match="attended"):
        parse_definition(body)
