"""May this node take one more call? Pure: load in, a refusal or nothing out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

DRAIN_RETRY_S: Final = 30
FULL_RETRY_S: Final = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What the node carries and can carry."""

    calls: int
    max_calls: int
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """503 with Retry-After; `reason` is a short stable word for counters and logs."""

    reason: str
    retry_after_s: int
    status: int = 503


def admit(load: Load) -> Refusal | None:
    """None: the call may be taken."""
    if load.draining:
        return Refusal("draining", DRAIN_RETRY_S)
    if load.calls >= load.max_calls:
        return Refusal("full", FULL_RETRY_S)
    return None


def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks in CIDR notation. Raises: ValueError naming the text."""
    return tuple(ip_network(text, strict=False) for text in texts)


def is_allowed(host: str, networks: tuple[Network, ...]) -> bool:
    """Does this source address belong to one of the networks? Not an address: no."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
