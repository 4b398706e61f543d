"""A node with trunks: its snapshot, orders to dial, and what its log and its health say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.fakes.carrier import Carrier
from tests.fakes.node import RunningNode, snapshot

NUMBER = "+49301234567"


def trunk(carrier: Carrier, name: str = "carrier", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "hosts": [carrier.host],
        "country": "49",
        "allowed_prefixes": ["+49"],
        "caller_ids": ["+4930555000"],
        "ping_s": 0,
        **more,
    }


def plan(*trunks: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    base = snapshot(seconds=30)
    return {
        **base,
        "revision": 2,
        "routes": [{"number": NUMBER, "agent": "tone", "version": 1}],
        "trunks": list(trunks),
        "outbound": {"agents": [{"agent": "tone"}]},
        **more,
    }


async def load(node: RunningNode, *trunks: Mapping[str, Any], **more: Any) -> None:
    await node.ask("config.load", snapshot=plan(*trunks, **more))


async def dial(node: RunningNode, **more: Any) -> str:
    args = {"agent": "tone", "destination": NUMBER, "id": "1", **more}
    return str((await node.ask("outbound.dial", **args))["call"])


async def events(node: RunningNode, call: str) -> list[Mapping[str, Any]]:
    return list((await node.ask("calls.events", call=call))["events"])


async def ended(node: RunningNode, call: str) -> list[Mapping[str, Any]]:
    async with asyncio.timeout(8):
        while True:
            found = await events(node, call)
            if of_kind(found, "CallEnded"):
                return found
            await asyncio.sleep(0.02)


def of_kind(found: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [event["event"] for event in found if event["kind"] == kind]


async def health(node: RunningNode) -> Mapping[str, Any]:
    return dict((await node.ask("node.health"))["health"])


async def until_up(node: RunningNode) -> None:
    async def is_up() -> bool:
        return any(row["answered_us"] for row in (await node.ask("calls.rows"))["rows"])

    await _until(is_up)


async def until_state(node: RunningNode, state: str) -> None:
    async def is_so() -> bool:
        return bool((await health(node))["trunks"]["carrier"]["state"] == state)

    await _until(is_so)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while not await condition():  # noqa: ASYNC110 - what is awaited is asked for over the bus
            await asyncio.sleep(0.02)


def end_of(found: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The `CallEnded`; last facts of the agent may follow it."""
    [end] = of_kind(found, "CallEnded")
    return end
