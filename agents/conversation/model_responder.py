"""Answers of a language model within the flow: it proposes sentences and steps, the governor decides.

The model may say what it wants; its only tools are those of the step at hand: fill a slot, go to a permitted step,
ask for a person, end the call. A model that is slow, broken or silent is replaced by the flow itself for this answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from agents.conversation.context import Situation
from agents.conversation.endings import TRANSFER
from agents.conversation.flow import Flow
from agents.conversation.responder import respond
from agents.conversation.rules import endings_of, reachable
from agents.speech.errors import SpeechError
from agents.speech.ports import LanguageModel, Message, TextDelta, ToolIntent, ToolSpec

FIRST_SENTENCE_S: Final = 2.0
WHOLE_ANSWER_S: Final = 12.0
MOST_SENTENCES: Final = 6
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")
_BY_FLOW: Final = frozenset({"greet", "silence", "again", "limit", "keys"})
_MACHINE: Final = "A machine seems to have answered: if it does not talk with you, leave a short message and end the call."


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer, as a proposal will carry it."""

    text: str = ""
    effects: Mapping[str, Any] = field(default_factory=dict)
    misunderstood: bool = False


def flow_pieces(flow: Flow, situation: Situation) -> tuple[Piece, ...]:
    """The flow's own answer in pieces: what it changes comes with the first."""
    reply = respond(flow, situation)
    effects = {"fills": dict(reply.fills), "step": reply.step, "ending": reply.ending}
    first, *rest = reply.sentences or ("",)
    return (Piece(first, effects, reply.misunderstood), *(Piece(text) for text in rest))


async def answer(
    flow: Flow, situation: Situation, model: LanguageModel | None
) -> AsyncGenerator[Piece, None]:
    """The answer piece by piece. Without a model, and for what needs none, the flow answers."""
    if model is None or situation.cause in _BY_FLOW:
        for piece in flow_pieces(flow, situation):
            yield piece
        return
    said = 0
    try:
        async with aclosing(_by_model(flow, situation, model)) as pieces:
            while True:
                wait = WHOLE_ANSWER_S if said else FIRST_SENTENCE_S
                async with asyncio.timeout(wait):
                    piece = await anext(pieces)
                if said >= MOST_SENTENCES:
                    break
                said += bool(piece.text)
                yield piece
    except (SpeechError, TimeoutError, StopAsyncIteration):
        pass  # the end, or a failure; the flow answers below if nothing was said yet
    if not said:
        for piece in flow_pieces(flow, situation):
            yield piece


async def _by_model(
    flow: Flow, situation: Situation, model: LanguageModel
) -> AsyncGenerator[Piece, None]:
    text = ""
    async for event in model.stream(messages_of(flow, situation), tools_of(flow, situation)):
        match event:
            case TextDelta(text=more):
                *whole, text = _SENTENCE_END.split(text + more)
                for sentence in whole:
                    yield Piece(sentence)
            case ToolIntent(name=name, arguments=arguments):
                yield Piece(effects=_effects(name, arguments))
            case _:
                break
    if text.strip():
        yield Piece(text.strip())


def messages_of(flow: Flow, situation: Situation) -> list[Message]:
    """The context: the house's instructions, the step, what is known, and only what was heard."""
    step = flow.steps.get(situation.step)
    lines = [flow.instructions, f"Today is {situation.today}."]
    lines += [f"{name}: {value}" for name, value in flow.facts.items()]
    if step is not None:
        lines.append(f"You have just asked: {' '.join(step.say)}")
    lines += [f"Known so far: {name} = {value}" for name, value in situation.slots.items()]
    if situation.brief:
        lines.append(f"A colleague who spoke to the caller asks you: {situation.brief}")
    if situation.transfer:
        lines.append(f"The last transfer, to {situation.transfer}.")
    lines += [trouble.note for trouble in situation.audio]
    if situation.answerer == "machine":
        lines.append(_MACHINE)
    messages = [Message("system", "\n".join(line for line in lines if line))]
    for part in situation.history:
        mark = " [interrupted]" if part.interrupted else ""
        if part.speaker == "agent":
            messages.append(Message("assistant", part.text + mark))
        else:
            messages.append(Message("user", f"({part.speaker}) {part.text}"))
    if messages[-1].role != "user":
        messages.append(Message("user", situation.text or "(says nothing)"))
    return messages


def tools_of(flow: Flow, situation: Situation) -> list[ToolSpec]:
    """What the step allows. The governor checks each use again."""
    step = flow.steps.get(situation.step)
    steps = sorted(reachable(flow, step, situation.slots))
    slots = sorted(flow.slot_steps)
    tools = [ToolSpec("request_person", "Ask for a human colleague.")]
    if steps:
        tools.append(ToolSpec("go_to", "Go on to another step.", _object(step=steps)))
    if slots:
        fill = _object(slot=slots)
        fill["properties"]["value"] = {"type": "string"}
        tools.append(ToolSpec("fill", "Note a value; dates as 2026-01-31, times as 15:30.", fill))
    endings = endings_of(flow, step, reachable(flow, step, situation.slots))
    if "end" in endings:
        tools.append(ToolSpec("end_call", "Hang up, after a goodbye."))
    transfers = [name for name in flow.transfers if TRANSFER + name in endings]
    if transfers:
        words = "Put the caller through, after saying so."
        tools.append(ToolSpec("transfer_call", words, _object(to=transfers)))
    return tools


def _object(**choices: list[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {k: {"type": "string", "enum": v} for k, v in choices.items()}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _effects(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as effects; one that we do not have becomes a step of that name, which the governor refuses."""
    match name:
        case "fill":
            slot, value = str(arguments.get("slot", "")), arguments.get("value")
            return {"fills": {slot: str(value)}} if value is not None else {}
        case "go_to":
            return {"step": str(arguments.get("step", ""))}
        case "request_person":
            return {"ending": "person"}
        case "end_call":
            return {"ending": "end"}
        case "transfer_call":
            return {"ending": TRANSFER + str(arguments.get("to", ""))}
        case _:
            return {"step": f"tool:{name}"}
