"""One answer of the brain: its proposals pass the governor here, before anything of them has an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from agents.brain import Proposal
from agents.conversation.context import Cause
from agents.exchange.published import PublishedAgent
from agents.governance.policy import (
    Effects,
    Policy,
    Refusal,
    check_effects,
    check_sentence,
    missing_disclosures,
)
from telephony.call.state import Conversation
from telephony.values import value


@value(frozen=True, slots=True)
class Verdict:
    """What of a proposal may happen: sentences in order, effects, and what was refused."""

    sentences: tuple[str, ...]
    effects: Effects
    refusals: tuple[Refusal, ...]


@dataclass(slots=True)
class Answer:
    """An answer being made. `committed`: the turn it answers is over, so it may be heard and have effects."""

    generation: int
    cause: Cause
    text: str
    asked_s: float
    committed: bool
    expected: int = 0
    utterances: int = 0
    complete: bool = False
    ending: str = ""
    refused: bool = False
    sentence_s: float | None = None
    audio_s: float | None = None
    misunderstood: bool = False
    fills: dict[str, str] = field(default_factory=dict)
    waiting: list[Verdict] = field(default_factory=list)


class Governor:
    """The flow's rules at work. Every sentence and every effect of a brain comes through `judge`."""

    def __init__(self, agent: PublishedAgent) -> None:
        self._flow = agent.flow
        self._rules = agent.rules

    def judge(self, answer: Answer, proposal: Proposal, talk: Conversation, today: date) -> Verdict:
        """What of the proposal is allowed at this position of the log."""
        proposed = _effects(proposal.effects)
        known = self._flow.slot_steps
        answer.fills.update({k: v for k, v in proposed.fills.items() if v and k in known})
        slots = {**talk.slots, **answer.fills}
        policy = self._policy(talk, slots, today)
        effects, refusals = check_effects(policy, proposed)
        if answer.cause in ("silence", "limit"):
            effects = Effects(
                effects.fills, effects.step, proposed.ending if proposed.ending == "end" else ""
            )
            refusals = tuple(each for each in refusals if each.rule != "ending")
        said = check_sentence(policy, proposal.text) if proposal.text else ""
        if not isinstance(said, Refusal):
            return Verdict(self._with_disclosures(answer, talk, policy, said), effects, refusals)
        safe = "" if answer.refused else self._flow.wording.refused[0]
        sentences = self._with_disclosures(answer, talk, policy, safe)
        return Verdict(sentences, effects, (*refusals, said))

    def _policy(self, talk: Conversation, slots: Mapping[str, str], today: date) -> Policy:
        heard = [part.heard or "" for part in talk.said if part.role != "agent"]
        return self._rules.policy(talk.step or "", slots, today, [*heard, talk.brief])

    def _with_disclosures(
        self, answer: Answer, talk: Conversation, policy: Policy, said: str
    ) -> tuple[str, ...]:
        """The greeting holds the disclosures in its own place; before any other first answer they go in front."""
        if not said or answer.cause == "greet":
            return (said,) if said else ()
        spoken = frozenset(
            part.text for part in talk.said if part.role == "agent" and part.heard != ""
        )
        missing = () if answer.utterances else missing_disclosures(policy, spoken)
        return (*missing, said)


def _effects(body: Mapping[str, Any]) -> Effects:
    """Effects out of what a brain sent: whatever has the wrong shape asks for nothing."""
    fills = body.get("fills")
    step, ending = body.get("step"), body.get("ending")
    return Effects(
        {
            str(name): value if value is None else str(value)[:200]
            for name, value in (fills.items() if isinstance(fills, Mapping) else ())
        },
        step if isinstance(step, str) else "",
        ending if isinstance(ending, str) else "",
    )
