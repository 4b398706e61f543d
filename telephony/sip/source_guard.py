"""Which sources are read at all: who is known, how fast each may send, who is banned. Pure, and before any parsing.

All that is kept is bounded; of an unknown source only that it is unknown, and a count per network. What one may send
and whether it is banned goes by `unit_of` its address, since a host of IPv6 has a whole /64 to send from. Whoever else
is on that link, such as a trunk beside phones, has a rate of its own, and no ban for their faults if not bannable.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal, TypeVar

K = TypeVar("K")
T = TypeVar("T")
Fault = Literal["malformed", "refused", "unauthorized"]

_NETWORKS_COUNTED: Final = 1000
_OTHER_NETWORKS: Final = "other"
_PREFIX_V4, _PREFIX_V6 = 24, 48
_HOST_V6: Final = 64
"""RFC 4291 2.5.4: what one link has, and often one machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is allowed to a known source. `name` says why it is known ("trunk", "extension"), never who it is.

    A carrier sends wrong numbers and old requests in good faith, and UDP addresses can be forged: a source that must
    not be cut off by that has `bannable=False`; a wrong digest or rubbish from it is counted all the same.
    """

    name: str = "open"
    per_second: float = 2000.0  # a trunk at 75 new calls a second sends about 400
    burst: float = 4000.0
    bannable: bool = True


OPEN: Final = Source()


def everyone(source: str) -> Source | None:
    """The table without a rule: which addresses are bound decides who can reach us."""
    return OPEN


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """A source with `faults` faults within `window_s` is banned for `ban_s`. `remembered`: sources kept of each kind."""

    faults: int = 30
    window_s: float = 60.0
    ban_s: float = 600.0
    remembered: int = 10_000


@dataclass(frozen=True, slots=True)
class Ban:
    """A source that is not heard until `until`; if for faults, those of its unit that are not bannable still are."""

    source: str
    until: float
    reason: str
    for_faults: bool = False


@dataclass(slots=True)
class SourceGuard:
    """`admit` is asked once per datagram, message of a stream and connection.

    `table` finds the `Source` of an address, or None for one that is unknown; its answers are remembered until
    `forget()`. `dropped` counts by reason, `networks` unknown sources by /24 and /48.
    """

    table: Callable[[str], Source | None] = everyone
    limits: GuardLimits = field(default_factory=GuardLimits)
    dropped: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    networks: Counter[str] = field(default_factory=Counter)
    _known: OrderedDict[str, Source | None] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[tuple[str, str], tuple[float, float]] = field(default_factory=OrderedDict)
    _faulty: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _banned: OrderedDict[str, Ban] = field(default_factory=OrderedDict)

    def admit(self, source: str, now: float) -> bool:
        """False: drop it without a reply."""
        known = self._find(source)
        if self._banned and self._is_banned(source, known, now):
            self.dropped["banned"] += 1
            return False
        if known is None:
            self.dropped["unknown_source"] += 1
            self._count_network(source)
            return False
        sender = known.name, unit_of(source)
        level, at = self._buckets.get(sender, (known.burst, now))
        level = min(known.burst, level + (now - at) * known.per_second)
        admitted = level >= 1.0
        self._keep(self._buckets, sender, (level - admitted, now))
        if not admitted:
            self.dropped["over_rate"] += 1
        return admitted

    def fault(self, source: str, kind: Fault, now: float) -> None:
        """Something wrong came from this source; too much of it within the window ends in a ban."""
        self.faults[kind] += 1
        known = self._find(source)
        if known is None or not known.bannable:
            return
        unit = unit_of(source)
        count, at = self._faulty.get(unit, (0.0, now))
        leaked = (now - at) * self.limits.faults / self.limits.window_s
        count = max(0.0, count - leaked) + 1.0
        self._keep(self._faulty, unit, (count, now))
        if count >= self.limits.faults:
            self._silence(Ban(unit, now + self.limits.ban_s, kind, for_faults=True))

    def forgive(self, source: str) -> None:
        """A request succeeded: the challenge before it was no guess. A trunk's success says nothing of its neighbours."""
        known = self._find(source)
        if known is None or not known.bannable:
            return
        unit = unit_of(source)
        count, at = self._faulty.get(unit, (0.0, 0.0))
        if count:
            self._faulty[unit] = (max(0.0, count - 1.0), at)

    def ban(self, source: str, seconds: float, reason: str, *, now: float) -> None:
        """Do not hear this source for a while, known or not, bannable or not; `reason` is a short stable word."""
        self._silence(Ban(unit_of(source), now + seconds, reason))

    def bans(self, now: float) -> tuple[Ban, ...]:
        """Those in force, oldest first."""
        return tuple(ban for ban in self._banned.values() if ban.until > now)

    def forget(self) -> None:
        """The table has changed: ask it again about every source."""
        self._known.clear()

    def _silence(self, ban: Ban) -> None:
        self._faulty.pop(ban.source, None)
        self._keep(self._banned, ban.source, ban)

    def _is_banned(self, source: str, known: Source | None, now: float) -> bool:
        unit = unit_of(source)
        ban = self._banned.get(unit)
        if ban is not None and ban.until <= now:
            del self._banned[unit]
            return False
        spared = known is not None and not known.bannable
        return ban is not None and not (ban.for_faults and spared)

    def _find(self, source: str) -> Source | None:
        if source not in self._known:
            self._keep(self._known, source, self.table(source))
        return self._known[source]

    def _keep(self, kept: OrderedDict[K, T], key: K, value: T) -> None:
        kept[key] = value
        kept.move_to_end(key)
        if len(kept) > self.limits.remembered:
            kept.popitem(last=False)  # the one not heard of for longest

    def _count_network(self, source: str) -> None:
        network = network_of(source)
        if network not in self.networks and len(self.networks) >= _NETWORKS_COUNTED:
            network = _OTHER_NETWORKS
        self.networks[network] += 1


def unit_of(source: str) -> str:
    """What counts as one sender: an IPv4 address, or the /64 of an IPv6 address."""
    return source if ":" not in source else _link_of(source)


@lru_cache(maxsize=10_000)
def _link_of(source: str) -> str:
    try:
        return str(ip_network((ip_address(source.partition("%")[0]), _HOST_V6), strict=False))
    except ValueError:
        return source


def network_of(source: str) -> str:
    """The /24 or /48 an address belongs to, "other" for what is none."""
    try:
        address: IPv4Address | IPv6Address = ip_address(source.partition("%")[0])
    except ValueError:
        return _OTHER_NETWORKS
    prefix = _PREFIX_V4 if address.version == 4 else _PREFIX_V6
    return str(ip_network((address, prefix), strict=False))
