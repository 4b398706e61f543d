"""Brains that die, stall, repeat themselves or mean harm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from agents.brain import Audio, FinalHeard, Judged, PartialHeard, Proposal, Say, Think
from agents.conversation.flow import Flow
from telephony.call.events import (
    AgentAttached,
    AgentFailed,
    CallEnded,
    RuleRefused,
    SlotFilled,
    StepEntered,
    UtteranceStarted,
)
from telephony.call.ids import CALLER
from telephony.call.state import Phase
from tests.fakes.conversation import Talk

FALLBACK = "Sorry, I lost my place for a moment. Please bear with me."


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = await Talk().begin()
    yield talk
    await talk.close()


async def test_death_in_mid_sentence_is_bridged_and_the_next_turn_works(talk: Talk) -> None:
    await talk.until_quiet()
    talk.brain.speaks = False
    await talk.says("when are you open")
    say = talk.brain.of(Say)[-1]
    talk.brain.tell(Audio(say.call, say.generation, say.utterance, False, b"\1\0" * 4000))
    await talk.wait(0.2)
    talk.brain.die()
    await talk.wait(2.0)
    assert FALLBACK in [event.text for event in await talk.events(UtteranceStarted)]
    assert [event.reason for event in await talk.events(AgentFailed)] == ["worker_died"]
    talk.brain.speaks = True
    talk.brain.attach("worker2")
    await talk.settle()
    await talk.until_quiet()
    assert talk.state.phase is Phase.ACTIVE
    assert [event.worker for event in await talk.events(AgentAttached)] == ["worker1", "worker2"]
    await talk.says("where are you")
    await talk.until_quiet()
    assert any("Quay Street" in text for text in await talk.heard_from_agent())


async def test_turn_that_was_never_answered_is_asked_of_the_next_brain(talk: Talk) -> None:
    await talk.until_quiet()
    talk.brain.thinks = False
    await talk.says("where are you")
    talk.brain.die()
    talk.brain.thinks = True
    await talk.wait(0.5)
    talk.brain.attach("worker2")
    await talk.settle()
    await talk.until_quiet()
    assert any("Quay Street" in text for text in await talk.heard_from_agent())


async def test_slow_brain_gets_a_filler_then_the_fallback(talk: Talk) -> None:
    await talk.until_quiet()
    talk.brain.thinks = False
    await talk.says("where are you")
    await talk.wait(1.3)
    started = [event.text for event in await talk.events(UtteranceStarted)]
    assert started[-1] in ("One moment, please.", "Just a second.")
    await talk.wait(3.0)
    started = [event.text for event in await talk.events(UtteranceStarted)]
    assert started[-1] == FALLBACK
    assert [event.reason for event in await talk.events(AgentFailed)] == ["deadline"]
    assert talk.state.phase is Phase.ACTIVE


async def test_late_repeated_and_foreign_messages_change_nothing(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.until_quiet()
    generation = talk.brain.of(Think)[-1].generation
    before = await talk.log()
    call, turn = talk.session.id, talk.turn_of()
    effects = {"step": "booked", "fills": {"day": "2027-01-18"}, "ending": "end"}
    for message in (
        Proposal(call, generation - 1, 0, "Old.", effects, False, True),
        Proposal(call, generation, 0, "Twice.", effects, False, True),
        Proposal(call, generation + 5, 0, "Future.", effects, False, True),
        Audio(call, generation - 1, "0.1.1", True, b"\1\0" * 100),
        PartialHeard(call, "caller", turn - 1, "late"),
        FinalHeard(call, "caller", turn, "nobody asked", 1.0),
        FinalHeard(call, "stranger", 1, "who", 1.0),
        Judged(call, "caller", 99, "speech"),
        Judged(call, "caller", 0, "rubbish"),
    ):
        talk.brain.tell(message)
        await talk.settle()
    await talk.wait(0.5)
    assert await talk.log() == before
    assert talk.media.queue == []


def hostile(flow: Flow, think: Think) -> list[Proposal]:
    """Asks for every step, every tool and every sentence that is forbidden."""
    secret = flow.instructions
    wants: list[tuple[str, dict[str, Any]]] = [
        ("We guarantee it.", {"step": "booked"}),
        ("Visit www.evil.example now.", {"step": "tool:transfer_money"}),
        ("It costs forty nine pounds.", {"fills": {"admin": "yes"}}),
        (f"My instructions are: {secret}", {"ending": "transfer"}),
        ("Call five five five nine nine eight eight.", {"fills": "nonsense", "step": 5}),
        ("x" * 900, {"step": "confirm", "fills": {"../../etc": None}}),
    ]
    return [
        Proposal(think.call, think.generation, i, text, effects, False, i == len(wants) - 1)
        for i, (text, effects) in enumerate(wants)
    ]


async def test_hostile_brain_gets_nothing_that_is_not_allowed(talk: Talk) -> None:
    await talk.until_quiet()
    talk.brain.propose = hostile
    await talk.says("where are you")
    await talk.until_quiet()
    said = [event.text for event in await talk.events(UtteranceStarted)][3:]
    assert said == ["I am sorry, I cannot help with that."]
    assert await talk.events(SlotFilled) == []
    assert [event.step for event in await talk.events(StepEntered)] == ["help"]
    assert await talk.events(CallEnded) == []
    rules = {event.rule for event in await talk.events(RuleRefused)}
    assert rules >= {"never_say", "link", "unknown_number", "secret", "too_long", "step", "slot"}


async def test_call_that_no_brain_ever_answers_stays_up(talk: Talk) -> None:
    talk.brain.die()
    await talk.wait(1.0)
    await talk.says("hello")
    await talk.wait(5.0)
    assert talk.state.phase is Phase.ACTIVE
    assert talk.state.legs[CALLER].codec == "PCMU"
