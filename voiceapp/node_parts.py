"""What a media node is made of, and where it listens: adapters as ports, its share of the machine's addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from telephony.call.ids import CallId
from telephony.call.ports import EventLog, NodeBus, ParticipantFactory
from telephony.legs.sip_media import Addresses
from telephony.media.ports import AudioTap
from telephony.snapshot_rows import OpenSecret, no_secrets
from voiceapp.configuration import Address, Configuration
from voiceapp.ipv6 import WILDCARD_V4, WILDCARD_V6, beside, opened, routed

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
    """The links to the agent workers. `ready`: workers that can take a call; `calls`: how many they can listen to.

    `counters`: what went wrong on them, by short words.
    """

    @property
    def ready(self) -> int: ...

    @property
    def calls(self) -> int | None: ...

    @property
    def counters(self) -> Mapping[str, int]: ...

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
    """Where one of several nodes listens: each has its SIP ports and its share of the RTP range. None: nowhere.

    `sip_v6`, `tls_v6`: where IPv6 is served beside IPv4.
    """

    sip: Address
    rtp: tuple[int, ...]
    tls: Address | None = None
    sip_v6: Address | None = None
    tls_v6: Address | None = None


def ports_of(configuration: Configuration, index: int) -> Ports:
    """Ports of the node with this index, from 0. Even RTP ports; the odd ones are RTCP's."""
    first, last = configuration.rtp_ports.first, configuration.rtp_ports.last
    even = range(first + first % 2, last, 2)
    share = max(1, len(even) // configuration.media_nodes)
    sip, tls = configuration.sip_of(index), configuration.sip_tls_of(index)
    return Ports(
        sip,
        tuple(even[index * share : (index + 1) * share][:_RTP_PORTS]),
        tls,
        sip_v6=beside(configuration, sip),
        tls_v6=None if tls is None else beside(configuration, tls),
    )


def addresses_for_peers(configuration: Configuration) -> Addresses:
    """What SIP and SDP name as ours: the setting, the bound address, or, bound to all, that of the default route.

    A family without a route has none: it counts as closed. Raises: ConfigurationError, as `opened`.
    """
    v4, v6 = opened(configuration)
    public = configuration.public_address
    if public:
        v4, v6 = (v4, public) if ":" in public else (public, v6)
    v4 = routed(v4) if v4 == WILDCARD_V4 else v4
    v6 = routed(v6) if v6 == WILDCARD_V6 else v6
    if v4 or v6:
        return Addresses(v4, v6)
    # No network: calls of this machine work.
    return Addresses(v6="::1") if ":" in configuration.sip.host else Addresses("127.0.0.1")
