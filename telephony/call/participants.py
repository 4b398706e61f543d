"""The participants of a call and their tasks, run so that no fault of theirs reaches the call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from telephony.call.events import Recorded
from telephony.call.ids import CallId
from telephony.call.ports import CallParticipant, MediaFact
from telephony.call.state import CallState

log = logging.getLogger(__name__)

CLOSE_S: Final = 5.0


def _nobody_is_told(reason: str) -> None:
    """The call is over."""


class Participants:
    """`on_failure(reason)` is called for each fault; the reason names the work and the class of the error."""

    def __init__(self, call: CallId, on_failure: Callable[[str], None]) -> None:
        self._call = call
        self._on_failure = on_failure
        self._members: tuple[CallParticipant, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def join(self, participant: CallParticipant) -> None:
        self._members = (*self._members, participant)

    def on_event(self, record: Recorded, state: CallState) -> None:
        for member in self._members:
            self.guard("on_event", member.on_event, record, state)

    def on_media(self, fact: MediaFact) -> None:
        for member in self._members:
            self.guard("on_media", member.on_media, fact)

    def guard(self, name: str, work: Callable[..., None], *given: object) -> None:
        """Runs the work; what it raises becomes a failure."""
        try:
            work(*given)
        except Exception as error:  # noqa: BLE001 - no fault of an agent may end a call
            self._fail(name, error)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A task that ends with the call at the latest."""
        task = asyncio.get_running_loop().create_task(work, name=f"call {self._call} {name}")
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, name))
        if self._closed:
            task.cancel()

    async def close(self) -> None:
        """Closes the participants, all at once, then cancels their tasks and awaits them; bounded by `CLOSE_S` each."""
        async with asyncio.TaskGroup() as group:
            for member in self._members:
                group.create_task(self._close_one(member))
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=CLOSE_S)

    def forget(self) -> None:
        """Nothing happens in the call any more; nobody of it is known here from now on."""
        self._members, self._on_failure = (), _nobody_is_told

    async def _close_one(self, member: CallParticipant) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await member.close()
        except Exception:
            log.exception("participant_close_failed", extra={"call_id": self._call})

    def _done(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(name, error)

    def _fail(self, name: str, error: BaseException) -> None:
        log.error("participant_failed", exc_info=error, extra={"call_id": self._call, "what": name})
        self._on_failure(f"{name}: {type(error).__name__}")
