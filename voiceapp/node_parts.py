"""What a media node is made of, and where it listens: adapters as ports, its share of the machine's addresses."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from telephony.call.ids import CallId
from telephony.call.ports import EventLog, NodeBus, ParticipantFactory
from telephony.media.ports import AudioTap
from telephony.snapshot_rows import OpenSecret, no_secrets
from voiceapp.configuration import Address, Configuration

_RTP_PORTS: Final = 16


class Startable(Protocol):
    """A part with a life of its own."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...


class Bus(NodeBus, Startable, Protocol):
    """The node's bus, which this process serves."""


class Log(EventLog, Protocol):
    """The node's event log. `trouble`: what keeps it from writing, or None."""

    trouble: str | None

    def start(self) -> None: ...
    def unfinished(self) -> Mapping[CallId, int]: ...
    def close(self) -> None: ...


class Brains(Protocol):
    """The links to the agent workers. `ready`: workers that can take a call; `calls`: how many they can listen to."""

    @property
    def ready(self) -> int: ...

    @property
    def calls(self) -> int | None: ...

    async def run(self) -> None:
        """Keeps the links until cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """The adapters of one node; `voiceapp.bootstrap` binds them. `open_secret`: for the passwords of a snapshot."""

    bus: Bus
    log: Log
    brains: Brains
    make_participant: ParticipantFactory
    tap: AudioTap
    check_definition: Callable[[str, Mapping[str, Any]], None]
    open_secret: OpenSecret = no_secrets


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one of several nodes listens: each has its SIP ports and its share of the RTP range. `tls` None: none."""

    sip: Address
    rtp: tuple[int, ...]
    tls: Address | None = None


def ports_of(configuration: Configuration, index: int) -> Ports:
    """Ports of the node with this index, from 0. Even RTP ports; the odd ones are RTCP's."""
    first, last = configuration.rtp_ports.first, configuration.rtp_ports.last
    even = range(first + first % 2, last, 2)
    share = max(1, len(even) // configuration.media_nodes)
    return Ports(
        configuration.sip_of(index),
        tuple(even[index * share : (index + 1) * share][:_RTP_PORTS]),
        configuration.sip_tls_of(index),
    )


def address_for_peers(configuration: Configuration) -> str:
    """What SIP and SDP name as ours: the setting, the bound address, or, bound to all, that of the default route."""
    if configuration.public_address:
        return configuration.public_address
    if configuration.sip.host not in {"0.0.0.0", "::"}:
        return configuration.sip.host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
