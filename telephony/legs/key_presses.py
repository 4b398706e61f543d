"""One press of a key may come by RFC 4733, by INFO and as tones: it counts once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from telephony.call.ids import LegId

SAME_PRESS_S: Final = 0.15
"""Two ways differ by network and detection, not by more."""

Way = Literal["rtp", "inband", "info"]


@dataclass(slots=True)
class _Press:
    key: str
    began: float
    ended: float
    ways: set[Way]


class KeyPresses:
    """The last press of each leg of a call."""

    def __init__(self) -> None:
        self._last: dict[LegId, _Press] = {}

    def is_new(self, leg: LegId, key: str, way: Way, began: float, ended: float) -> bool:
        """False: the same press was told by another way, at most 150 ms before or after this."""
        last = self._last.get(leg)
        if last is not None and last.key == key and way not in last.ways:
            near = began - last.ended <= SAME_PRESS_S and last.began - ended <= SAME_PRESS_S
            if near:
                last.ways.add(way)
                last.began, last.ended = min(last.began, began), max(last.ended, ended)
                return False
        self._last[leg] = _Press(key, began, ended, {way})
        return True

    def forget(self, leg: LegId) -> None:
        self._last.pop(leg, None)
