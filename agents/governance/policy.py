"""The governor: what a brain proposes is allowed, rewritten or refused before it has any effect.

Nothing here knows a flow: the rules of the moment come as values, so that a rule can be tested without one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from agents.governance.numbers import invented
from telephony.values import value

LONGEST_SENTENCE: Final = 400
SECRET_RUN_WORDS: Final = 6
"""So many words of the model's instructions in a row are a quotation, not a coincidence."""

_LINK: Final = re.compile(r"https?:|www\.|\b\w+@\w+|\b[\w-]+\.(?:com|org|net|io|co|uk|de|fr|in)\b")
_UNSPEAKABLE: Final = re.compile(r"[<>{}\[\]|\\`*#_^~]|[\x00-\x1f\x7f]")


@value(frozen=True, slots=True)
class Policy:
    """The rules of one moment.

    `own`: sentences of the published flow, filled in; they were checked when it was published.
    `known`: texts whose numbers may be spoken (facts, slots, the caller's own words).
    """

    steps: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()
    endings: frozenset[str] = frozenset()
    never_say: tuple[str, ...] = ()
    must_say: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    known: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@value(frozen=True, slots=True)
class Refusal:
    """`rule` is stable and may be counted; `detail` may hold spoken words."""

    rule: str
    detail: str


@value(frozen=True, slots=True)
class Effects:
    """What a reply would change. `fills` maps a slot to its value, or to None to forget it."""

    fills: Mapping[str, str | None] = field(default_factory=dict)
    step: str = ""
    ending: str = ""


def check_sentence(policy: Policy, sentence: str) -> str | Refusal:
    """The sentence as it may be spoken, or why not."""
    text = " ".join(sentence.split())
    if text in policy.own:
        return text
    if len(text) > LONGEST_SENTENCE:
        return Refusal("too_long", text[:LONGEST_SENTENCE])
    lower = text.lower()
    for phrase in policy.never_say:
        if _contains(lower, phrase.lower()):
            return Refusal("never_say", text)
    if _LINK.search(lower):
        return Refusal("link", text)
    if _quotes(lower, policy.secrets):
        return Refusal("secret", text)
    if numbers := invented(text, policy.known):
        return Refusal("unknown_number", f"{', '.join(sorted(numbers))}: {text}")
    return " ".join(_UNSPEAKABLE.sub(" ", text).split())


def check_effects(policy: Policy, effects: Effects) -> tuple[Effects, tuple[Refusal, ...]]:
    """What of the effects is allowed, and what is refused. A refused part leaves the others as they are."""
    refusals: list[Refusal] = []
    fills = {name: value for name, value in effects.fills.items() if name in policy.slots}
    refusals += [Refusal("slot", name) for name in sorted(set(effects.fills) - set(fills))]
    step = effects.step if effects.step in policy.steps else ""
    if effects.step and not step:
        refusals.append(Refusal("step", effects.step))
    ending = effects.ending if effects.ending in policy.endings else ""
    if effects.ending and not ending:
        refusals.append(Refusal("ending", effects.ending))
    return Effects(fills, step, ending), tuple(refusals)


def missing_disclosures(policy: Policy, spoken: frozenset[str]) -> tuple[str, ...]:
    """Sentences that have to be said and were not: they go before anything else."""
    return tuple(sentence for sentence in policy.must_say if sentence not in spoken)


def _contains(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def _quotes(text: str, secrets: tuple[str, ...]) -> bool:
    words = _words(text)
    if len(words) < SECRET_RUN_WORDS:
        return False
    joined = f" {' '.join(words)} "
    for secret in secrets:
        parts = _words(secret.lower())
        for i in range(len(parts) - SECRET_RUN_WORDS + 1):
            if f" {' '.join(parts[i : i + SECRET_RUN_WORDS])} " in joined:
                return True
    return False


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text)
