"""Tasks of the web process outlive the request that started them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from frontend import tasks
from frontend.tasks import TaskOwner


async def test_a_task_reaches_the_database_after_the_request_that_started_it_is_over() -> None:
    owner = TaskOwner()
    over = asyncio.Event()
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await over.wait()
        answer.set_result(await sync_to_async(lambda: "a row")())

    async def page() -> None:
        owner.spawn("work", work())

    # A synchronous piece of middleware around an asynchronous page: its thread ends with the request.
    await sync_to_async(async_to_sync(page))()
    over.set()

    assert await asyncio.wait_for(answer, 2) == "a row"


async def test_work_that_ends_or_fails_begins_again_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "FIRST_PAUSE_S", 0.02)
    loop = asyncio.get_running_loop()
    begun: list[float] = []
    states: list[bool] = []
    enough = asyncio.Event()

    async def work(in_order: Callable[[], None]) -> None:
        begun.append(loop.time())
        in_order()
        if len(begun) == 4:
            enough.set()
            await asyncio.Event().wait()
        if len(begun) != 2:
            raise RuntimeError("broken")

    owner = TaskOwner()
    owner.keep("work", work, states.append)
    await asyncio.wait_for(enough.wait(), 2)
    await owner.close()

    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert pauses[2] > pauses[1] > pauses[0] >= 0.019
    assert states == [True, False, True, False, True, False, True]


async def test_the_owner_of_a_task_hears_that_it_failed() -> None:
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        raise RuntimeError("broken")

    TaskOwner(failed.set_result).spawn("captions", work())
    assert await asyncio.wait_for(failed, 2) == "captions"
