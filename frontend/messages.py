"""What browsers may send on our WebSockets: shapes and limits. Pure; anything else is refused with words.

`parse` gives a plain dictionary that holds exactly the fields of its type.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_SDP_BYTES: Final = 32 * 1024
MAX_VARIABLES: Final = 50
MAX_NAME: Final = 64
MAX_VALUE: Final = 2000
MAX_TYPED: Final = 500


class MessageError(Exception):
    """A message that cannot be used. `code`: short and stable; the text is for the author of the page."""

    def __init__(self, text: str, *, code: str = "message", ref: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.ref = ref


Check = Callable[[Any], bool]


def text(maximum: int, *, empty: bool = False) -> Check:
    """A string of at most `maximum` characters."""
    return lambda value: (
        isinstance(value, str) and len(value) <= maximum and (empty or bool(value.strip()))
    )


def whole(value: Any) -> bool:
    """A whole number from 0 up; JSON's `true` is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def sdp(value: Any) -> bool:
    """A session description within the limit; its content is the media node's business."""
    return isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= MAX_SDP_BYTES


def variables(value: Any) -> bool:
    """Names and values a page may hand to its call."""
    return (
        isinstance(value, dict)
        and len(value) <= MAX_VARIABLES
        and all(len(name) <= MAX_NAME for name in value)
        and all(isinstance(item, str) and len(item) <= MAX_VALUE for item in value.values())
    )


def arguments(value: Any) -> bool:
    """Arguments of a command: texts under short names; `sdp` may be long."""
    return isinstance(value, dict) and all(
        isinstance(item, str) and (sdp(item) if name == "sdp" else len(item) <= MAX_TYPED)
        for name, item in value.items()
    )


def version(value: Any) -> bool:
    """The only version there is."""
    return bool(value == 1 and not isinstance(value, bool))


@dataclass(frozen=True, slots=True)
class Shape:
    """Fields of one message type."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)


WIDGET: Final[Mapping[str, Shape]] = {
    "start": Shape({"v": version, "key": text(MAX_NAME), "sdp": sdp}, {"variables": variables}),
    "resume": Shape({"v": version, "token": text(500), "sdp": sdp}, {"since": whole}),
    "attach": Shape({"v": version, "ticket": text(500)}, {"since": whole}),
    "text": Shape({"text": text(MAX_TYPED)}),
    "end": Shape(),
}

DESK: Final[Mapping[str, Shape]] = {
    "hello": Shape({"v": text(20)}, {"cursor": text(100, empty=True)}),
    "open": Shape({"call": text(MAX_NAME)}, {"since": whole}),
    "close": Shape({"call": text(MAX_NAME)}),
    "cmd": Shape(
        {"id": text(MAX_NAME), "call": text(MAX_NAME), "name": text(20)},
        {"args": arguments, "seen": whole},
    ),
    "ack": Shape({"cursor": text(100)}),
}


def parse(data: str, shapes: Mapping[str, Shape], *, maximum: int) -> dict[str, Any]:
    """The message with its `type`. Raises: MessageError naming the field."""
    if len(data) > maximum or len(data.encode("utf-8", "replace")) > maximum:
        raise MessageError(f"A message may have {maximum // 1024} KiB.", code="too-large")
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MessageError("This is not JSON.") from error
    if "\\ud" in data.lower():  # half a surrogate pair has no UTF-8: it could not be sent on
        try:
            json.dumps(message, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise MessageError("This is not Unicode text.") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise MessageError("A message is an object with a type.")
    kind = message["type"]
    shape = shapes.get(kind)
    if shape is None:
        raise MessageError("There is no such message type.", ref=kind[:20])
    _check_fields(kind, shape, message)
    return message


def _check_fields(kind: str, shape: Shape, message: Mapping[str, Any]) -> None:
    for name, check in shape.required.items():
        if name not in message or not check(message[name]):
            raise MessageError(f"{kind}: {name} is missing or cannot be used.", ref=kind)
    for name, value in message.items():
        if name == "type" or name in shape.required:
            continue
        optional = shape.optional.get(name)
        if optional is None:
            raise MessageError(f"{kind}: unknown field.", ref=kind)
        if not optional(value):
            raise MessageError(f"{kind}: {name} cannot be used.", ref=kind)


class Patience:
    """Counts refusals: true at the tenth within 10 s, then the socket closes."""

    LIMIT: Final = 10
    WINDOW_S: Final = 10.0

    def __init__(self) -> None:
        self._refused: deque[float] = deque(maxlen=self.LIMIT)

    def refused(self, now: float) -> bool:
        self._refused.append(now)
        return len(self._refused) == self.LIMIT and now - self._refused[0] <= self.WINDOW_S
