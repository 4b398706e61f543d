"""A supervisor speaks instead of the agent, and gives the floor back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agents.brain import Think
from telephony.call.commands import HandBack, TakeFloor
from telephony.call.events import SegmentHeard, SlotFilled, UtteranceStarted
from tests.fakes.calls import ANN, ANNS_LEG, desk_joins
from tests.fakes.conversation import Talk


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = await Talk().begin()
    yield talk
    await talk.close()


async def taken(talk: Talk) -> None:
    await talk.do(*desk_joins(), TakeFloor(leg=ANNS_LEG, who=ANN))


async def test_take_over_silences_the_agent_at_once(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.wait(0.6)
    assert talk.media.queue
    await taken(talk)
    assert talk.media.queue == []
    await talk.wait(1.0)
    said = talk.state.conversation.said
    assert all(part.heard is not None for part in said)
    assert talk.media.queue == []


async def test_both_people_are_transcribed_and_nobody_is_answered(talk: Talk) -> None:
    await talk.until_quiet()
    await taken(talk)
    asked = len(talk.brain.of(Think))
    await talk.says("hello this is Bob how can I help", leg=ANNS_LEG)
    await talk.says("I want to come on friday")
    segments = await talk.events(SegmentHeard)
    assert [segment.role for segment in segments] == ["supervisor", "caller"]
    assert len(talk.brain.of(Think)) == asked
    assert talk.media.queue == []


async def test_hand_back_is_answered_with_what_was_settled_meanwhile(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("I would like to book")
    await talk.until_quiet()
    await taken(talk)
    await talk.says("would friday suit you", leg=ANNS_LEG)
    await talk.says("yes that works")
    await talk.do(HandBack(who=ANN))
    await talk.until_quiet()
    spoken = (await talk.heard_from_agent())[-2:]
    assert spoken[0].startswith("Thank you, I am back. I have noted Friday,")
    assert spoken[1] == "At what time?"
    assert [event.name for event in await talk.events(SlotFilled)] == ["day"]


async def test_brief_of_the_supervisor_is_followed(talk: Talk) -> None:
    await talk.until_quiet()
    await taken(talk)
    await talk.do(HandBack(who=ANN, brief="Please book monday at ten for Tom"))
    await talk.until_quiet()
    spoken = await talk.heard_from_agent()
    assert any(text.startswith("So that is Monday") and "Tom" in text for text in spoken)


async def test_answer_that_arrives_after_the_take_over_is_not_spoken(talk: Talk) -> None:
    await talk.until_quiet()
    talk.brain.thinks = False
    await talk.says("when are you open")
    think = talk.brain.of(Think)[-1]
    await taken(talk)
    before = len(await talk.events(UtteranceStarted))
    talk.brain.thinks = True
    talk.brain.inbox.append(think)
    await talk.wait(1.0)
    assert len(await talk.events(UtteranceStarted)) == before
    assert talk.media.queue == []
