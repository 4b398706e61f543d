"""Reads values out of a published snapshot: each is checked, and what does not fit is named with its place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, ClassVar, Final

MAX_ROWS: Final = 10_000
MAX_TEXT: Final = 256
MAX_SEALED: Final = 2_048

Network = IPv4Network | IPv6Network

OpenSecret = Callable[[str, str], str]
"""(sealed text, what it belongs to) -> the secret. Raises: ValueError if it cannot be opened."""


class SnapshotError(Exception):
    """`where` is a path in the snapshot such as `routes[2].agent`; the text says what is wrong there."""

    code: ClassVar[str] = "snapshot"

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what
        self.user_message = f"{where}: {what}"


def no_secrets(sealed: str, belongs_to: str) -> str:
    """An `OpenSecret` for readers that have no key."""
    raise ValueError("this process has no key")


class Row:
    """An object of the snapshot at its place. Every reader raises SnapshotError for a value that does not fit.

    A field that is missing has the default; a field nobody read is not an error: writers may be newer.
    """

    __slots__ = ("_values", "where")

    def __init__(self, value: Any, where: str) -> None:
        self._values = mapping(value, where)
        self.where = where

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def place(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def error(self, name: str, what: str) -> SnapshotError:
        return SnapshotError(self.place(name), what)

    def raw(self, name: str) -> Any:
        return self._values.get(name)

    def text(self, name: str) -> str:
        return text(self._values.get(name), self.place(name))

    def text_or(self, name: str, default: str = "", most: int = MAX_TEXT) -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise self.error(name, f"a text of at most {most} characters is needed")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.error(name, "true or false is needed")
        return value

    def whole(self, name: str, default: int, least: int = 0, most: int = 1_000_000_000) -> int:
        value = whole(self._values.get(name, default), self.place(name))
        if not least <= value <= most:
            raise self.error(name, f"a whole number from {least} to {most} is needed")
        return value

    def optional_whole(self, name: str, least: int = 0, most: int = 1_000_000_000) -> int | None:
        return self.whole(name, least, least, most) if name in self else None

    def number(self, name: str, default: float, least: float = 0.0, most: float = 1e9) -> float:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(name, "a number is needed")
        if not least <= value <= most:
            raise self.error(name, f"a number from {least:g} to {most:g} is needed")
        return float(value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self._values.get(name, default)
        if value not in choices:
            raise self.error(name, f"one of {', '.join(choices)} is needed")
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._values.get(name, ())
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) > MAX_ROWS:
            raise self.error(name, "a list of texts is needed")
        return tuple(text(value, f"{self.place(name)}[{i}]") for i, value in enumerate(values))

    def networks(self, name: str) -> tuple[Network, ...]:
        found: list[Network] = []
        for index, value in enumerate(self.texts(name)):
            try:
                found.append(ip_network(value, strict=False))
            except ValueError as error:
                place = f"{self.place(name)}[{index}]"
                raise SnapshotError(place, "not a network such as 192.0.2.0/24") from error
        return tuple(found)

    def rows(self, name: str) -> list[Row]:
        """A list of objects; a missing list is empty."""
        return rows(self._values.get(name, ()), self.place(name))

    def row(self, name: str) -> Row:
        return Row(self._values.get(name), self.place(name))

    def secret(self, name: str, belongs_to: str, open_secret: OpenSecret) -> str:
        """The opened text; empty if there is none."""
        sealed = self.text_or(name, "", MAX_SEALED)
        if not sealed:
            return ""
        try:
            return open_secret(sealed, belongs_to)
        except ValueError as error:
            raise self.error(name, "this secret cannot be decrypted here") from error


def rows(value: Any, where: str) -> list[Row]:
    """A list of objects. Raises: SnapshotError."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SnapshotError(where, "a list is needed")
    if len(value) > MAX_ROWS:
        raise SnapshotError(where, f"at most {MAX_ROWS} rows")
    return [Row(row, f"{where}[{index}]") for index, row in enumerate(value)]


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """An object. Raises: SnapshotError."""
    if not isinstance(value, Mapping):
        raise SnapshotError(where, "an object is needed")
    return value


def text(value: Any, where: str) -> str:
    """A text that is not empty. Raises: SnapshotError."""
    if not isinstance(value, str) or not value or len(value) > MAX_TEXT:
        raise SnapshotError(where, f"a text of 1 to {MAX_TEXT} characters is needed")
    if not value.isprintable():
        raise SnapshotError(where, "control characters are not allowed")
    return value


def whole(value: Any, where: str) -> int:
    """A whole number from 0. Raises: SnapshotError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SnapshotError(where, "a whole number is needed")
    return value
