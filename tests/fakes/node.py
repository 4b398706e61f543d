"""A media node in the test's own process, with the tone agent for a brain."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telephony.call.timers import LoopScheduler
from telephony.dialplan import SnapshotError
from telephony.media.ports import FrameBatch
from tests.fakes.tone_agent import ToneAgent
from tests.ports import free_range
from voiceapp.adapters.bus_client import BusClient, socket_path
from voiceapp.adapters.bus_local import LocalNodeBus
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.event_log_sqlite import SqliteEventLog
from voiceapp.configuration import Address, Configuration, load
from voiceapp.media_node import MediaNode
from voiceapp.node_parts import NodeParts


def snapshot(**agent: Any) -> dict[str, Any]:
    return {
        "revision": 1,
        "agents": {"tone@1": agent},
        "routes": [{"number": "demo", "agent": "tone", "version": 1}],
        "widgets": [
            {"key": "demo", "agent": "tone", "version": 1, "origins": ["http://127.0.0.1"]}
        ],
    }


class FakeBrains:
    """Links to workers that can listen to this many calls."""

    ready = 1

    def __init__(self, calls: int | None = None) -> None:
        self.calls = calls
        self.counters = {"frames_lost": 0, "rejected": 0}

    async def run(self) -> None:
        await asyncio.Event().wait()


class Ears:
    """The audio tap: what would go to the brain."""

    def __init__(self) -> None:
        self.batches: list[FrameBatch] = []

    def frames(self, batch: FrameBatch) -> None:
        self.batches.append(batch)


@dataclass
class RunningNode:
    configuration: Configuration
    node: MediaNode
    agents: list[ToneAgent] = field(default_factory=list)
    ears: Ears = field(default_factory=Ears)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    number: int = 1

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def sip(self) -> Address:
        return self.configuration.sip_of(self.number - 1)

    @property
    def bus(self) -> BusClient:
        return BusClient(self.configuration.run, [self.name])

    async def ask(self, name: str, **args: Any) -> Mapping[str, Any]:
        return await self.bus.request(self.name, name, args)

    @property
    def uri(self) -> str:
        return f"sip:demo@{self.sip}"

    @property
    def uri_v6(self) -> str:
        return f"sip:demo@{Address('::1', self.sip.port)}"


def check(name: str, definition: Mapping[str, Any]) -> None:
    if "broken" in definition:
        raise SnapshotError(f"agents.{name}", "broken")


@asynccontextmanager
async def running_node(
    folder: Path,
    agent: Mapping[str, Any] | None = None,
    listens_to: int | None = None,
    number: int = 1,
    **settings: str,
) -> AsyncIterator[RunningNode]:
    """`number`: which of the nodes of these settings it is."""
    port, rtp = free_range(2), free_range(16)
    configuration = load(
        {
            "VOICEAPP_DATA": str(folder),
            "VOICEAPP_SIP": f"127.0.0.1:{port}",
            "VOICEAPP_RTP_PORTS": f"{rtp}-{rtp + 15}",
            "VOICEAPP_WEBRTC_ADDRESSES": "127.0.0.1",
            **settings,
        }
    )
    configuration.spool.mkdir(parents=True, exist_ok=True)
    configuration.snapshot.write_text(json.dumps(snapshot(**(agent or {}))))
    name = f"node{number}"
    scheduler = LoopScheduler(asyncio.get_running_loop())
    ears, agents = Ears(), list[ToneAgent]()

    def participant(call: Any, media: Any, definition: Mapping[str, Any]) -> ToneAgent:
        agents.append(ToneAgent(call, media, definition))
        return agents[-1]

    parts = NodeParts(
        bus=LocalNodeBus(name, socket_path(configuration.run, name), scheduler),
        log=SqliteEventLog(configuration.spool_of(name), Keyring.load(configuration.data_key)),
        brains=FakeBrains(listens_to),
        make_participant=participant,
        tap=ears,
        check_definition=check,
        open_secret=lambda sealed, belongs_to: sealed,
    )
    node = MediaNode(configuration, name, number - 1, parts)
    running = RunningNode(configuration, node, agents, ears, number=number)
    serving = asyncio.get_running_loop().create_task(node.serve())
    serving.add_done_callback(lambda _: running.ended.set())
    try:
        await node.ready.wait()
        yield running
    finally:
        node.stop()
        await serving
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
