"""How many calls a trunk may have: at once, in a second, in a day. Pure; `now` is an argument.

Each trunk has its own counts, so that one that calls too much or too fast is refused and no other notices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from telephony.admission import FULL_RETRY_S, RATE_RETRY_S, Refusal, TokenBucket
from telephony.trunks import Trunk

_FULL: Final = Refusal("trunk_full", FULL_RETRY_S)
_TOO_FAST: Final = Refusal("trunk_too_fast", RATE_RETRY_S)


@dataclass(slots=True)
class _Room:
    calls: int = 0
    rate: TokenBucket | None = None
    rate_per_s: float | None = None
    counters: Counter[str] = field(default_factory=Counter)


class TrunkRooms:
    """Counts by trunk name; limits are those of the `Trunk` that asks, so that a new snapshot counts at once."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}

    def refusal(self, trunk: Trunk, now: float) -> Refusal | None:
        """None: the trunk may begin one more call now."""
        room = self._room(trunk)
        if trunk.max_calls is not None and room.calls >= trunk.max_calls:
            return _FULL
        if room.rate is not None and not room.rate.has(now):
            return _TOO_FAST
        return None

    def take(self, trunk: Trunk, now: float) -> Refusal | None:
        """Counts one more call in, or says why not; `release` counts it out."""
        refusal = self.refusal(trunk, now)
        room = self._room(trunk)
        if refusal is not None:
            room.counters[refusal.reason] += 1
            return refusal
        if room.rate is not None:
            room.rate.take(now)
        room.calls += 1
        return None

    def release(self, trunk: str) -> None:
        """A call of the trunk has ended."""
        room = self._rooms.get(trunk)
        if room is not None and room.calls > 0:
            room.calls -= 1

    def count(self, trunk: str, what: str) -> None:
        """Something happened on the trunk; short stable words."""
        self._rooms.setdefault(trunk, _Room()).counters[what] += 1

    def calls(self, trunk: str) -> int:
        """Calls of the trunk that are up or being set up."""
        room = self._rooms.get(trunk)
        return room.calls if room is not None else 0

    def counters(self, trunk: str) -> Mapping[str, int]:
        room = self._rooms.get(trunk)
        return dict(room.counters) if room is not None else {}

    def _room(self, trunk: Trunk) -> _Room:
        room = self._rooms.setdefault(trunk.name, _Room())
        if room.rate_per_s != trunk.max_cps:
            room.rate_per_s = trunk.max_cps
            room.rate = None if trunk.max_cps is None else TokenBucket(trunk.max_cps)
        return room
