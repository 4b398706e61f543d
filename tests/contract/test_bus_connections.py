"""What a request of the bus leaves behind: nothing, however it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from telephony.call.errors import CallGoneError, RequestError
from tests.fakes.manual_clock import ManualClock
from voiceapp.adapters.bus_client import BusClient, socket_path
from voiceapp.adapters.bus_local import LocalNodeBus

Body = Mapping[str, Any]


async def echo(args: Body) -> Body:
    return args


async def refuse(args: Body) -> Body:
    raise CallGoneError("no such call here")


async def hang(args: Body) -> Body:
    await asyncio.Event().wait()
    return {}


@pytest.mark.parametrize(("name", "timeout_s"), [("echo", 5.0), ("refuse", 5.0), ("hang", 0.05)])
async def test_the_connection_of_a_request_is_closed_when_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, timeout_s: float
) -> None:
    bus = LocalNodeBus("node1", socket_path(tmp_path, "node1"), ManualClock())
    for each in (echo, refuse, hang):
        bus.serve(each.__name__, each)
    await bus.start()
    writers: list[asyncio.StreamWriter] = []
    connect = asyncio.open_unix_connection

    async def remembered(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connect(path)
        writers.append(writer)
        return reader, writer

    monkeypatch.setattr(asyncio, "open_unix_connection", remembered)
    with contextlib.suppress(RequestError, TimeoutError):
        await BusClient(tmp_path, ["node1"]).request("node1", name, {}, timeout_s)
    assert [writer.get_extra_info("socket").fileno() for writer in writers] == [-1]
    await bus.close()
