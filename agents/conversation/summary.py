"""What a call was about, told from its log alone: the same log gives the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from telephony.call.events import AgentFailed, FloorTaken, Misunderstood, Recorded, TurnTimed
from telephony.call.evolution import replay
from telephony.call.state import CallState, Said
from telephony.call.transfer_events import TransferEnded, TransferRequested

MOST_QUESTIONS: Final = 5
COUNTED: Final = (("turns", "turn"), ("barge_ins", "interruption"))


@dataclass(frozen=True, slots=True)
class CallSummaryText:
    """`text` holds what was said, so it is encrypted at rest; `figures` are numbers only."""

    text: str
    figures: Mapping[str, float | int | None]


def summarise(records: Sequence[Recorded]) -> CallSummaryText:
    """Who, how long, what was asked, what was noted, how it ended. Raises: BrokenLogError."""
    state = replay(records)
    figures = _figures(records, state)
    lines = [
        _opening(state, figures),
        *_asked(state.conversation.said),
        *_noted(state.conversation.slots),
        *_people(records, state),
        _ending(state),
        _measured(figures),
    ]
    return CallSummaryText("\n".join(line for line in lines if line), figures)


def _figures(records: Sequence[Recorded], state: CallState) -> dict[str, float | int | None]:
    responses = [
        record.event.first_packet_ms
        for record in records
        if isinstance(record.event, TurnTimed) and record.event.first_packet_ms is not None
    ]
    seconds = None
    if state.ended_us is not None:
        seconds = round((state.ended_us - (state.answered_us or state.started_us)) / 1_000_000, 1)
    return {
        "seconds": seconds,
        "turns": int(state.conversation.turn),
        "barge_ins": state.conversation.barge_ins,
        "misunderstood": sum(isinstance(record.event, Misunderstood) for record in records),
        "agent_failures": sum(isinstance(record.event, AgentFailed) for record in records),
        "takeovers": sum(isinstance(record.event, FloorTaken) for record in records),
        "median_response_ms": round(median(responses), 1) if responses else None,
    }


def _opening(state: CallState, figures: Mapping[str, float | int | None]) -> str:
    who = state.caller or "An unknown caller"
    agent = f"{state.agent.agent} (version {state.agent.version})" if state.agent else "no agent"
    seconds = figures["seconds"]
    length = f" for {_length(seconds)}" if seconds is not None else ""
    return f"{who} called {state.called or 'this site'} and spoke with {agent}{length}."


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _asked(said: Sequence[Said]) -> list[str]:
    words = [part.text for part in said if part.role == "caller" and part.text]
    if not words:
        return ["The caller said nothing that was understood."]
    quoted = "; ".join(f"“{text}”" for text in words[:MOST_QUESTIONS])
    more = len(words) - MOST_QUESTIONS
    return [f"The caller said: {quoted}{f'; and {more} more' if more > 0 else ''}."]


def _noted(slots: Mapping[str, str]) -> list[str]:
    noted = ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in slots.items())
    return [f"Noted: {noted}."] if noted else []


def _people(records: Sequence[Recorded], state: CallState) -> list[str]:
    taken = [record.event.who for record in records if isinstance(record.event, FloorTaken)]
    lines = [f"Taken over by {', '.join(dict.fromkeys(taken))}."] if taken else []
    if state.conversation.person_requested is not None and not taken:
        lines.append("A person was asked for and none took the call.")
    return [*lines, *_transfers(records)]


def _transfers(records: Sequence[Recorded]) -> list[str]:
    """Each attempt by name, without the number, and what became of it."""
    names: dict[str, str] = {}
    lines: list[str] = []
    for record in records:
        match record.event:
            case TransferRequested(transfer=transfer, name=name):
                names[transfer] = name or "somebody else"
            case TransferEnded(transfer=transfer, outcome=outcome) if outcome != "fell_back":
                lines.append(f"Transfer to {names.get(transfer, 'somebody else')}: {outcome}.")
    return lines


def _ending(state: CallState) -> str:
    if state.ended_us is None:
        return "The call is not over."
    step = f" at the step “{state.conversation.step}”" if state.conversation.step else ""
    return f"It ended{step}: {(state.end_cause or 'no cause given').replace('_', ' ')}."


def _measured(figures: Mapping[str, float | int | None]) -> str:
    response = figures["median_response_ms"]
    answered = f"; median response {response:.0f} ms" if response is not None else ""
    counts = (_count(figures[key], word) for key, word in COUNTED)
    return f"{', '.join(counts)}{answered}."


def _count(number: float | int | None, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
