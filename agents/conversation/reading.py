"""Reads plain JSON with a place for every fault, so that a form can show each one where it belongs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_TEXT: Final = 400
LONGEST_LIST: Final = 200


class Reader:
    """One JSON object at one place of the definition; faults of all places go into one list."""

    def __init__(self, body: Any, place: str, faults: list[str]) -> None:
        self._place = place
        self._faults = faults
        self._body: Mapping[str, Any] = {}
        self._asked: set[str] = set()
        if isinstance(body, Mapping):
            self._body = body
        else:
            self.fault("", "must be an object")

    def fault(self, key: str, what: str) -> None:
        place = ".".join(part for part in (self._place, key) if part)
        self._faults.append(f"{place or 'definition'}: {what}")

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            self.fault(key, f"must be a text of at most {LONGEST_TEXT} characters")
            return default
        if required and not value.strip():
            self.fault(key, "must not be empty")
        return value.strip()

    def name(self, key: str, *, required: bool = False) -> str:
        value = self.text(key, required=required)
        if value and not NAME.fullmatch(value):
            self.fault(key, f"{value!r} must be lower-case letters, digits and _, from a letter on")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.fault(key, f"{value!r} must be one of {', '.join(map(repr, choices))}")
            return default
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fault(key, "must be true or false")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self._take(key, default)
        usable = isinstance(value, int | float) and not isinstance(value, bool)
        if not usable or not low <= value <= high:
            self.fault(key, f"must be a number from {low:g} to {high:g}")
            return default
        return float(value)

    def count(self, key: str, default: int, low: int, high: int) -> int:
        value = self.number(key, default, low, high)
        if value != int(value):
            self.fault(key, "must be a whole number")
        return int(value)

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        values = self._list(key, list(default))
        usable = [v.strip() for v in values if isinstance(v, str) and 0 < len(v) <= LONGEST_TEXT]
        if len(usable) != len(values):
            self.fault(key, f"must be a list of texts of 1 to {LONGEST_TEXT} characters")
        return tuple(text for text in usable if text)

    def names(self, key: str) -> tuple[str, ...]:
        values = self.texts(key)
        for value in values:
            if not NAME.fullmatch(value):
                self.fault(key, f"{value!r} is not a name")
        return values

    def mapping(self, key: str) -> Mapping[str, str]:
        value = self._take(key, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(k, str) and NAME.fullmatch(k) and isinstance(v, str)
            for k, v in value.items()
        ):
            self.fault(key, "must be an object of names with texts")
            return {}
        return {name: text.strip() for name, text in value.items()}

    def items(self, key: str, read: Callable[[Reader], T]) -> tuple[T, ...]:
        return tuple(read(self._inner(key, i, v)) for i, v in enumerate(self._list(key, [])))

    def inner(self, key: str) -> Reader:
        return Reader(self._take(key, {}), self._at(key), self._faults)

    def close(self) -> None:
        """Reports keys that nobody asked for: a misspelt key must not be silently without effect."""
        for key in sorted(set(map(str, self._body)) - self._asked):
            self.fault(key, "is not known here")

    def _inner(self, key: str, index: int, value: Any) -> Reader:
        label = value.get("name") if isinstance(value, Mapping) else None
        where = label if isinstance(label, str) and label else str(index)
        return Reader(value, f"{self._at(key)}[{where}]", self._faults)

    def _at(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        value = self._body.get(key)
        return default if value is None else value

    def _list(self, key: str, default: list[str]) -> list[Any]:
        value = self._take(key, default)
        if not isinstance(value, list) or len(value) > LONGEST_LIST:
            self.fault(key, f"must be a list of at most {LONGEST_LIST} entries")
            return []
        return value
