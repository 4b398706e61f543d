"""Which sources are read at all: an access rule and a token bucket per address, both before any parsing."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_REMEMBERED: Final = 10_000  # sources; beyond that the full buckets are forgotten


def allow_all(source: str) -> bool:
    """The rule without a trunk table; which addresses are bound decides who can reach us."""
    return True


@dataclass(slots=True)
class SourceGuard:
    """`admit` is asked once per datagram and per connection; `dropped` counts by reason."""

    allow: Callable[[str], bool] = allow_all
    per_second: float = 2000.0  # a trunk at 75 new calls a second sends about 400
    burst: float = 4000.0
    dropped: Counter[str] = field(default_factory=Counter)
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def admit(self, source: str, now: float) -> bool:
        """False: drop it without a reply."""
        if not self.allow(source):
            self.dropped["unknown_source"] += 1
            return False
        level, at = self._buckets.get(source, (self.burst, now))
        level = min(self.burst, level + (now - at) * self.per_second)
        if level < 1.0:
            self._buckets[source] = (level, now)
            self.dropped["over_rate"] += 1
            return False
        self._buckets[source] = (level - 1.0, now)
        if len(self._buckets) > _REMEMBERED:
            self._forget_full(now)
        return True

    def _forget_full(self, now: float) -> None:
        self._buckets = {
            source: (level, at)
            for source, (level, at) in self._buckets.items()
            if level + (now - at) * self.per_second < self.burst
        }
