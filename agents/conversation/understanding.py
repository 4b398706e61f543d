"""What a caller's words mean in a step of a flow: answers, values of slots, intents. Pure; English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from agents.conversation.dates import WEEKDAYS, find_date, find_time
from agents.conversation.flow import Expect, Flow, Intent, Step
from agents.conversation.words import FILLERS, digits, find, tokens, without_fillers
from agents.turn.endpointing import Completeness

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
) | frozenset(WEEKDAYS)  # fmt: skip
LONGEST_NAME_WORDS: Final = 3


@dataclass(frozen=True, slots=True)
class Understanding:
    """`values`: slots with what was said for them; `answer`: the value of the step's own question.

    `unfit`: the answer was understood, but the step does not take it. `denied`: it began with a no.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    answer: str = ""
    intent: Intent | None = None
    unfit: bool = False
    denied: bool = False

    @property
    def empty(self) -> bool:
        return not (self.values or self.answer or self.intent or self.unfit)


def understand(flow: Flow, step: Step, text: str, today: date) -> Understanding:
    """What `text` means when `step` has asked."""
    words = tokens(text)
    denied = _says(NO, words)
    answer, unfit = _answer(flow, step.expect, words, today)
    values = _values(flow, step, words, today)
    intent = _intent(flow.heard_in(step), words)
    if step.slot and answer:
        values = {**values, step.slot: answer}
    if intent and step.expect.kind in ("name", "free") and not _names_itself(words):
        # "I would like to speak to a person" is no name.
        values = {name: value for name, value in values.items() if name != step.slot}
        answer = ""
    if step.expect.kind == "yes_no" and _other_values(values, step) and denied:
        answer = "no"
    return Understanding(values, answer, intent, unfit and not answer, denied)


def understand_keys(step: Step, keys: str) -> Understanding:
    """What keys pressed on the telephone mean in a step; `#` closes a number and is not part of it."""
    expect, number = step.expect, keys.rstrip("#")
    answer = ""
    if expect.kind == "yes_no":
        answer = {"1": "yes", "2": "no"}.get(number, "")
    elif expect.kind == "one_of":
        answer = next((o.value for o in expect.options if o.digit and o.digit == number), "")
    elif expect.maximum and expect.minimum <= len(number) <= expect.maximum:
        answer = number if number.isdigit() else ""
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
    return Completeness.OPEN if found.empty or expect.kind == "free" else Completeness.COMPLETE


def _answer(flow: Flow, expect: Expect, words: Sequence[str], today: date) -> tuple[str, bool]:
    """(value of the step's own question or empty, whether something unfit was said)."""
    match expect.kind:
        case "yes_no":
            return _yes_or_no(words), False
        case "one_of":
            return _option(expect, words), False
        case "digits":
            number = digits(words)
            return (number, False) if _length_fits(expect, number) else ("", bool(number))
        case "date":
            day = find_date(words, today)
            if day is None:
                return "", False
            return (day.isoformat(), False) if _day_fits(expect, day, today) else ("", True)
        case "time":
            return _time(expect, words)
        case "name":
            number = digits(words)
            if expect.maximum and _length_fits(expect, number):
                return number, False
            return _name(flow, words, asked=True), False
        case "free":
            return " ".join(words), False
        case _:
            return "", False


def _time(expect: Expect, words: Sequence[str]) -> tuple[str, bool]:
    minutes = find_time(words, expect.earliest, expect.latest)
    if minutes is None:
        return "", False
    if not expect.earliest <= minutes <= expect.latest:
        return "", True
    return f"{minutes // 60:02}:{minutes % 60:02}", False


def _values(flow: Flow, step: Step, words: Sequence[str], today: date) -> dict[str, str]:
    """Values of other slots in the same breath: "tomorrow at three for Ann"."""
    values: dict[str, str] = {}
    for slot, asking in flow.slot_steps().items():
        if asking.name == step.name or asking.expect.kind in ("free", "yes_no"):
            continue
        if asking.expect.kind == "name":
            value = _name(flow, words, asked=False)
        elif (asking.expect.kind == "digits" and not _long_enough(asking.expect)) or (
            asking.expect.kind == "time" and not _clearly_a_time(words)
        ):
            value = ""
        else:
            value, _ = _answer(flow, asking.expect, words, today)
        if value:
            values[slot] = value
    return values


def _other_values(values: Mapping[str, str], step: Step) -> bool:
    return any(name != step.slot for name in values)


def _long_enough(expect: Expect) -> bool:
    return expect.minimum >= 5  # shorter numbers are hours and house numbers


def _clearly_a_time(words: Sequence[str]) -> bool:
    marks = {"at", "oclock", "am", "pm", "half", "quarter", "past", "noon", "midday", "morning", "afternoon"}  # fmt: skip
    return bool(marks.intersection(words)) or any(":" in word for word in words)


def _length_fits(expect: Expect, number: str) -> bool:
    return bool(number) and expect.minimum <= len(number) <= expect.maximum


def _day_fits(expect: Expect, day: date, today: date) -> bool:
    soon = today <= day <= today + timedelta(expect.within_days)
    return soon and WEEKDAYS[day.weekday()] in expect.weekdays


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
        for phrase in map(tokens, option.phrases or (option.value,))
        if find(phrase, words) >= 0
    ]
    return max(found)[1] if found else ""


def _intent(intents: Sequence[Intent], words: Sequence[str]) -> Intent | None:
    """The intent with the longest phrase that was said."""
    best: tuple[int, Intent] | None = None
    for intent in intents:
        for phrase in map(tokens, intent.phrases):
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
