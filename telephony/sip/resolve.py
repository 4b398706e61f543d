"""Where a SIP URI leads (RFC 3263): transport, addresses and ports in the order in which they are to be tried.

Asks through a `Dns`, knows no sockets and no clock. Numeric hosts ask nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from telephony.sip.flow import Transport
from telephony.sip.uri import Uri, ip_literal

DEFAULT_PORTS: Final[dict[Transport, int]] = {
    "udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443,
}  # fmt: skip
_SERVICES: Final[dict[str, Transport]] = {
    "sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls",
}  # fmt: skip
_SRV_NAMES: Final[dict[Transport, str]] = {
    "udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp",
}  # fmt: skip
_MOST_HOSTS: Final = 20  # of one name: a zone with more of them is a mistake or an attack


@dataclass(frozen=True, slots=True)
class Naptr:
    """A record of RFC 3403; `service` in lower case, `flags` too."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """A record of RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


class Dns(Protocol):
    """Look-ups that never raise: what does not exist or is not answered in time is an empty list."""

    async def naptr(self, name: str) -> list[Naptr]: ...
    async def srv(self, name: str) -> list[Srv]: ...
    async def addresses(self, name: str) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Hop:
    """One address to try. `name`: what was asked for, and what a certificate must be for."""

    transport: Transport
    host: str
    port: int
    name: str


async def find_hops(
    uri: Uri, dns: Dns, random: Callable[[], float], *, transport: Transport | None = None
) -> list[Hop]:
    """Hops in failover order; empty if nothing is there. `random`: in [0, 1), for the weights.

    `transport`: the caller's wish (a trunk's setting), above the URI's own; a sips URI makes it secure.
    """
    host = (uri.param("maddr") or uri.host).lower()
    wanted = _secure(transport or _transport_of(uri), uri.scheme == "sips")
    literal = ip_literal(host)
    if literal is not None:
        way = wanted or _default(uri)
        return [Hop(way, literal, uri.port or DEFAULT_PORTS[way], literal)]
    targets: list[tuple[Transport, str, int]] = []
    denied = False
    if uri.port is None:
        for way, srv_name in await _services(host, wanted, dns, secure=uri.scheme == "sips"):
            records = await dns.srv(srv_name)
            denied = denied or bool(records)
            targets += [(way, r.target, r.port) for r in in_order(records, random)]
    if not targets and denied:
        return []  # RFC 2782: the target "." says that there is no such service here
    if not targets:
        way = wanted or _default(uri)
        targets = [(way, host, uri.port or DEFAULT_PORTS[way])]
    hops: list[Hop] = []
    for way, target, port in targets[:_MOST_HOSTS]:
        literal = ip_literal(target)
        addresses = [literal] if literal else await dns.addresses(target)
        hops += [Hop(way, address, port, host) for address in addresses[:_MOST_HOSTS]]
    return list(dict.fromkeys(hops))


def _transport_of(uri: Uri) -> Transport | None:
    found = (uri.param("transport") or "").lower()
    return next((way for way in DEFAULT_PORTS if way == found), None)


def _secure(transport: Transport | None, secure: bool) -> Transport | None:
    if not secure:
        return transport
    return "wss" if transport in ("ws", "wss") else "tls" if transport is not None else None


def _default(uri: Uri) -> Transport:
    return "tls" if uri.scheme == "sips" else "udp"


async def _services(
    host: str, wanted: Transport | None, dns: Dns, *, secure: bool
) -> Sequence[tuple[Transport, str]]:
    """The SRV names to ask, best first (RFC 3263 4.1)."""
    if wanted is not None:
        return [(wanted, f"{_SRV_NAMES[wanted]}.{host}")] if wanted in _SRV_NAMES else []
    allowed: tuple[Transport, ...] = ("tls",) if secure else ("udp", "tcp", "tls")
    records = sorted(await dns.naptr(host), key=lambda r: (r.order, r.preference))
    found = [
        (way, record.replacement)
        for record in records
        if record.flags == "s" and (way := _SERVICES.get(record.service)) in allowed
    ]
    return found or [(way, f"{_SRV_NAMES[way]}.{host}") for way in allowed]


def in_order(records: Sequence[Srv], random: Callable[[], float]) -> list[Srv]:
    """By priority, and within one by drawing lots among the weights (RFC 2782); those that deny the service are left out."""
    left = sorted(
        (record for record in records if record.target not in (".", "")),
        key=lambda record: (record.priority, record.weight > 0),
    )
    found: list[Srv] = []
    while left:
        same = [record for record in left if record.priority == left[0].priority]
        lot = random() * sum(record.weight for record in same)
        for record in same:
            lot -= record.weight
            if lot < 0 or record is same[-1]:
                break
        found.append(record)
        left.remove(record)
    return found
