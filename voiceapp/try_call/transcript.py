"""What the node understood of a call: asked over the local bus, so only on the machine that took it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from telephony.call.errors import CallError
from voiceapp.adapters.bus_client import BusClient
from voiceapp.configuration import Configuration


def local_bus(configuration: Configuration) -> tuple[BusClient, list[str]]:
    """The bus of this machine's nodes, and their names."""
    nodes = [f"node{i}" for i in range(1, configuration.media_nodes + 1)]
    return BusClient(configuration.run, nodes), nodes


async def find_call(configuration: Configuration, caller: str) -> tuple[str, str] | None:
    """Node and id of the newest call of this caller; None if no node here has one."""
    bus, nodes = local_bus(configuration)
    found: list[tuple[int, str, str]] = []
    for node in nodes:
        try:
            answer = await bus.request(node, "calls.rows", {}, 2.0)
        except (CallError, TimeoutError):
            continue
        found += [
            (row["started_us"], node, row["id"])
            for row in answer["rows"]
            if row["caller"] == caller
        ]
    return max(found)[1:] if found else None


async def events_of(configuration: Configuration, node: str, call: str) -> list[Mapping[str, Any]]:
    """All events of the call, as the bus has them; none if the node does not answer."""
    bus, _ = local_bus(configuration)
    try:
        answer = await bus.request(node, "calls.events", {"call": call, "since": 0}, 5.0)
    except (CallError, TimeoutError):
        return []
    return list(answer["events"])


def lines(events: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Who said what, in order; of the agent's sentences what was heard."""
    said = []
    for event in events:
        body = event["event"]
        if event["kind"] == "SegmentHeard":
            said.append({"role": body["role"], "text": body["text"]})
        elif event["kind"] == "UtteranceEnded" and body["heard"]:
            said.append({"role": "agent", "text": body["heard"]})
    return said


def turn_times(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Where the time of each answer went, as the node measured it."""
    return [event["event"] for event in events if event["kind"] == "TurnTimed"]
