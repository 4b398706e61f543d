"""Tasks of the web process outlive the request that started them."""

from __future__ import annotations

import asyncio

from asgiref.sync import async_to_sync, sync_to_async

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
