"""What the receptionist answers, without any model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from agents.conversation.context import Segment, Situation, SituationError, segments
from agents.conversation.flow import parse_definition
from agents.conversation.model_responder import Piece, answer, messages_of, tools_of
from agents.conversation.responder import Reply, respond
from agents.conversation.understanding import completeness, understand
from agents.speech.errors import ModelFailedError
from agents.speech.ports import Done, Message, ModelEvent, TextDelta, ToolIntent, ToolSpec
from agents.turn.endpointing import Completeness
from telephony.call.state import Said
from tests.fakes.conversation import RECEPTIONIST

FLOW = parse_definition(RECEPTIONIST)
TODAY = "2026-11-17"
BOOKED = {"day": "2026-11-20", "time": "15:00", "name": "Ann"}


def reply(
    step: str, text: str, slots: Mapping[str, str] | None = None, cause: Any = "speech", **more: Any
) -> Reply:
    return respond(FLOW, Situation(cause, TODAY, step, slots or {}, text, **more))


def test_several_answers_in_one_breath_skip_their_questions() -> None:
    found = reply("help", "I want to book tomorrow at three for Ann")
    assert found.fills == {"day": "2026-11-18", "time": "15:00", "name": "Ann"}
    assert found.step == "confirm"


def test_correction_in_a_confirmation_changes_the_value_and_asks_again() -> None:
    found = reply("confirm", "no, Thursday", BOOKED)
    assert found.fills == {"day": "2026-11-19"}
    assert (found.step, found.sentences[-1]) == ("confirm", "Is that right?")
    assert "Thursday, November the nineteenth" in found.sentences[0]


def test_plain_no_asks_what_to_change_and_only_that_is_asked_again() -> None:
    assert reply("confirm", "no", BOOKED).step == "change"
    found = reply("change", "the time", BOOKED)
    assert (found.step, found.fills) == ("time", {"time": None})
    assert reply("time", "ten", {"day": "2026-11-20", "name": "Ann"}).step == "confirm"


@pytest.mark.parametrize(
    ("step", "said", "first"),
    [
        ("day", "when are you open", "We are open Monday to Friday"),
        ("time", "where are you", "You find us at twelve Quay Street"),
        ("name", "what can you do", "I can book a visit"),
        ("confirm", "can I talk to a real person", "Of course."),
        ("day", "on sunday", "We are closed on Sundays."),
        (
            "time",
            "at seven in the evening",
            "I can offer times from nine o'clock in the morning until half past four",
        ),
        ("day", "never mind", "All right, I will not book anything."),
        ("time", "say that again", "At what time?"),
        ("more", "no thanks", "Thank you for calling"),
        ("day", "", "Sorry, which day was that?"),
    ],
)
def test_what_is_answered_in_which_step(step: str, said: str, first: str) -> None:
    assert reply(step, said, BOOKED if step == "confirm" else {}).sentences[0].startswith(first)


@pytest.mark.parametrize(
    ("step", "said", "slots", "sentences", "fills", "to"),
    [
        ("day", "on saturday at three p m", {}, ["We are closed on Saturdays.", "Which other day would suit you?"], {"time": "15:00"}, "day"),
        ("help", "book a visit on sunday at ten", {}, ["We are closed on Sundays.", "Which other day would suit you?"], {"time": "10:00"}, "day"),
        ("day", "yesterday", {}, ["I am afraid yesterday is past.", "Which other day would suit you?"], {}, "day"),
        ("day", "in 12 weeks", {}, ["I can only book up to eight weeks ahead.", "Which other day would suit you?"], {}, "day"),
        ("day", "tuesday at seven in the evening", {}, ["I can offer times from nine o'clock in the morning until half past four in the afternoon.", "What time would you like?"], {"day": "2026-11-24"}, "time"),
        ("time", "saturday at three", {"day": "2026-11-20"}, ["We are closed on Saturdays.", "I will keep Friday, November the twentieth for now.", "And what is your name, or a number we can call you on?"], {"time": "15:00"}, "name"),
        ("name", "can we make it seven in the evening", {"day": "2026-11-20", "time": "10:00"}, ["I can offer times from nine o'clock in the morning until half past four in the afternoon.", "I will keep ten o'clock in the morning for now.", "And what is your name, or a number we can call you on?"], {}, "name"),
        ("confirm", "no make it saturday", BOOKED, ["We are closed on Saturdays.", "So that is Friday, November the twentieth, at three o'clock in the afternoon, for Ann.", "Is that right?"], {}, "confirm"),
        ("name", "five five five", {"day": "2026-11-20", "time": "10:00"}, ["I need six to thirteen digits.", "Please say the whole number, or type it and then press the hash key."], {}, "name"),
    ],
)  # fmt: skip
def test_refusal_of_a_value_is_said_in_every_step_and_the_rest_is_kept(
    step: str,
    said: str,
    slots: Mapping[str, str],
    sentences: list[str],
    fills: Mapping[str, str],
    to: str,
) -> None:
    found = reply(step, said, slots)
    assert list(found.sentences) == sentences
    assert (found.fills, found.step) == (fills, to)


@pytest.mark.parametrize(
    ("step", "said", "clock", "first", "fills"),
    [
        ("day", "today", "17:00", "I am afraid it is too late for today.", {}),
        ("day", "today at ten", "11:00", "It is later than that already.", {"day": TODAY}),
        ("day", "today at noon", "11:00", "And what is your name", {"day": TODAY, "time": "12:00"}),
        ("confirm", "make it today", "23:30", "I am afraid it is too late for today.", {}),
    ],
)
def test_what_is_over_today_cannot_be_booked(
    step: str, said: str, clock: str, first: str, fills: Mapping[str, str]
) -> None:
    found = reply(step, said, BOOKED if step == "confirm" else {}, clock=clock)
    assert found.sentences[0].startswith(first)
    assert found.fills == fills


def test_keys_that_are_no_whole_number_are_refused_with_what_is_needed() -> None:
    found = reply("name", "555#", {"day": "2026-11-20", "time": "10:00"}, cause="keys")
    assert found.sentences[0] == "I need six to thirteen digits."
    assert not found.misunderstood


def test_answer_to_a_question_in_between_is_not_followed_by_the_same_open_question() -> None:
    last = [reply("help", "when are you open", turn=turn).sentences[-1] for turn in (1, 2)]
    assert "How can I help you?" not in last
    assert last[0] != last[1]


def test_repeating_says_the_last_answer_again() -> None:
    history = (
        Segment("caller", "where are you"),
        Segment("agent", "You find us at twelve Quay Street."),
        Segment("agent", "Is there anything else?"),
        Segment("caller", "say that again"),
    )
    said = reply("help", "say that again", history=history).sentences
    assert said == ("You find us at twelve Quay Street.", "Is there anything else?")


@pytest.mark.parametrize(
    ("step", "said", "confidence", "misunderstood"),
    [
        ("day", "say again", 0.1, True),
        ("day", "say again", 0.4, False),
        ("day", "where are you", 0.1, False),
        ("day", "tomorrow", 0.1, False),
        ("confirm", "yes", 0.0, False),
        ("day", "monday for john", 0.01, True),
        ("help", "where are you", 0.1, False),
        ("help", "goodbye", 0.035, True),
        ("help", "what are your no", 0.035, True),
        ("help", "book monday at three", 0.035, False),
        ("help", "goodbye", 0.05, False),
    ],
)
def test_words_found_in_something_else_are_asked_again(
    step: str, said: str, confidence: float, misunderstood: bool
) -> None:
    assert reply(step, said, confidence=confidence).misunderstood is misunderstood


def test_caller_who_waits_for_a_person_is_told_so_and_not_asked_whether_there() -> None:
    said = [
        reply("help", "", cause="silence", silences=n, person_requested=True).sentences
        for n in (1, 2)
    ]
    assert said[0][0].startswith("I am still asking for a colleague")
    assert said[0] != said[1]


def test_number_words_are_no_name() -> None:
    found = understand(FLOW, FLOW.steps["name"], "nine three", date.fromisoformat(TODAY))
    assert "name" not in found.values


def test_reprompts_vary_and_then_a_person_is_offered() -> None:
    said = [reply("day", "blub", misunderstood=times).sentences[0] for times in range(3)]
    assert len(set(said)) == 3
    assert "Shall I get a colleague" in said[2]


@pytest.mark.parametrize(
    ("said", "ending", "step"),
    [("yes please", "person", "day"), ("no", "", "day"), ("tomorrow", "", "time")],
)
def test_answer_to_the_offer_of_a_person(said: str, ending: str, step: str) -> None:
    found = reply("day", said, misunderstood=3)
    assert (found.ending, found.step) == (ending, step)


def test_keys_answer_too() -> None:
    assert reply("confirm", "1", BOOKED, cause="keys").step == "more"
    assert reply("change", "2", BOOKED, cause="keys").step == "time"
    assert reply("name", "5551234#", {"day": "2026-11-20", "time": "10:00"}, cause="keys").fills == {"name": "5551234"}  # fmt: skip
    assert reply("day", "0", cause="keys").ending == "person"
    assert reply("day", "5", cause="keys").misunderstood


def test_person_is_asked_for_once_only() -> None:
    found = reply("day", "a person please", person_requested=True)
    assert found.ending == ""
    assert found.sentences[0].startswith("A colleague has been told")


def test_lost_step_begins_anew() -> None:
    assert reply("gone", "hello").step == "help"


@pytest.mark.parametrize(
    ("meanwhile", "brief", "fills"),
    [
        ((Segment("caller", "friday is good"),), "", {"day": "2026-11-20"}),
        ((Segment("supervisor", "friday at ten"), Segment("caller", "yes")), "", {"day": "2026-11-20", "time": "10:00"}),
        ((Segment("supervisor", "friday at ten"), Segment("caller", "no")), "", {}),
        ((), "Book monday for Tom", {"day": "2026-11-23", "name": "Tom"}),
    ],
)  # fmt: skip
def test_what_was_settled_while_a_supervisor_spoke_is_known(
    meanwhile: tuple[Segment, ...], brief: str, fills: Mapping[str, str]
) -> None:
    found = reply("day", "", cause="back", meanwhile=meanwhile, brief=brief)
    assert found.fills == fills
    assert "I am back" in found.sentences[0]


@pytest.mark.parametrize(
    ("step", "words", "expected"),
    [
        ("day", "tomorrow", Completeness.COMPLETE),
        ("day", "well the", Completeness.UNFINISHED),
        ("day", "tomorrow and", Completeness.UNFINISHED),
        ("day", "hello", Completeness.OPEN),
        ("day", "", Completeness.NOTHING),
        ("name", "five five", Completeness.UNFINISHED),
        ("name", "five five five one two three", Completeness.OPEN),
        ("name", " ".join(["five"] * 13), Completeness.FULL),
        ("confirm", "yes", Completeness.BARE),
        ("confirm", "no make it wednesday", Completeness.COMPLETE),
        ("day", "on sunday", Completeness.COMPLETE),
    ],
)
def test_completeness_of_partial_words(step: str, words: str, expected: Completeness) -> None:
    found = completeness(FLOW, FLOW.steps[step], words, date.fromisoformat(TODAY))
    assert found is expected


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("my name is Peter Miller", "Peter Miller"),
        ("it's for Sarah", "Sarah"),
        ("Xavier", "Xavier"),
        ("I would like to come tomorrow", ""),
        ("020 7946 0018", "02079460018"),
    ],
)
def test_names_and_numbers(said: str, name: str) -> None:
    found = understand(FLOW, FLOW.steps["name"], said, date.fromisoformat(TODAY))
    assert found.values.get("name", "") == name


def test_only_what_was_heard_is_told() -> None:
    said = (
        Said("agent", "Which day?", "Which day?", 0.0, 1.0),
        Said("agent", "We are open all week.", "We are", 2.0, 2.5, interrupted=True),
        Said("caller", "friday", "friday", 2.3, 3.0),
        Said("agent", "Never heard", "", 3.5, 3.6),
        Said("agent", "Still playing", None, 4.0, None),
    )
    told = segments(said)
    assert [part.text for part in told] == ["Which day?", "We are", "friday"]
    assert (told[1].pause_before_s, told[1].interrupted, told[2].overlap_s) == (1.0, True, 0.2)


@pytest.mark.parametrize("body", [{}, {"cause": "dance", "today": TODAY}, {"cause": "speech", "today": TODAY, "x": 1}])  # fmt: skip
def test_broken_situation_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(SituationError):
        Situation.from_json(body)


class Model:
    """`LanguageModel` that says what it is told to, then fails if asked to."""

    def __init__(self, *events: ModelEvent, fault: Exception | None = None) -> None:
        self.events = events
        self.fault = fault

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ModelEvent, None]:
        for event in self.events:
            yield event
        if self.fault is not None:
            raise self.fault

    async def close(self) -> None:
        return None


async def pieces(model: Model | None, **more: Any) -> list[Piece]:
    situation = Situation("speech", TODAY, "day", {}, "where are you", **more)
    return [piece async for piece in answer(FLOW, situation, model)]


async def test_model_is_cut_into_sentences_and_its_tools_become_effects() -> None:
    model = Model(
        TextDelta("We are at the quay. Which "),
        TextDelta("day? "),
        ToolIntent("1", "fill", {"slot": "day", "value": "2026-11-20"}),
        ToolIntent("2", "go_to", {"step": "time"}),
        ToolIntent("3", "wire_money", {}),
        TextDelta("Tell me"),
        Done("stop"),
    )
    found = await pieces(model)
    assert [piece.text for piece in found if piece.text] == [
        "We are at the quay.",
        "Which day?",
        "Tell me",
    ]
    assert [piece.effects for piece in found if piece.effects] == [
        {"fills": {"day": "2026-11-20"}},
        {"step": "time"},
        {"step": "tool:wire_money"},
    ]


async def test_failing_model_is_replaced_by_the_flow() -> None:
    found = await pieces(Model(fault=ModelFailedError("down")))
    assert "Quay Street" in found[0].text


async def test_model_that_fails_after_it_spoke_is_not_followed_by_the_flow() -> None:
    found = await pieces(Model(TextDelta("One thing. "), fault=ModelFailedError("gone")))
    assert [piece.text for piece in found] == ["One thing."]


async def test_without_a_model_the_flow_answers() -> None:
    assert "Quay Street" in (await pieces(None))[0].text


def test_model_is_told_what_is_known_and_offered_only_what_the_step_allows() -> None:
    history = (Segment("agent", "Which", interrupted=True), Segment("caller", "hm"))
    situation = Situation("speech", TODAY, "day", {"name": "Ann"}, "hm", brief="Be quick", history=history)  # fmt: skip
    messages = messages_of(FLOW, situation)
    assert "Known so far: name = Ann" in messages[0].content
    assert "Be quick" in messages[0].content
    assert messages[1].content == "Which [interrupted]"
    steps = next(tool for tool in tools_of(FLOW, situation) if tool.name == "go_to")
    allowed = steps.parameters["properties"]["step"]["enum"]
    assert "time" in allowed
    assert "booked" not in allowed
