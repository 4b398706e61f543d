"""The wire of `POST {base}/chat/completions` with `stream`: messages to JSON, events to our values.

No I/O. What is missing or of the wrong type in a reply is a ModelReplyError; fields that are not known
are ignored and events without anything for us are counted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.speech.errors import ModelReplyError
from agents.speech.ports import Done, Message, ModelEvent, TextDelta, ToolIntent, ToolSpec

END: Final = "[DONE]"
MOST_TOOL_CALLS: Final = 20
LONGEST_ARGUMENTS: Final = 64 * 1024


def request_body(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The JSON of the request."""
    body: dict[str, Any] = {
        **options,
        "model": model,
        "messages": [_message(message) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
    return body


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    if message.tool_intents:
        body["tool_calls"] = [
            {
                "id": intent.id,
                "type": "function",
                "function": {"name": intent.name, "arguments": json.dumps(dict(intent.arguments))},
            }
            for intent in message.tool_intents
        ]
    return body


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


@dataclass(slots=True)
class _ToolCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ReplyReader:
    """Joins one reply's events; tool calls come out only when the reply is complete."""

    ignored: int = 0
    ended: bool = False
    _calls: dict[int, _ToolCall] = field(default_factory=dict)
    _finish_reason: str = ""
    _usage: Mapping[str, Any] = field(default_factory=dict)

    def read(self, data: str) -> list[ModelEvent]:
        """Our values for one event. Raises: ModelReplyError."""
        if data.strip() == END:
            return self._complete()
        try:
            event = json.loads(data)
        except ValueError as error:
            raise ModelReplyError("an event of the reply is not JSON") from error
        if not isinstance(event, dict):
            raise ModelReplyError("an event of the reply is not a JSON object")
        if event.get("error"):
            raise ModelReplyError("the endpoint reported an error inside the reply")
        usage = event.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = event.get("choices")
        if not isinstance(choices, list) or not choices:
            self.ignored += usage is None
            return []
        return self._choice(_object(choices[0], "choices[0]"))

    def _choice(self, choice: dict[str, Any]) -> list[ModelEvent]:
        delta = _object(choice.get("delta") or {}, "delta")
        for position, part in enumerate(delta.get("tool_calls") or ()):
            self._join(_object(part, "tool_calls"), position)
        if choice.get("finish_reason"):
            self._finish_reason = _text(choice["finish_reason"], "finish_reason")
        content = _text(delta.get("content"), "content")
        return [TextDelta(content)] if content else []

    def _join(self, part: dict[str, Any], position: int) -> None:
        index = part.get("index", position)
        if not isinstance(index, int) or not 0 <= index < MOST_TOOL_CALLS:
            raise ModelReplyError("tool_calls: the index is no small number")
        call = self._calls.setdefault(index, _ToolCall())
        function = _object(part.get("function") or {}, "function")
        call.id = call.id or _text(part.get("id"), "id")
        call.name += _text(function.get("name"), "name")
        call.arguments += _text(function.get("arguments"), "arguments")
        if len(call.arguments) > LONGEST_ARGUMENTS:
            raise ModelReplyError("tool_calls: the arguments are longer than 64 KiB")

    def _complete(self) -> list[ModelEvent]:
        self.ended = True
        if not self._finish_reason:
            raise ModelReplyError("the reply ended without a finish_reason")
        intents: list[ModelEvent] = [
            ToolIntent(call.id, call.name, _arguments(call))
            for _, call in sorted(self._calls.items())
        ]
        used = (self._usage.get("prompt_tokens"), self._usage.get("completion_tokens"))
        prompt, completion = (count if isinstance(count, int) else None for count in used)
        return [*intents, Done(self._finish_reason, prompt, completion)]


def _arguments(call: _ToolCall) -> dict[str, Any]:
    if not call.name:
        raise ModelReplyError("a tool call has no name")
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as error:
        raise ModelReplyError("a tool call's arguments are not JSON") from error
    return _object(arguments, "arguments")


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelReplyError(f"{where}: an object was expected")
    return value


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ModelReplyError(f"{where}: a text was expected")
    return value
