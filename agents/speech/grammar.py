"""Grammars from expected answers, and the check that every word can be recognised.

A caller's answer is a `Part`: JSGF alternatives. `build` joins the parts a step takes, with the words
people put around an answer, into one `Grammar`. The check needs the dictionary file only, no decoder,
so publishing a flow can be refused in the admin. Digits in phrases must be spelled ("nine", not "9").
"""

import importlib.util
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from agents.speech.errors import GrammarError, UnknownWordError
from agents.speech.letters import spell
from agents.speech.ports import Grammar

FILLERS: Final = frozenset({"um", "uh", "er", "erm", "well"})
# Weighted: unweighted, a filler is heard in the breath around one answer in three.
BEFORE: Final = "/1/ <NULL> | /1e-5/ (um | uh | well | okay)"
GREETING: Final = "/1/ <NULL> | /0.1/ (hi | hello)"
AFTER: Final = "/1/ <NULL> | /0.1/ (please | thanks | thank you) | /1e-4/ (um | uh)"
DIGITS: Final = "zero | one | two | three | four | five | six | seven | eight | nine"
HOURS: Final = (
    "one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve"
)
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Below this confidence an answer is more likely something else: ask again or confirm.
UNSURE_BELOW: Final = 0.25
MOST_WORDS: Final = 5_000
PUNCTUATION: Final = frozenset(',.?!:;-"\N{EN DASH}\N{EM DASH}')
_WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*\.?|\S")
_SYNTAX: Final = re.compile(r"<[^>]*>|/[^/]*/|\{[^}]*\}|[()\[\]|*+=;]")


@dataclass(frozen=True, slots=True)
class Part:
    """JSGF alternatives for one kind of answer; `step` names where they come from in messages.

    `greeted`: people say hello before it. Before a mere answer that costs more than it gives: "oh" is
    heard as "hello".
    """

    alternatives: str
    step: str = ""
    greeted: bool = True


def plain(phrase: str) -> str:
    """A phrase as the dictionary spells it: lower case, no punctuation.

    Raises:
        GrammarError: for digits and signs that have no single way of being spoken.
    """
    found = []
    for token in _WORD.findall(phrase.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if token in PUNCTUATION:
            continue
        if not token[0].isalpha():
            message = f"{token!r} in {phrase!r}: write it as it is spoken"
            raise GrammarError(message)
        found.extend(token.rstrip(".").split("-"))
    if not found:
        message = f"{phrase!r} holds no word"
        raise GrammarError(message)
    return " ".join(found)


def phrases(options: Iterable[str], step: str = "") -> Part:
    """Any of these phrases."""
    return Part(" | ".join(dict.fromkeys(plain(option) for option in options)), step)


def yes_no(step: str = "") -> Part:
    """Agreement or refusal, in the usual words."""
    agree = "yes | yeah | yep | sure | correct | that's right | that is right | yes that is right"
    more = "that's correct | that is correct | yes please | right | of course | go ahead | perfect"
    refuse = "no | nope | no thank you | no thanks | that's wrong | that is wrong | not quite"
    other = "no that is wrong | no that's wrong | that is not right | that's not right | incorrect"
    return Part(f"{agree} | {more} | {refuse} | {other}", step, greeted=False)


def digits(least: int, most: int, step: str = "") -> Part:
    """A number spoken digit by digit, also "double five", with its usual introduction.

    The length is left open: a caller pauses half-way, and a wrong count is the flow's to judge.
    """
    if not 0 < least <= most:
        message = f"{least} to {most} digits cannot be expected"
        raise GrammarError(message)
    digit = f"(/1/ ({DIGITS}) | /0.05/ oh | /1e-3/ (double | triple) (oh | {DIGITS}))"
    # One digit alone is what most other words come out as.
    number = " ".join([digit] * min(least, 3)) + (f" {digit}*" if most > 3 else "")
    return Part(f"[my number is | the number is | it is | it's] {number}", step, greeted=False)


def date(weekdays: Sequence[str] = WEEKDAYS, step: str = "") -> Part:
    """A day near today, by its name."""
    named = " | ".join(weekdays)
    part_of_day = "[morning | afternoon]"
    return Part(
        f"[on | this | next | how about | what about | maybe | let us say] ({named}) {part_of_day}"
        f" | [how about | maybe] (today | tomorrow | the day after tomorrow) {part_of_day}",
        step,
        greeted=False,
    )


def time(step: str = "") -> Part:
    """A time of day on the twelve-hour clock."""
    hours = f"({HOURS})"
    minutes = "(fifteen | thirty | forty five | ten | twenty | forty | fifty)"
    half = "[a m | p m | in the (morning | afternoon | evening)]"
    return Part(
        f"[at | around | about | how about | maybe] ({hours} [o'clock] {half} | {hours} {minutes}"
        f" {half} | (half | quarter | ten | twenty) past {hours} {half} | (quarter | ten | twenty)"
        f" to {hours} {half} | noon | midday) | in the morning | in the afternoon",
        step,
        greeted=False,
    )


def name(first_names: Sequence[str], last_names: Sequence[str] = (), step: str = "") -> Part:
    """A name out of lists: a recogniser with a grammar cannot hear a name it does not know."""
    if not first_names:
        raise GrammarError("a name can only be expected out of a list of names")
    given = " | ".join(plain(one) for one in first_names)
    family = " | ".join(plain(one) for one in last_names)
    ending = f" [{family}] | {family}" if family else ""
    return Part(
        f"[my name is | this is | i am | i'm | it is | it's] (({given}){ending})",
        step,
        greeted=False,
    )


def build(parts: Sequence[Part], pronunciations: Iterable[tuple[str, str]] = ()) -> Grammar:
    """One grammar out of all answers that fit now, checked word by word.

    Words that are in no dictionary are pronounced by rule, `pronunciations` (word, phones) first.

    Raises:
        UnknownWordError: for a word that cannot be pronounced; names word and step.
        GrammarError: when there is nothing to say, or far too much.
    """
    known = dict(pronunciations)
    used = [part for part in parts if part.alternatives.strip()]
    if not used:
        raise GrammarError("nothing is expected: name at least one phrase")
    added = {word: phones for part in used for word, phones in _added(part, known).items()}
    rules = [f"<part{number}> = {part.alternatives};" for number, part in enumerate(used)]
    answer = " | ".join(
        f"<greeting> <part{number}>" if part.greeted else f"<part{number}>"
        for number, part in enumerate(used)
    )
    jsgf = "\n".join(
        (
            "#JSGF V1.0;",
            "grammar expected;",
            f"<before> = {BEFORE};",
            f"<after> = {AFTER};",
            f"<greeting> = {GREETING};",
            *rules,
            f"public <answer> = <before> ({answer}) <after>;",
            "",
        )
    )
    return Grammar(jsgf=jsgf, words=tuple(sorted(added.items())))


def compiled(grammar: Grammar) -> Grammar:
    """The grammar with JSGF: made from its sentences if it has none. Raises: GrammarError."""
    if grammar.jsgf:
        return grammar
    if not grammar.sentences:
        raise GrammarError("the embedded recogniser needs a grammar or sentences")
    return build([phrases(grammar.sentences)], grammar.words)


def words_of(part: Part) -> list[str]:
    """All words that a part's alternatives use. Raises: GrammarError for unbalanced brackets."""
    depth: list[str] = []
    for sign in re.sub(r"[^()\[\]]", "", part.alternatives):
        if sign in "([":
            depth.append(sign)
        elif not depth or depth.pop() + sign not in {"()", "[]"}:
            raise GrammarError(f"brackets do not match (step {part.step!r})")
    if depth:
        raise GrammarError(f"a bracket is not closed (step {part.step!r})")
    found = list(dict.fromkeys(_SYNTAX.sub(" ", part.alternatives).split()))
    if len(found) > MOST_WORDS:
        raise GrammarError(f"{len(found)} words are too many (step {part.step!r})")
    return found


def _added(part: Part, known: dict[str, str]) -> dict[str, str]:
    added: dict[str, str] = {}
    for word in words_of(part):
        if word in known:
            added[word] = known[word]
        elif word not in dictionary_words():
            phones = spell(word)
            if not phones:
                raise UnknownWordError(word, part.step)
            added[word] = phones
    return added


@cache
def dictionary_words() -> frozenset[str]:
    """The words of pocketsphinx's US English dictionary (135,000; 40 ms to read, then kept).

    Raises:
        GrammarError: when pocketsphinx is not installed.
    """
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or not spec.submodule_search_locations:
        raise GrammarError("pocketsphinx is not installed: no dictionary to check words against")
    path = Path(spec.submodule_search_locations[0]) / "model/en-us/cmudict-en-us.dict"
    with path.open(encoding="utf-8") as lines:
        return frozenset(line.split(" ", 1)[0].split("(")[0] for line in lines)
