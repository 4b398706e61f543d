"""Ends of SIP on loopback, closed when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.fakes.sip_end import End

MakeEnd = Callable[..., Awaitable[End]]


@pytest.fixture
async def ends() -> AsyncIterator[MakeEnd]:
    opened: list[End] = []

    async def make(host: str = "127.0.0.1", **settings: Any) -> End:
        end = End(host, **settings)
        await end.transport.start()
        opened.append(end)
        return end

    yield make
    for end in opened:
        await end.transport.close()
        await end.transport.close()
