"""What an agent says and listens for: its definition as JSON, read and checked.

```
{"voice": "slt",                     voice of the speech engine
 "zone": "Europe/London",            wall time of "today" and "tomorrow" (IANA name; default UTC)
 "instructions": ["..."],            for a language model only; the flow itself needs none
 "facts": {"business": "Harbour Dental"},     usable as {business} in every sentence; also the only numbers a model may say
 "start": "welcome",                 first step
 "must_say": ["You are speaking with an automated assistant."],   each is a sentence of the start step; never cut, only ducked
 "never_say": ["guarantee"],         words or phrases that no sentence may contain
 "names": ["Ann", "Tom"],            first names the recogniser knows
 "steps": [{
   "name": "day",                    [a-z][a-z0-9_]*
   "say": ["Which day would suit you?"],      spoken on entering; {slot} and {fact} are filled in
   "expect": {"kind": "date"},       see below; default {"kind": "nothing"}
   "slot": "day",                    what the answer fills; asked again only if it is empty
   "next": "time",                   after the answer (kind nothing: after the sentences)
   "answers": [{"value": "yes", "next": "booked"}],   per value, instead of `next` (yes_no: yes, no; one_of: its values)
   "listens": ["cancel"],            intents of this step beside those that are heard everywhere
   "clears": ["day", "time"],        slots forgotten on entering
   "reprompts": ["Sorry, which day?"],        in turn, when nothing fitting was understood
   "unfit": ["Which other day?"],    asked after a value outside `expect`'s limits was refused; the reason goes before
   "ending": ""                      after `say`: "" go on, "end" hang up, "person" ask for one, "transfer:sales" put through
 }],
 "intents": [{
   "name": "hours", "phrases": ["opening hours", "when are you open"],
   "say": ["We are open from nine to five."], answer; then the step's question again, unless `next` or `ending`
   "everywhere": true,               heard in every step
   "next": "", "ending": ""          as in a step; "repeat" says the last question again, "help" what can be asked
 }],
 "transfers": [{"name": "sales", "to": "+4930123456", "mode": "attended", "brief": ["I have {name} for you."],
   "then": "return", "leaves": false}],      who may be called, and nobody else; see `agents.conversation.endings`
 "wording": {"not_understood": [...], ...},   sentences of the house, see `agents.conversation.wording`; all optional
 "limits": {"turns": 120, "minutes": 29, "misunderstandings": 3, "silence_s": 8, "silences": 3}
}
```
`expect`: `{"kind": "nothing"}` asks nothing · `{"kind": "intents"}` any intent, and any slot of the flow ·
`{"kind": "yes_no"}` · `{"kind": "one_of", "options": [{"value": "checkup", "phrases": ["check up"], "digit": "1"}]}` ·
`{"kind": "digits", "min": 6, "max": 12}` · `{"kind": "date", "weekdays": ["monday"], "within_days": 60}` ·
`{"kind": "time", "earliest": "09:00", "latest": "16:30"}` · `{"kind": "name"}` (with `min`, `max`: a number of that
length will do as well) · `{"kind": "free"}` any words.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from agents.conversation.endings import (
    OF_INTENTS,
    OF_STEPS,
    Destination,
    Ending,
    faults_of_endings,
    read_destination,
    read_ending,
)
from agents.conversation.limits import Limits, read_limits
from agents.conversation.reading import Reader
from agents.conversation.wording import Wording, read_wording

Kind = Literal["nothing", "intents", "yes_no", "one_of", "digits", "date", "time", "name", "free"]
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class FlowError(Exception):
    """The definition cannot be used; `problems` holds one text per fault, each with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class Option:
    """One possible answer of `one_of`; `digit` is the key that means it, if any."""

    value: str
    phrases: tuple[str, ...]
    digit: str = ""


@dataclass(frozen=True, slots=True)
class Expect:
    """The answers a step takes.

    `minimum`, `maximum` count digits (0: no number is taken); times are minutes of the day.
    """

    kind: Kind = "nothing"
    options: tuple[Option, ...] = ()
    minimum: int = 0
    maximum: int = 0
    weekdays: tuple[str, ...] = WEEKDAYS
    within_days: int = 365
    earliest: int = 0
    latest: int = 24 * 60 - 1


@dataclass(frozen=True, slots=True)
class Step:
    """One question (or announcement) of the flow."""

    name: str
    say: tuple[str, ...] = ()
    expect: Expect = field(default_factory=Expect)
    slot: str = ""
    next: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    listens: tuple[str, ...] = ()
    clears: tuple[str, ...] = ()
    reprompts: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    ending: Ending = ""

    def successors(self) -> frozenset[str]:
        """Steps that may follow by this step's own answers."""
        return frozenset(name for name in (self.next, *self.answers.values()) if name)


@dataclass(frozen=True, slots=True)
class Intent:
    """Something a caller may want at any time (`everywhere`) or in the steps that list it."""

    name: str
    phrases: tuple[str, ...]
    say: tuple[str, ...] = ()
    everywhere: bool = False
    next: str = ""
    ending: Ending = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """A checked definition; immutable, shared by all calls of the agent's version."""

    start: str
    steps: Mapping[str, Step]
    intents: Mapping[str, Intent]
    facts: Mapping[str, str]
    must_say: tuple[str, ...]
    never_say: tuple[str, ...]
    names: tuple[str, ...]
    wording: Wording
    limits: Limits
    voice: str
    zone: ZoneInfo
    instructions: str
    transfers: Mapping[str, Destination] = field(default_factory=dict)
    slot_steps: Mapping[str, Step] = field(init=False, repr=False, compare=False)
    """The first step that asks for each slot."""

    def __post_init__(self) -> None:
        found: dict[str, Step] = {}
        for step in self.steps.values():
            if step.slot:
                found.setdefault(step.slot, step)
        object.__setattr__(self, "slot_steps", found)

    def heard_in(self, step: Step) -> tuple[Intent, ...]:
        """Intents a caller may utter in this step."""
        every = step.expect.kind == "intents"
        return tuple(
            intent
            for intent in self.intents.values()
            if every or intent.everywhere or intent.name in step.listens
        )

    def may_follow(self, step: Step) -> frozenset[str]:
        """Steps that may be entered from here, itself included."""
        targets = {intent.next for intent in self.heard_in(step) if intent.next}
        return frozenset({step.name, *step.successors(), *targets})


def parse_definition(definition: Any) -> Flow:
    """The definition as a `Flow`.

    Raises:
        FlowError: with all problems found, each with its place.
    """
    faults: list[str] = []
    reader = Reader(definition, "", faults)
    steps = reader.items("steps", _read_step)
    intents = reader.items("intents", _read_intent)
    flow = Flow(
        start=reader.name("start", required=True),
        steps={step.name: step for step in steps},
        intents={intent.name: intent for intent in intents},
        facts=reader.mapping("facts"),
        must_say=reader.texts("must_say"),
        never_say=reader.texts("never_say"),
        names=reader.texts("names"),
        wording=read_wording(reader.inner("wording")),
        limits=read_limits(reader.inner("limits")),
        voice=reader.text("voice", "slt"),
        zone=_read_zone(reader),
        instructions="\n".join(reader.texts("instructions")),
        transfers={each.name: each for each in reader.items("transfers", read_destination)},
    )
    reader.close()
    faults.extend(_repeated("steps", [step.name for step in steps]))
    faults.extend(_repeated("intents", [intent.name for intent in intents]))
    faults.extend(_faults_between(flow))
    if faults:
        raise FlowError(faults)
    return flow


def _read_step(reader: Reader) -> Step:
    name = reader.name("name", required=True)
    expect = _read_expect(reader.inner("expect"))
    answers = dict(reader.items("answers", _read_answer))
    step = Step(
        name=name,
        say=reader.texts("say"),
        expect=expect,
        slot=reader.name("slot"),
        next=reader.name("next"),
        answers=answers,
        listens=reader.names("listens"),
        clears=reader.names("clears"),
        reprompts=reader.texts("reprompts"),
        unfit=reader.texts("unfit"),
        ending=read_ending(reader, OF_STEPS),
    )
    reader.close()
    values = {"yes", "no"} if expect.kind == "yes_no" else {o.value for o in expect.options}
    for value in sorted(set(answers) - values):
        reader.fault("answers", f"{value!r} is not an answer of this step")
    if expect.kind != "nothing" and not step.say:
        reader.fault("say", "a step that expects an answer has to ask for it")
    open_values = values - set(answers) if values else {""}
    leads_on = step.next or step.ending or expect.kind == "intents" or not open_values
    if not leads_on:
        reader.fault("next", "nothing follows this step: give `next`, `answers` or `ending`")
    return step


def _read_answer(reader: Reader) -> tuple[str, str]:
    pair = reader.text("value", required=True), reader.name("next", required=True)
    reader.close()
    return pair


def _read_intent(reader: Reader) -> Intent:
    intent = Intent(
        name=reader.name("name", required=True),
        phrases=reader.texts("phrases"),
        say=reader.texts("say"),
        everywhere=reader.flag("everywhere"),
        next=reader.name("next"),
        ending=read_ending(reader, OF_INTENTS),
    )
    reader.close()
    if not intent.phrases:
        reader.fault("phrases", "at least one phrase is needed")
    if not (intent.say or intent.next or intent.ending):
        reader.fault("", "the intent has no effect: give `say`, `next` or `ending`")
    return intent


def _read_expect(reader: Reader) -> Expect:
    kind = reader.choice("kind", get_args(Kind), "nothing")
    counts = kind in ("digits", "name")
    minimum = reader.count("min", 1 if kind == "digits" else 0, 0, 30) if counts else 0
    maximum = reader.count("max", max(minimum, 0), 0, 30) if counts else 0
    weekdays = reader.texts("weekdays", WEEKDAYS) if kind == "date" else WEEKDAYS
    expect = Expect(
        kind=next(each for each in get_args(Kind) if each == kind),
        options=reader.items("options", _read_option) if kind == "one_of" else (),
        minimum=minimum,
        maximum=maximum,
        weekdays=weekdays,
        within_days=reader.count("within_days", 365, 1, 730) if kind == "date" else 365,
        earliest=_read_minutes(reader, "earliest", "00:00") if kind == "time" else 0,
        latest=_read_minutes(reader, "latest", "23:59") if kind == "time" else 24 * 60 - 1,
    )
    reader.close()
    if not weekdays or set(weekdays) - set(WEEKDAYS):
        reader.fault("weekdays", f"must be some of {', '.join(WEEKDAYS)}")
    if maximum < minimum:
        reader.fault("max", "must not be less than min")
    if expect.latest < expect.earliest:
        reader.fault("latest", "must not be before earliest")
    if kind == "one_of" and not expect.options:
        reader.fault("options", "at least one option is needed")
    return expect


def _read_option(reader: Reader) -> Option:
    value = reader.text("value", required=True)
    option = Option(value, reader.texts("phrases", [value]), reader.text("digit"))
    reader.close()
    if option.digit and option.digit not in "123456789":
        reader.fault("digit", "must be one key from 1 to 9 (0 asks for a person)")
    return option


def _read_minutes(reader: Reader, key: str, default: str) -> int:
    hours, _, minutes = reader.text(key, default).partition(":")
    if hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60:
        return int(hours) * 60 + int(minutes)
    reader.fault(key, "must be a time such as 09:30")
    return 0


def _read_zone(reader: Reader) -> ZoneInfo:
    name = reader.text("zone", "UTC")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        reader.fault("zone", f"{name!r} is not a time zone such as Europe/London")
        return ZoneInfo("UTC")


def _repeated(place: str, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{place}[{name}]: this name is used twice"


def _faults_between(flow: Flow) -> Iterator[str]:
    if flow.start not in flow.steps:
        yield f"start: there is no step {flow.start!r}"
    for step in flow.steps.values():
        place = f"steps[{step.name}]"
        for target in sorted(step.successors() - set(flow.steps)):
            yield f"{place}.next: there is no step {target!r}"
        for name in sorted(set(step.listens) - set(flow.intents)):
            yield f"{place}.listens: there is no intent {name!r}"
        for name in sorted(set(step.clears) - set(flow.slot_steps)):
            yield f"{place}.clears: no step fills the slot {name!r}"
    for intent in flow.intents.values():
        if intent.next and intent.next not in flow.steps:
            yield f"intents[{intent.name}].next: there is no step {intent.next!r}"
    places = [(f"steps[{step.name}]", step.ending) for step in flow.steps.values()]
    places += [(f"intents[{intent.name}]", intent.ending) for intent in flow.intents.values()]
    yield from faults_of_endings(places, flow.transfers)
    yield from _faults_of_sentences(flow)
    yield from _endless_steps(flow)


def _faults_of_sentences(flow: Flow) -> Iterator[str]:
    known = {*flow.facts, *flow.slot_steps}
    for place, sentence in sentences_of(flow):
        try:
            fields = {
                name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None
            }
        except ValueError:
            yield f"{place}: a curly bracket is not closed"
            continue
        for name in sorted(fields - known):
            yield f"{place}: {{{name}}} is neither a fact nor a slot"
        for phrase in flow.never_say:
            if phrase.lower() in sentence.lower():
                yield f"{place}: says {phrase!r}, which is in never_say"
    start = flow.steps.get(flow.start)
    for sentence in flow.must_say:
        if start is None or sentence not in start.say:
            yield f"must_say: {sentence!r} is not a sentence of the start step"


def sentences_of(flow: Flow) -> Iterator[tuple[str, str]]:
    """Every sentence of the flow with its place, placeholders unfilled."""
    for step in flow.steps.values():
        for key in ("say", "reprompts", "unfit"):
            for i, sentence in enumerate(getattr(step, key)):
                yield f"steps[{step.name}].{key}[{i}]", sentence
    for intent in flow.intents.values():
        for i, sentence in enumerate(intent.say):
            yield f"intents[{intent.name}].say[{i}]", sentence
    for destination in flow.transfers.values():
        for i, sentence in enumerate(destination.brief):
            yield f"transfers[{destination.name}].brief[{i}]", sentence


def _endless_steps(flow: Flow) -> Iterator[str]:
    """Steps that ask nothing must lead to one that does, or to an end."""
    for step in flow.steps.values():
        seen: set[str] = set()
        current: Step | None = step
        while current and current.expect.kind == "nothing" and not current.ending:
            if current.name in seen:
                yield f"steps[{step.name}].next: leads round in a circle without a question"
                break
            seen.add(current.name)
            current = flow.steps.get(current.next)
