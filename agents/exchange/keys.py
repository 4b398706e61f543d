"""Keys pressed on the telephone, gathered into an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agents.conversation.flow import Expect
from telephony.call.ports import CallAccess

BETWEEN_KEYS_S: Final = 3.0
MOST_KEYS: Final = 40


class Keys:
    """`on_keys` is called with the keys of one answer. `0` alone asks for a person where no number is expected."""

    def __init__(self, call: CallAccess, on_keys: Callable[[str], None]) -> None:
        self._call = call
        self._on_keys = on_keys
        self._pressed = ""

    def press(self, digit: str, expect: Expect) -> None:
        self._pressed = (self._pressed + digit)[:MOST_KEYS]
        number = self._pressed.rstrip("#")
        whole = digit == "#" or not expect.maximum or len(number) >= expect.maximum
        self._call.set_timer("keys", None if whole else BETWEEN_KEYS_S, self._done)
        if whole:
            self._done()

    def forget(self) -> None:
        self._pressed = ""
        self._call.set_timer("keys", None, self._done)

    def _done(self) -> None:
        pressed, self._pressed = self._pressed, ""
        if pressed.rstrip("#"):
            self._on_keys(pressed)
