"""A caller without a network: for calls placed inside the process, and for tests of everything above legs."""

from __future__ import annotations

from typing import Protocol

from telephony.call.commands import CallCommand, ConnectLeg, RemoveLeg
from telephony.call.ids import CALLER, LegId


class Calls(Protocol):
    """Where the leg's facts go: the mailbox of its call."""

    def post(self, command: CallCommand) -> None: ...


class LoopbackLeg:
    """A leg (`LegControl`) that connects the moment it is answered. `closed`: the cause, once it has ended. `rang`: early or not."""

    def __init__(self, leg: LegId = CALLER) -> None:
        self.id = leg
        self.answered = False
        self.rang: list[bool] = []
        self.closed: str | None = None
        self._call: Calls | None = None

    def bind(self, call: Calls) -> None:
        """The call this leg belongs to."""
        self._call = call

    def answer(self) -> None:
        self.answered = True
        if self._call is not None:
            self._call.post(ConnectLeg(leg=self.id, codec="loopback"))

    def ring(self, *, early_media: bool) -> None:
        self.rang.append(early_media)

    def become(self, leg: LegId) -> None:
        self.id = leg

    def hang_up(self) -> None:
        """What a caller does."""
        if self.closed is None and self._call is not None:
            self._call.post(RemoveLeg(leg=self.id, reason="caller_hung_up"))

    def close(self, cause: str) -> None:
        """Idempotent."""
        if self.closed is None:
            self.closed = cause
