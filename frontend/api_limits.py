"""How often a token, or a stranger's address, may ask. Pure: `now` is an argument, in seconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

WINDOW_S: Final = 60.0
MOST_KEYS: Final = 10_000
"""Further ones push out those that asked longest ago."""


class RateLimit:
    """Requests of each key in the last minute."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, per_minute: int, now: float) -> float:
        """0: the request may go on, and is counted; else the seconds after which it may."""
        seen = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while len(self._seen) > MOST_KEYS:
            self._seen.popitem(last=False)
        while seen and seen[0] <= now - WINDOW_S:
            seen.popleft()
        if len(seen) >= per_minute:
            return seen[0] + WINDOW_S - now if seen else WINDOW_S
        seen.append(now)
        return 0.0
