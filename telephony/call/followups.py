"""What waits to be done after a command was decided: effects of its records, and its answer."""

from __future__ import annotations

import asyncio

from telephony.call.errors import CallError
from telephony.call.events import Recorded
from telephony.call.state import CallState
from telephony.values import value

Outcome = int | CallError
"""The position of the log at which a command was fulfilled, or why it was refused."""


@value(frozen=True, slots=True)
class Followup:
    """A record with the states around it."""

    before: CallState
    record: Recorded
    after: CallState


@value(frozen=True, slots=True)
class Reply:
    """What is owed to whoever waits for a command."""

    future: asyncio.Future[int]
    outcome: Outcome

    def give(self) -> None:
        if self.future.done():
            return
        if isinstance(self.outcome, int):
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.outcome)
