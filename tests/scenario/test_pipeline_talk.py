"""Whole conversations with the receptionist, on the manual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from telephony.call.commands import Report
from telephony.call.events import (
    BargedIn,
    CallEnded,
    Misunderstood,
    PersonRequested,
    SegmentHeard,
    SlotFilled,
    StepEntered,
    TurnTimed,
    UtteranceStarted,
)
from telephony.call.ids import CALLER
from telephony.call.ports import VoiceVerb
from tests.fakes.conversation import Talk


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = await Talk().begin()
    yield talk
    await talk.close()


async def test_agent_greets_by_itself_and_names_itself_an_assistant(talk: Talk) -> None:
    await talk.until_quiet()
    assert await talk.heard_from_agent() == [
        "Hello, and welcome to Harbour Dental Care.",
        "I am the automated assistant.",
        "How can I help you?",
    ]
    assert talk.state.conversation.step == "help"


async def test_caller_books_a_visit_and_hangs_up_with_a_goodbye(talk: Talk) -> None:
    await talk.until_quiet()
    for words in ("I would like to book an appointment", "on monday", "at three", "Ann", "yes"):
        await talk.says(words)
        await talk.until_quiet()
    await talk.says("no thanks")
    await talk.until_quiet()
    slots = talk.state.conversation.slots
    assert (slots["time"], slots["name"]) == ("15:00", "Ann")
    assert [event.cause for event in await talk.events(CallEnded)] == ["agent_finished"]
    assert (await talk.heard_from_agent())[-1] == "Goodbye, and have a lovely day."


async def test_answer_begins_220_ms_after_a_complete_answer(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.wait(0.1)
    timed = (await talk.events(TurnTimed))[0]
    assert 200 <= timed.endpoint_ms <= 260
    assert timed.first_packet_ms <= 280


async def test_half_a_number_and_a_pause_are_one_turn(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("book monday at three")
    await talk.until_quiet()
    await talk.begins_to_speak()
    await talk.wait(0.6)
    await talk.partial("five five five")
    await talk.stops_to_speak()
    await talk.wait(0.8)
    await talk.begins_to_speak()
    await talk.wait(0.6)
    await talk.partial("five five five one two three four")
    await talk.stops_to_speak()
    await talk.final("five five five one two three four")
    assert talk.state.conversation.slots["name"] == "5551234"
    assert len([e for e in await talk.events(SegmentHeard) if "five" in e.text]) == 1


async def test_interruption_keeps_only_what_was_heard(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.wait(1.0)
    await talk.begins_to_speak(ducked=True)
    await talk.partial("where are you")
    await talk.wait(0.4)  # silent at once; cut because the speech goes on
    started = {event.utterance: event.text for event in await talk.events(UtteranceStarted)}
    heard = talk.state.conversation.said[-1]
    assert VoiceVerb.FLUSH in talk.media.verbs
    assert heard.interrupted
    assert heard.heard
    assert started[heard.utterance].startswith(heard.heard)
    assert len(heard.heard) < len(heard.text) / 2
    barged = await talk.events(BargedIn)
    assert len(barged) == 1
    assert barged[0].duck_ms == pytest.approx(60, abs=1)  # the frames that made the onset certain
    assert barged[0].stop_ms >= barged[0].duck_ms


async def test_caller_who_goes_on_before_the_answer_is_heard_has_the_turn_again(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("book monday")
    assert talk.state.conversation.step == "time"
    await talk.says("at three", seconds=0.5)
    await talk.until_quiet()
    assert talk.state.conversation.slots["time"] == "15:00"
    assert talk.state.conversation.step == "name"
    assert "At what time?" not in await talk.heard_from_agent()
    assert [e.text for e in await talk.events(SegmentHeard)] == ["book monday", "at three"]


async def test_what_the_first_half_of_a_turn_changed_is_undone_when_it_goes_on(talk: Talk) -> None:
    await talk.until_quiet()
    for words in ("book monday at three", "Ann"):
        await talk.says(words)
        await talk.until_quiet()
    await talk.says("yes")
    assert talk.state.conversation.step == "more"
    await talk.says("but no friday", seconds=0.5)
    await talk.until_quiet()
    assert talk.state.conversation.step == "confirm"
    assert "Wonderful, you are booked." not in await talk.heard_from_agent()


async def test_answer_comes_all_the_same_when_a_noise_followed_the_turn(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("where are you")
    await talk.says("", seconds=0.1)
    await talk.until_quiet()
    assert any("Quay Street" in text for text in await talk.heard_from_agent())


async def test_words_of_an_interruption_are_answered(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.wait(1.0)
    await talk.says("where are you", ducked=True, seconds=0.6)
    await talk.until_quiet()
    assert any("Quay Street" in text for text in await talk.heard_from_agent())


async def test_backchannel_does_not_cut_the_agent(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("when are you open")
    await talk.wait(0.5)
    await talk.says("mm hm", ducked=True, seconds=0.3)
    await talk.until_quiet()
    assert await talk.events(BargedIn) == []
    assert any("until five in the afternoon" in text for text in await talk.heard_from_agent())
    assert VoiceVerb.FLUSH not in talk.media.verbs


async def test_disclosure_is_ducked_and_never_cut(talk: Talk) -> None:
    await talk.wait(3.6)  # into "I am the automated assistant."
    await talk.begins_to_speak(ducked=True)
    await talk.partial("book an appointment")
    await talk.partial("book an appointment please")
    await talk.wait(0.6)
    assert await talk.events(BargedIn) == []
    assert VoiceVerb.FLUSH not in talk.media.verbs


async def test_agent_offers_a_person_after_three_misunderstandings(talk: Talk) -> None:
    await talk.until_quiet()
    for _ in range(3):
        await talk.says("blah blah")
        await talk.until_quiet()
    await talk.says("yes please")
    assert [event.times for event in await talk.events(Misunderstood)] == [1, 2, 3]
    assert len(await talk.events(PersonRequested)) == 1


async def test_zero_asks_for_a_person_at_once(talk: Talk) -> None:
    await talk.wait(1.0)
    await talk.presses("0")
    assert len(await talk.events(PersonRequested)) == 1


async def test_typed_words_are_answered_like_spoken_ones(talk: Talk) -> None:
    await talk.wait(1.0)
    now_s = talk.session.now_s()
    typed = SegmentHeard(
        leg=CALLER, role="caller", turn=None, text="where are you",
        start_s=now_s, end_s=now_s, pause_before_s=0.0, confidence=1.0,
    )  # fmt: skip
    await talk.do(Report(actor="widget", events=(typed,)))
    await talk.until_quiet()
    assert any("Quay Street" in text for text in await talk.heard_from_agent())
    assert len(await talk.events(SegmentHeard)) == 1


async def test_number_can_be_typed_instead_of_a_name(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.says("book monday at three")
    await talk.until_quiet()
    await talk.presses("02079460018#")
    assert talk.state.conversation.slots["name"] == "02079460018"
    assert talk.state.conversation.step == "confirm"


async def test_silent_caller_is_asked_twice_and_then_bidden_goodbye(talk: Talk) -> None:
    await talk.until_quiet()
    for _ in range(3):
        await talk.wait(8.1)
        await talk.until_quiet()
    assert (await talk.heard_from_agent())[-1].startswith("I cannot hear you")
    assert len(await talk.events(CallEnded)) == 1


async def test_cough_is_no_turn(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.begins_to_speak()
    await talk.wait(0.14)
    await talk.stops_to_speak()
    await talk.final("")
    await talk.wait(1.0)
    assert await talk.events(Misunderstood) == []
    assert talk.media.queue == []


async def test_answer_begun_ahead_is_dropped_when_the_words_change(talk: Talk) -> None:
    await talk.until_quiet()
    await talk.begins_to_speak()
    await talk.wait(0.5)
    await talk.partial("book monday")
    await talk.stops_to_speak()
    await talk.wait(0.16)
    filled_ahead = list(await talk.events(SlotFilled))
    await talk.final("book friday")
    days = [event.value for event in await talk.events(SlotFilled) if event.name == "day"]
    assert filled_ahead == []
    assert len(days) == 1
    assert [event.step for event in await talk.events(StepEntered)] == ["help", "time"]
