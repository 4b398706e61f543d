"""Decisions of the dial plan in words, for people who ask where a call would go. Pure."""

from __future__ import annotations

from typing import assert_never

from telephony.route_rules import Agent, Decision, Forward, Person, Queue, Refuse


def where_to(decision: Decision) -> str:
    """One sentence."""
    match decision:
        case Agent(choice=choice):
            return f"It is answered by the agent {choice.agent}, version {choice.version}."
        case Person(extension=extension, ring_s=seconds, overflow=overflow):
            return f"The phone {extension} rings for {seconds} s; {_then(overflow)}"
        case Queue(name=name, persons=(), overflow=overflow):
            return f"The queue {name} has nobody in it; {_then(overflow)}"
        case Queue(name=name, persons=persons, ring_s=seconds, overflow=overflow):
            phones = ", then ".join(persons)
            return f"The queue {name} rings {phones}, each for {seconds} s; {_then(overflow)}"
        case Forward(trunk=trunk, destination=destination, overflow=overflow):
            return f"It is forwarded to {destination} by the trunk {trunk}; {_then(overflow)}"
        case Refuse(status=status, retry_after_s=seconds):
            later = f", to be tried again after {seconds} s" if seconds else ""
            return f"It is refused with {status}{later}."
        case _:
            assert_never(decision)


def _then(overflow: Agent | Refuse) -> str:
    if isinstance(overflow, Agent):
        return f"if nobody takes it, the agent {overflow.choice.agent} answers."
    return f"if nobody takes it, it is refused with {overflow.status}."
