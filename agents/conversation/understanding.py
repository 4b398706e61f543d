"""What a caller's words mean in a step of a flow: answers, values of slots, intents. Pure; English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from enum import Enum
from typing import Final

from agents.conversation.dates import WEEKDAYS, find_date, find_time
from agents.conversation.flow import Expect, Flow, Intent, Step
from agents.conversation.words import (
    FILLERS,
    TEENS,
    TENS,
    UNITS,
    digits,
    find,
    phrase_tokens,
    tokens,
    without_fillers,
)
from agents.turn.endpointing import Completeness
from telephony.values import value

YES: Final = (
    "yes", "yeah", "yep", "yes please", "correct", "right", "that is right", "thats right", "sure",
    "of course", "exactly", "ok", "okay", "fine", "perfect", "please do", "that works", "absolutely",
    "sounds good", "good", "great", "it is",
)  # fmt: skip
NO: Final = (
    "no", "nope", "nah", "not", "wrong", "no thanks", "no thank you", "dont", "never mind", "incorrect",
    "negative", "not really",
)  # fmt: skip
_NAME_LEADS: Final = (
    "my name is", "the name is", "name is", "this is", "i am", "im", "its", "it is", "call me",
    "for", "under", "under the name", "in the name of",
)  # fmt: skip
_NO_NAME: Final = frozenset(
    ["a", "an", "the", "my", "your", "it", "is", "am", "are", "was", "to", "at", "on", "in", "for", "of", "me", "you", "i", "we", "yes", "no", "please", "thanks", "thank", "not", "name", "calling", "here", "speaking", "from", "about", "booking", "appointment", "today", "tomorrow", "tonight", "next", "this", "that", "morning", "afternoon", "evening", "oclock", "half", "past", "quarter", "noon", "something", "someone", "everything", "nothing", "what", "who", "where", "when", "how", "can", "could", "would", "like", "want", "need", "help", "well", "maybe"]
) | frozenset([*WEEKDAYS, *UNITS, *TEENS, *TENS])  # fmt: skip
LONGEST_NAME_WORDS: Final = 3
FEWEST_DIGITS: Final = 2
"""From so many on, digits in answer to a question for a name are a number that was cut short."""


class Why(Enum):
    """Why a value that was understood is not taken."""

    CLOSED = "closed"
    PAST = "past"
    FAR = "far"
    OVER = "over"
    LATE = "late"
    HOURS = "hours"
    DIGITS = "digits"


@value(frozen=True, slots=True)
class Refused:
    """A value outside a slot's limits: an ISO date, a time as 15:30, or digits."""

    slot: str
    why: Why
    value: str


@value(frozen=True, slots=True)
class Understanding:
    """`values`: slots with what was said for them; `answer`: the value of the step's own question.

    `refused`: what was understood, but is outside the limits of its slot, whichever step was asking.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    intent: Intent | None = None
    refused: tuple[Refused, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.values or self.answer or self.intent or self.refused)


def understand(flow: Flow, step: Step, text: str, today: date) -> Understanding:
    """What `text` means when `step` has asked."""
    words = tokens(text)
    answer, refusal = _answer(flow, step, words, today)
    values, refused = _values(flow, step, words, today)
    intent = _intent(flow.heard_in(step), words)
    if step.slot and answer:
        values = {**values, step.slot: answer}
    if intent and step.expect.kind in ("name", "free") and not _names_itself(words):
        # "I would like to speak to a person" is no name.
        values = {name: value for name, value in values.items() if name != step.slot}
        answer = ""
    news = _other_values(values, step) or bool(refused)
    if step.expect.kind == "yes_no" and news and _says(NO, words):
        answer = "no"
    beside = bool(values or refused)  # "nine thirty" corrects a time, and is no short number
    if refusal and not answer and not (beside and refusal.why is Why.DIGITS):
        refused = [refusal, *refused]
    return Understanding(values, answer, intent, tuple(refused))


def understand_keys(step: Step, keys: str) -> Understanding:
    """What keys pressed on the telephone mean in a step; `#` closes a number and is not part of it."""
    expect, number = step.expect, keys.rstrip("#")
    answer = ""
    if expect.kind == "yes_no":
        answer = {"1": "yes", "2": "no"}.get(number, "")
    elif expect.kind == "one_of":
        answer = next((o.value for o in expect.options if o.digit and o.digit == number), "")
    elif expect.maximum and number.isdigit():
        answer = number if _length_fits(expect, number) else ""
        if not answer and len(number) >= FEWEST_DIGITS:
            return Understanding(refused=(Refused(step.slot, Why.DIGITS, number),))
    values = {step.slot: answer} if step.slot and answer else {}
    return Understanding(values, answer)


def completeness(flow: Flow, step: Step, text: str, today: date) -> Completeness:
    """What the words so far say about the end of the turn."""
    words = tokens(text)
    if not words:
        return Completeness.NOTHING
    expect = step.expect
    if words[-1] in FILLERS or words[-1] in ("the", "at", "for", "on", "is", "my", "to", "a"):
        return Completeness.UNFINISHED
    count = len(digits(words)) if expect.maximum else 0
    if expect.kind == "digits" or count:
        if count >= expect.maximum:
            return Completeness.FULL
        return Completeness.OPEN if count >= expect.minimum else Completeness.UNFINISHED
    found = understand(flow, step, text, today)
    if found.empty or expect.kind == "free":
        return Completeness.OPEN
    bare = expect.kind == "yes_no" and not (found.values or found.refused or found.intent)
    return Completeness.BARE if bare else Completeness.COMPLETE


def _answer(
    flow: Flow, step: Step, words: Sequence[str], today: date
) -> tuple[str, Refused | None]:
    """(value of the step's own question or empty, what was said that does not fit)."""
    expect = step.expect
    match expect.kind:
        case "yes_no":
            return _yes_or_no(words), None
        case "one_of":
            return _option(expect, words), None
        case "digits":
            number = digits(words)
            return _number(step, number, 1)
        case "date":
            return _day(step, find_date(words, today), today)
        case "time":
            return _time(step, words)
        case "name":
            number, refused = _number(step, digits(words), FEWEST_DIGITS)
            return (number, None) if number else (_name(flow, words, asked=True), refused)
        case "free":
            return " ".join(words), None
        case _:
            return "", None


def _number(step: Step, number: str, fewest: int) -> tuple[str, Refused | None]:
    if _length_fits(step.expect, number):
        return number, None
    counts = step.expect.maximum and len(number) >= fewest
    return "", Refused(step.slot, Why.DIGITS, number) if counts else None


def _day(step: Step, day: date | None, today: date) -> tuple[str, Refused | None]:
    if day is None:
        return "", None
    value, expect = day.isoformat(), step.expect
    if day < today:
        return "", Refused(step.slot, Why.PAST, value)
    if WEEKDAYS[day.weekday()] not in expect.weekdays:
        return "", Refused(step.slot, Why.CLOSED, value)
    if day > today + timedelta(expect.within_days):
        return "", Refused(step.slot, Why.FAR, value)
    return value, None


def _time(step: Step, words: Sequence[str]) -> tuple[str, Refused | None]:
    expect = step.expect
    minutes = find_time(words, expect.earliest, expect.latest)
    if minutes is None:
        return "", None
    value = f"{minutes // 60:02}:{minutes % 60:02}"
    fits = expect.earliest <= minutes <= expect.latest
    return (value, None) if fits else ("", Refused(step.slot, Why.HOURS, value))


def _values(
    flow: Flow, step: Step, words: Sequence[str], today: date
) -> tuple[dict[str, str], list[Refused]]:
    """Values of other slots in the same breath, "tomorrow at three for Ann", and those that do not fit."""
    values: dict[str, str] = {}
    refused: list[Refused] = []
    for slot, asking in flow.slot_steps.items():
        if asking.name == step.name or asking.expect.kind in ("free", "yes_no"):
            continue
        refusal = None
        if asking.expect.kind == "name":
            value = _name(flow, words, asked=False)
        elif (asking.expect.kind == "digits" and not _long_enough(asking.expect)) or (
            asking.expect.kind == "time" and not _clearly_a_time(words)
        ):
            value = ""
        else:
            value, refusal = _answer(flow, asking, words, today)
        if value:
            values[slot] = value
        if refusal is not None and refusal.why is not Why.DIGITS:
            refused.append(refusal)
    return values, refused


def _other_values(values: Mapping[str, str], step: Step) -> bool:
    return any(name != step.slot for name in values)


def _long_enough(expect: Expect) -> bool:
    return expect.minimum >= 5  # shorter numbers are hours and house numbers


def _clearly_a_time(words: Sequence[str]) -> bool:
    marks = {"at", "oclock", "am", "pm", "half", "quarter", "past", "noon", "midday", "morning", "afternoon", "evening"}  # fmt: skip
    return bool(marks.intersection(words)) or any(":" in word for word in words)


def _length_fits(expect: Expect, number: str) -> bool:
    return bool(number) and expect.minimum <= len(number) <= expect.maximum


def _yes_or_no(words: Sequence[str]) -> str:
    if _says(NO, words):
        return "no"
    return "yes" if _says(YES, words) else ""


def _says(phrases: Sequence[str], words: Sequence[str]) -> bool:
    return any(find(phrase.split(), words) >= 0 for phrase in phrases)


def _option(expect: Expect, words: Sequence[str]) -> str:
    found = [
        (len(phrase), option.value)
        for option in expect.options
        for phrase in map(phrase_tokens, option.phrases or (option.value,))
        if find(phrase, words) >= 0
    ]
    return max(found)[1] if found else ""


def _intent(intents: Sequence[Intent], words: Sequence[str]) -> Intent | None:
    """The intent with the longest phrase that was said."""
    best: tuple[int, Intent] | None = None
    for intent in intents:
        for phrase in map(phrase_tokens, intent.phrases):
            longer = best is None or len(phrase) > best[0]
            if longer and find(phrase, words) >= 0:
                best = (len(phrase), intent)
    return best[1] if best else None


def _names_itself(words: Sequence[str]) -> bool:
    return any(find(lead.split(), words) >= 0 for lead in _NAME_LEADS[:3])


def _name(flow: Flow, words: Sequence[str], *, asked: bool) -> str:
    for lead in sorted(_NAME_LEADS, key=len, reverse=True):
        place = find(lead.split(), words)
        if place >= 0:
            name = _leading_name(words[place + len(lead.split()) :])
            known = name.split()[:1] and name.split()[0] in map(str.lower, flow.names)
            if name and (asked or known or lead in _NAME_LEADS[:3]):
                return name.title()
    known_names = [word for word in words if word in map(str.lower, flow.names)]
    if known_names and asked:
        return _leading_name(words[words.index(known_names[0]) :]).title()
    plain = without_fillers(words)
    alone = asked and 0 < len(plain) <= 2 and _leading_name(plain).split() == plain
    return " ".join(plain).title() if alone else ""


def _leading_name(words: Sequence[str]) -> str:
    name: list[str] = []
    for word in words[:LONGEST_NAME_WORDS]:
        if word in _NO_NAME or word in FILLERS or not word.isalpha():
            break
        name.append(word)
    return " ".join(name)
