"""One heap of deadlines for all timers of an engine."""

import heapq
from collections.abc import Callable, Hashable
from itertools import count

Fire = Callable[[float], None]


class Deadlines:
    """Named deadlines; setting a key again replaces it. `fire` runs those due in order of their time."""

    def __init__(self) -> None:
        self._live: dict[Hashable, tuple[float, int, Fire]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._numbers = count()

    def set(self, key: Hashable, at: float, fire: Fire) -> None:
        number = next(self._numbers)
        self._live[key] = (at, number, fire)
        heapq.heappush(self._heap, (at, number, key))
        if len(self._heap) > 2 * len(self._live) + 64:
            self._compact()

    def cancel(self, key: Hashable) -> None:
        self._live.pop(key, None)

    def next(self) -> float | None:
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire(self, now: float) -> None:
        """Run everything due at `now`; a timer set meanwhile for a past moment runs too."""
        while (at := self.next()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            _, _, fire = self._live.pop(key)
            fire(now)

    def __len__(self) -> int:
        return len(self._live)

    def _is_stale(self, entry: tuple[float, int, Hashable]) -> bool:
        live = self._live.get(entry[2])
        return live is None or live[1] != entry[1]

    def _compact(self) -> None:
        self._heap = [(at, number, key) for key, (at, number, _) in self._live.items()]
        heapq.heapify(self._heap)
