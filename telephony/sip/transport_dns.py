"""`resolve.Dns` by dnspython on this loop: never blocks it, keeps answers for their TTL."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from telephony.sip.flow import Address
from telephony.sip.resolve import Naptr, Srv
from telephony.sip.uri import ip_literal

_REMEMBERED: Final = 1000
_TRY_S: Final = 1.0  # one server, one packet; then the next
_LOCALHOST: Final = ("localhost", "localhost.")  # RFC 6761 6.3: never asked of anybody
_HOSTS: Final = Path("/etc/hosts")

log = logging.getLogger(__name__)


class Resolver:
    """`kinds`: the address records that are of use; `servers`: asked instead of those of /etc/resolv.conf."""

    def __init__(
        self,
        kinds: Sequence[str] = ("A", "AAAA"),
        servers: Sequence[Address] = (),
        hosts: Path = _HOSTS,
    ) -> None:
        self._kinds = kinds
        self._servers = servers
        self._hosts = _read_hosts(hosts)
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def naptr(self, name: str) -> list[Naptr]:
        return [
            Naptr(
                record.order,
                record.preference,
                record.flags.decode("ascii", "replace").lower(),
                record.service.decode("ascii", "replace").lower(),
                record.replacement.to_text(omit_final_dot=True),
            )
            for record in await self._ask(name, "NAPTR")
        ]

    async def srv(self, name: str) -> list[Srv]:
        return [
            Srv(
                record.priority,
                record.weight,
                record.port,
                record.target.to_text(omit_final_dot=True),
            )
            for record in await self._ask(name, "SRV")
        ]

    async def addresses(self, name: str) -> list[str]:
        """In the order of `kinds`; /etc/hosts goes first."""
        if name in _LOCALHOST:
            return ["127.0.0.1", "::1"]
        if name in self._hosts:
            return self._hosts[name]
        found: list[str] = []
        for kind in self._kinds:
            found += [str(record.address) for record in await self._ask(name, kind)]
        return found

    async def _ask(self, name: str, kind: str) -> Iterable[Any]:
        try:
            if self._resolver is None:
                self._resolver = _make_resolver(self._servers)
            return await self._resolver.resolve(name, kind, search=False)
        except dns.exception.DNSException as error:
            if not isinstance(error, dns.resolver.NXDOMAIN | dns.resolver.NoAnswer):
                log.warning("dns_failed", extra={"reason": type(error).__name__, "record": kind})
            return ()


def _make_resolver(servers: Sequence[Address]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    resolver.cache = dns.resolver.LRUCache(_REMEMBERED)
    resolver.timeout = _TRY_S
    return resolver


def _read_hosts(path: Path) -> dict[str, list[str]]:
    """Names of this machine's file; lines that cannot be read are left out."""
    found: dict[str, list[str]] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return found
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        literal = ip_literal(address)
        for name in names if literal else ():
            found.setdefault(name.lower(), []).append(literal or "")
    return found
