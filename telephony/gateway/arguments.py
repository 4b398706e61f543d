"""Arguments of requests on the bus: each is checked, and what does not fit is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from telephony.call.errors import RequestError

MAX_TEXT: Final = 500
_MAX_VARIABLES: Final = 50
_MAX_NAME: Final = 64
_MAX_VALUE: Final = 2_000

Args = Mapping[str, Any]


def text(args: Args, name: str, limit: int = 256) -> str:
    """A text that is not empty. Raises: RequestError."""
    value = args.get(name)
    if not isinstance(value, str) or not value or len(value) > limit:
        raise RequestError("message", f"{name}: a text of 1 to {limit} characters is needed")
    return value


def optional_text(args: Args, name: str, limit: int) -> str:
    """A text, or an empty one if there is none. Raises: RequestError."""
    return text(args, name, limit) if args.get(name) else ""


def variables(args: Args) -> dict[str, str]:
    """Names and texts of a call. Raises: RequestError."""
    values = args.get("variables") or {}
    if not isinstance(values, Mapping) or len(values) > _MAX_VARIABLES:
        raise RequestError("message", f"variables: at most {_MAX_VARIABLES} names")
    for name, value in values.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise RequestError("message", "variables: names and values are texts")
        if len(name) > _MAX_NAME or len(value) > _MAX_VALUE:
            raise RequestError("message", "variables: a name or value is too long")
    return dict(values)


def optional_whole(args: Args, name: str, default: int, least: int, most: int) -> int:
    """A whole number within its bounds, or the default. Raises: RequestError."""
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RequestError("message", f"{name}: a whole number from {least} to {most} is needed")
    return value
