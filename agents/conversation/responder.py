"""The answer that a flow gives by itself, without any model. Pure: the same situation has the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from agents.conversation.audio import UNHEARD
from agents.conversation.context import Situation
from agents.conversation.flow import Expect, Flow, Intent, Step
from agents.conversation.past import without_past
from agents.conversation.rendering import Renderer
from agents.conversation.spoken import spoken_refusal
from agents.conversation.understanding import (
    Refused,
    Understanding,
    Why,
    understand,
    understand_keys,
)

LONGEST_QUOTE_WORDS: Final = 10
GARBLED_BELOW: Final = 0.03
"""Confidence below which the words are something else altogether."""
UNSURE_BELOW: Final = 0.25
"""Confidence below which a question is not left for a wish of so few words."""
GUESSED_BELOW: Final = 0.04
"""The same for every wish: "no thanks" is often not surer than 0.05, and the half of a sentence is no goodbye."""
SHORT_WORDS: Final = 2
_REASONS: Final = {
    Why.CLOSED: "closed_day",
    Why.PAST: "past_day",
    Why.FAR: "far_day",
    Why.OVER: "today_over",
    Why.LATE: "past_time",
    Why.HOURS: "outside_hours",
    Why.DIGITS: "wrong_digits",
}
_MOST_STEPS: Final = 50
_YES_NO: Final = Step("", expect=Expect("yes_no"))
_OPEN: Final = Step("", expect=Expect("intents"))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: sentences in order, and what it changes. `step` empty: stays where it is."""

    sentences: tuple[str, ...]
    fills: Mapping[str, str | None] = field(default_factory=dict)
    step: str = ""
    ending: str = ""
    misunderstood: bool = False


def respond(flow: Flow, situation: Situation) -> Reply:
    """The flow's answer to the situation."""
    return _Answer(flow, situation).reply()


class _Answer:
    """One answer in the making: slots as they will be, and sentences so far."""

    def __init__(self, flow: Flow, situation: Situation) -> None:
        self._flow = flow
        self._at = situation
        self._today = date.fromisoformat(situation.today)
        self._slots = dict(situation.slots)
        self._fills: dict[str, str | None] = {}
        self._step = flow.steps.get(situation.step) or flow.steps[flow.start]

    def reply(self) -> Reply:
        if self._at.step not in self._flow.steps and self._at.cause not in ("limit", "silence"):
            return self._enter(self._flow.start)
        match self._at.cause:
            case "greet":
                return self._enter(self._flow.start)
            case "speech" | "keys":
                return self._heard()
            case "silence":
                return self._silence()
            case "back":
                return self._back()
            case "again":
                return self._done(self._question())
            case "transfer":
                failed = self._word("transfer_failed")
                return self._done([failed, *self._question()], step=self._step.name)
            case "limit":
                return self._done([self._word("limit_goodbye")], ending="end")

    # ------------------------------------------------------------------------------------------ what the caller said

    def _heard(self) -> Reply:
        if self._at.cause == "keys":
            if self._at.text == "0":
                return self._person()
            found = understand_keys(self._step, self._at.text)
        else:
            found = understand(self._flow, self._step, self._at.text, self._today)
        found = without_past(self._flow, found, self._slots, self._today, self._at.clock)
        if self._at.misunderstood >= self._flow.limits.misunderstandings:
            offered = self._after_offer(found)
            if offered is not None:
                return offered
        return self._not_understood() if self._doubtful(found) else self._meant(found)

    def _doubtful(self, found: Understanding) -> bool:
        """A grammar finds something expected in anything: what it is not sure of is asked again.

        Words as short as yes and no never come out sure.
        """
        kind = self._step.expect.kind
        short = len(self._at.text.split()) <= SHORT_WORDS
        wish = found.intent is not None and not (found.values or found.answer)
        if wish:
            limit = UNSURE_BELOW if short and kind != "intents" else GUESSED_BELOW
        else:
            limit = 0.0 if short else GARBLED_BELOW
        return self._at.confidence < limit

    def _meant(self, found: Understanding) -> Reply:
        if found.refused:
            return self._refuse(found)
        if found.intent and not found.answer:
            return self._intent(found.intent, found.values)
        corrects = self._corrects(found)
        if found.answer and not corrects:
            self._fill(found.values)
            return self._enter(self._step.answers.get(found.answer) or self._step.next)
        if found.values:
            return self._other_values(found.values)
        return self._not_understood()

    def _refuse(self, found: Understanding) -> Reply:
        """Says what cannot be, keeps the rest, and asks for another value where that is the question."""
        self._fill(found.values)
        asked, slots = self._step, frozenset(each.slot for each in found.refused)
        said = [self._reason(each) for each in found.refused]
        if found.answer and asked.expect.kind != "yes_no":
            target = asked.answers.get(found.answer) or asked.next
        elif asked.expect.kind == "intents":
            target = found.intent.next if found.intent else ""
            target = target or self._step_towards(found.refused[0].slot)
        else:
            target = ""
        kept = [name for name in sorted(slots) if self._slots.get(name)]
        if kept and asked.expect.kind != "yes_no":  # a confirmation says what is noted anyway
            heard = self._spoken(kept)
            said.append(self._renderer().text(self._pick(self._flow.wording.kept), heard=heard))
        if target:
            return self._enter(target, said, refused=slots)
        question = self._other(asked) if asked.slot in slots else self._question()
        return self._done([*said, *question], step=asked.name)

    def _reason(self, refused: Refused) -> str:
        sentences = getattr(self._flow.wording, _REASONS[refused.why])
        expect = self._flow.slot_steps[refused.slot].expect
        heard = spoken_refusal(refused.why.value, refused.value, expect, self._today)
        return self._renderer().text(self._pick(sentences), heard=heard)

    def _other(self, step: Step) -> list[str]:
        """The question for another value than the one that was refused."""
        another = self._pick(step.unfit)
        return [self._renderer().text(another)] if another else self._question()

    def _corrects(self, found: Understanding) -> bool:
        """Whether it is like "no, Friday": to a confirmation, new values are a correction, not an answer."""
        others = {name: value for name, value in found.values.items() if name != self._step.slot}
        news = any(self._slots.get(name) != value for name, value in others.items())
        return self._step.expect.kind == "yes_no" and news

    def _other_values(self, values: Mapping[str, str]) -> Reply:
        changed = [
            name for name, value in values.items() if self._slots.get(name) not in (None, value)
        ]
        self._fill(values)
        if self._step.expect.kind == "intents":
            target = self._step_towards(next(iter(values)))
            if target:
                return self._enter(target)
        heard = self._spoken(changed or list(values))
        lead = self._renderer().text(self._pick(self._flow.wording.corrected), heard=heard)
        if self._step.expect.kind == "yes_no":  # the question itself says the new values
            return self._done(self._question(), step=self._step.name)
        return self._done([lead, *self._question()], step=self._step.name)

    def _not_understood(self) -> Reply:
        times, limit = self._at.misunderstood + 1, self._flow.limits.misunderstandings
        if times >= limit:
            return self._done([self._word("offer_person", times - limit)], misunderstood=True)
        again = self._pick(self._step.reprompts, times - 1)
        rest = [self._renderer().text(again)] if again else self._question()
        lead = [] if again else [self._word("not_understood", times - 1)]
        if self._at.audio:
            lead = [self._word("bad_line", times - 1)]
        return self._done([*lead, *rest], misunderstood=True)

    def _after_offer(self, found: Understanding) -> Reply | None:
        """The caller was asked whether a colleague should come; None: the words were about something else."""
        if found.values:
            return None
        yes_no = understand(self._flow, _YES_NO, self._at.text, self._today).answer
        if yes_no == "yes" or (self._at.cause == "keys" and self._at.text == "1"):
            return self._person()
        if yes_no == "no":
            declined = self._word("person_declined")
            return self._done([declined, *self._question()], step=self._step.name)
        return None

    # ------------------------------------------------------------------------------------------------------- intents

    def _intent(self, intent: Intent, values: Mapping[str, str]) -> Reply:
        self._fill(values)
        said = [self._renderer().text(sentence) for sentence in intent.say]
        match intent.ending:
            case "person":
                return self._person(said)
            case "end":
                return self._done(said or [self._word("limit_goodbye")], ending="end")
            case "repeat":
                return self._done([*said, *(self._said_last() or self._whole())])
            case "help":
                return self._done([*(said or [self._word("help")]), *self._question()])
            case "":
                pass
            case transfer:
                said = said or [self._word("transfer")]
                return self._done(said, step=self._step.name, ending=transfer)
        if intent.next:
            return self._enter(intent.next, said)
        return self._done([*said, *self._onwards(said)], step=self._step.name)

    def _onwards(self, said: Sequence[str]) -> list[str]:
        """The question again after something in between; an open one in other words."""
        if said and said[-1].endswith("?"):
            return []
        open_question = self._step.expect.kind == "intents"
        return [self._word("anything_else")] if open_question else self._question()

    def _said_last(self) -> list[str]:
        """The agent's sentences before the caller asked for them again; none if they were cut off."""
        found: list[str] = []
        for part in reversed(self._at.history):
            if part.speaker == "agent" and not part.interrupted:
                found.insert(0, part.text)
            elif found or part.speaker != "caller":
                break
        return [text for text in found if text not in self._flow.must_say]

    def _person(self, said: Sequence[str] = ()) -> Reply:
        if self._at.person_requested:
            return self._done([self._word("person_waiting"), *self._question()])
        return self._done(said or [self._word("person")], step=self._step.name, ending="person")

    def _step_towards(self, slot: str) -> str:
        """Where an intent leads to the question of this slot: the value alone says what is wanted."""
        for intent in self._flow.heard_in(self._step):
            current, seen = intent.next, set[str]()
            while current and current not in seen:
                seen.add(current)
                step = self._flow.steps[current]
                if step.slot == slot and slot not in step.clears:
                    return intent.next
                current = step.next
        return ""

    # ------------------------------------------------------------------------------------ silence, and after a take-over

    def _silence(self) -> Reply:
        if self._at.silences >= self._flow.limits.silences:
            return self._done([self._word("silence_goodbye")], ending="end")
        if self._at.person_requested:
            return self._done([self._word("person_awaited", self._at.silences - 1)])
        if any(t.kind in UNHEARD and not t.over for t in self._at.audio):
            return self._done([self._word("cannot_hear", self._at.silences - 1)])
        asked = self._question() if self._at.silences == 1 else []
        return self._done([self._word("silence", self._at.silences - 1), *asked])

    def _back(self) -> Reply:
        values = self._settled_meanwhile()
        wording = self._flow.wording
        if values:
            self._fill(values)
            heard = self._spoken(list(values))
            lead = self._renderer().text(self._pick(wording.back_heard), heard=heard)
            target = self._step_towards(next(iter(values)))
            if self._step.expect.kind == "intents" and target:
                return self._enter(target, [lead])
            if self._step.slot in values:
                return self._enter(self._step.next, [lead])
            return self._done([lead, *self._whole()], step=self._step.name)
        words = [part.text for part in self._at.meanwhile if part.speaker == "caller"]
        if words:
            quote = " ".join(words[-1].split()[:LONGEST_QUOTE_WORDS])
            lead = self._renderer().text(self._pick(wording.back_quoted), heard=quote)
        else:
            lead = self._word("back_asked" if self._at.brief else "back")
        return self._done([lead, *self._question()])

    def _settled_meanwhile(self) -> dict[str, str]:
        """Values from the caller's words, and from a supervisor's that the caller agreed to, and from the brief."""
        values: dict[str, str] = {}
        offered: Mapping[str, str] = {}
        for part in self._at.meanwhile:
            found = understand(self._flow, self._step, part.text, self._today)
            if part.speaker in ("supervisor", "target"):
                offered = understand(self._flow, _OPEN, part.text, self._today).values
            elif part.speaker == "caller":
                agreed = understand(self._flow, _YES_NO, part.text, self._today).answer == "yes"
                values.update(offered if agreed else {})
                values.update(self._worth_noting(found))
                offered = {}
        brief = understand(self._flow, _OPEN, self._at.brief, self._today).values
        return {**values, **brief}

    def _worth_noting(self, found: Understanding) -> Mapping[str, str]:
        kind = self._step.expect.kind
        if kind in ("yes_no", "free"):  # the supervisor asked something else meanwhile
            return {name: value for name, value in found.values.items() if name != self._step.slot}
        return found.values

    # ------------------------------------------------------------------------------------------------------ the pieces

    def _enter(
        self, name: str, said: Sequence[str] = (), refused: frozenset[str] = frozenset()
    ) -> Reply:
        """Goes on to the first step from `name` that has something to ask, saying what is on the way."""
        sentences = list(said)
        step = self._flow.steps.get(name)
        if step is None:
            return self._done([*sentences, *self._question()], step=self._step.name)
        for _ in range(_MOST_STEPS):
            for slot in step.clears:
                self._forget(slot)
            known = self._slots.get(step.slot, "") if step.slot else ""
            if step.slot in refused and not known:
                self._step = step
                sentences += self._other(step)
                break
            if step.expect.kind == "nothing" or not known:
                sentences += [self._renderer().text(sentence) for sentence in step.say]
                if step.expect.kind != "nothing" or step.ending:
                    break
            following = self._flow.steps.get(step.answers.get(known) or step.next)
            if following is None:
                break
            step = following
        self._step = step
        return self._done(sentences, step=step.name, ending=step.ending)

    def _done(
        self,
        sentences: Sequence[str],
        *,
        step: str = "",
        ending: str = "",
        misunderstood: bool = False,
    ) -> Reply:
        kept = tuple(sentence for sentence in sentences if sentence)
        return Reply(kept, dict(self._fills), step, ending, misunderstood)

    def _question(self) -> list[str]:
        """What is asked in this step, without its introduction; a confirmation is repeated whole."""
        return self._whole() if self._step.expect.kind == "yes_no" else self._whole()[-1:]

    def _whole(self) -> list[str]:
        spared = set(self._flow.must_say)
        return [self._renderer().text(each) for each in self._step.say if each not in spared]

    def _fill(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            if self._slots.get(name) != value:
                self._slots[name] = value
                self._fills[name] = value

    def _forget(self, slot: str) -> None:
        if slot in self._slots:
            del self._slots[slot]
            self._fills[slot] = None

    def _spoken(self, names: Sequence[str]) -> str:
        parts = [self._renderer().slot(name) for name in names]
        return " and ".join(([", ".join(parts[:-1])] if parts[1:] else []) + parts[-1:])

    def _renderer(self) -> Renderer:
        return Renderer(self._flow, self._slots, self._today)

    def _word(self, name: str, number: int | None = None) -> str:
        return self._pick(getattr(self._flow.wording, name), number)

    def _pick(self, sentences: Sequence[str], number: int | None = None) -> str:
        if not sentences:
            return ""
        return sentences[(self._at.turn if number is None else number) % len(sentences)]
