"""May this node take one more call? Pure: occupancy, measurements and `now` in, a refusal or nothing out.

One rule for all doors: an INVITE, an OPTIONS, a browser's offer, a call that we place. Refusing is cheap, comes before
anything is allocated, and does not flap: what was measured has to last before it refuses, and to be well again for a
while before it admits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

DRAIN_RETRY_S: Final = 30
FULL_RETRY_S: Final = 10
OVERLOAD_RETRY_S: Final = 5
RATE_RETRY_S: Final = 2

LEAST_CALLS: Final = 8
"""With fewer calls than this, lateness is not of this node's making, and refusing calls would not cure it."""
HOT_S: Final = 1.0
"""What was measured has to last this long before calls are refused for it,"""
CALM_S: Final = 5.0
"""and to be well for this long before they are taken again."""
_BURST: Final = 0.5
"""Of a second's calls may come at once."""


@dataclass(frozen=True, slots=True)
class Band:
    """A measurement at `high` or above is trouble; it is over below `low`."""

    high: float
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a node is overloaded. `late_ms`: the plane's ticks, p99; a packet is 20 ms. `cpu`: of one core."""

    late_ms: Band = Band(12.0, 6.0)
    overruns_per_s: Band = Band(20.0, 5.0)
    lag_ms: Band = Band(150.0, 60.0)
    cpu: Band = Band(0.97, 0.85)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the node saw of itself since the last look. `lag_ms`: how late the event loop called back."""

    late_ms: float = 0.0
    overruns_per_s: float = 0.0
    lag_ms: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the node carries and can carry now. `agent_places` None: as many as there are calls.

    `media_places`: slots of the media plane that are free.
    """

    calls: int
    max_calls: int
    agent_calls: int = 0
    agent_places: int | None = None
    media_places: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """503 with Retry-After; `reason` is a short stable word for counters and logs."""

    reason: str
    retry_after_s: int
    status: int = 503


_DRAINING: Final = Refusal("draining", DRAIN_RETRY_S)
_OVERLOADED: Final = Refusal("overloaded", OVERLOAD_RETRY_S)
_FULL: Final = Refusal("full", FULL_RETRY_S)
_NO_MEDIA: Final = Refusal("no_media", FULL_RETRY_S)
_NO_AGENT: Final = Refusal("no_agent", FULL_RETRY_S)
_TOO_FAST: Final = Refusal("too_fast", RATE_RETRY_S)


class TokenBucket:
    """`rate` a second, and half a second's worth (at least one) at once; a rate of 0 lets nobody pass."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * _BURST) if rate > 0 else 0.0
        self._level = self._burst
        self._at: float | None = None

    def has(self, now: float) -> bool:
        """Whether one may pass now."""
        if self._at is not None:
            self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = now
        return self._level >= 1.0

    def take(self, now: float) -> bool:
        """Lets one pass, or says no."""
        if not self.has(now):
            return False
        self._level -= 1.0
        return True


@dataclass(slots=True)
class Admission:
    """The rule, with what it remembers of the measurements. `max_cps`: calls that begin in a second, node-wide."""

    max_cps: float = 100.0
    thresholds: Thresholds = field(default_factory=Thresholds)
    draining: bool = False
    overloaded: bool = False
    _rate: TokenBucket = field(init=False)
    _since: float | None = None
    _open: bool = True

    def __post_init__(self) -> None:
        self._rate = TokenBucket(self.max_cps)

    # ------------------------------------------------------------------------------- measuring

    def measure(self, measured: Measured, calls: int, now: float) -> bool:
        """Takes a measurement, a few a second. True if it changed whether the node counts as overloaded."""
        levels = [
            (getattr(measured, name), getattr(self.thresholds, name))
            for name in ("late_ms", "overruns_per_s", "lag_ms", "cpu")
        ]
        if self.overloaded:
            wants_change = calls < LEAST_CALLS or all(value < band.low for value, band in levels)
            patience = CALM_S
        else:
            hot = any(value >= band.high for value, band in levels)
            wants_change = calls >= LEAST_CALLS and hot
            patience = HOT_S
        if not wants_change:
            self._since = None
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < patience:
            return False
        self.overloaded = not self.overloaded
        self._since = None
        return True

    # ------------------------------------------------------------------------------- asking

    def refusal(self, load: Load, now: float, *, agent: bool = True) -> Refusal | None:
        """None: one more call may be taken. `agent`: it needs an agent that listens."""
        if self.draining:
            return _DRAINING
        if self.overloaded:
            return _OVERLOADED
        if load.calls >= load.max_calls:
            return _FULL
        if load.media_places is not None and load.media_places < 1:
            return _NO_MEDIA
        if not self._rate.has(now):
            return _TOO_FAST
        if agent and load.agent_places is not None and load.agent_calls >= load.agent_places:
            return _NO_AGENT
        return None

    def taken(self, now: float) -> None:
        """One more call was taken."""
        self._rate.take(now)

    def unavailable(self, load: Load, now: float) -> Refusal | None:
        """What a peer is told that asks by OPTIONS: once full, not before a twentieth of the places is free again.

        A second in which too many calls came does not take the node out of its dispatcher.
        """
        most = load.max_calls
        if load.agent_places is not None:
            most = min(most, load.agent_places)
        refusal = self.refusal(load, now)
        if refusal is not None and refusal is not _TOO_FAST:
            self._open = False
            return refusal
        busy = load.calls if load.agent_places is None else max(load.calls, load.agent_calls)
        if not self._open and busy > most - max(1, most // 20):
            return _FULL
        self._open = True
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
