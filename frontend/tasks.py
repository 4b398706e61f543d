"""Tasks of the web process: each has an owner that keeps it, reports its failure and ends it.

Daphne gives an application no start and no end, so the process's TaskGroup does not reach here: the hub owns its
reader, and each socket owns what runs beside its messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 30.0
STEADY_S: Final = 60.0
"""Work that went on for so long begins again after the first pause, should it fail."""

Work = Callable[[Callable[[], None]], Awaitable[None]]
"""Goes on for ever; calls what it is given once it is in order."""
OnState = Callable[[bool], None]
"""Is the work in order?"""


def _nobody_asks(in_order: bool) -> None:
    """The log tells."""


class TaskOwner:
    """Starts tasks and ends them together. `on_failure` hears the name of one that was not to be kept, and failed."""

    def __init__(self, on_failure: Callable[[str], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: a request's names the thread that serves its database, which ends with the request.
        task = asyncio.get_running_loop().create_task(
            work, name=name, context=contextvars.Context()
        )
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def keep(self, name: str, work: Work, on_state: OnState = _nobody_asks) -> None:
        """Begins work again whenever it fails or ends, with growing pauses; `on_state` hears if it is in order."""
        self.spawn(name, _kept(name, work, on_state))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", extra={"task": task.get_name()}, exc_info=error)
            if self._on_failure is not None:
                self._on_failure(task.get_name())

    async def close(self) -> None:
        """Cancels all but the calling task, and waits until they have ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _kept(name: str, work: Work, on_state: OnState) -> None:
    loop = asyncio.get_running_loop()
    pause_s = FIRST_PAUSE_S
    never = asyncio.Event()
    while True:
        began = loop.time()
        try:
            await work(lambda: on_state(True))
            log.error("task_ended", extra={"task": name})
        except Exception:
            log.exception("task_failed", extra={"task": name})
        on_state(False)
        pause_s = FIRST_PAUSE_S if loop.time() - began > STEADY_S else pause_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await never.wait()
        pause_s = min(2 * pause_s, LAST_PAUSE_S)
