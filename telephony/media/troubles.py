"""What is wrong with one leg's audio now: each trouble is told once at its onset, and once when it is over."""

from __future__ import annotations

from typing import Final

from telephony.media.audio_watch import AudioWatch
from telephony.media.handles import SlotHandle
from telephony.media.notices import (
    AudioRecovered,
    AudioTroubled,
    Garbling,
    Notice,
    TroubleKind,
)

_CLEAR: Final = {
    TroubleKind.GARBLED: 6,
    TroubleKind.CLIPPING: 4,
    TroubleKind.SILENT: 1,
    TroubleKind.POOR: 5,
    TroubleKind.ONE_WAY: 1,
}
"""How often in a row it must not be so until a trouble counts as over: a line that wavers is one trouble.

What is heard is asked twice a second, the rest once.
"""
_HEARD: Final = (TroubleKind.GARBLED, TroubleKind.CLIPPING, TroubleKind.SILENT)


class Troubles:
    """Of one leg."""

    def __init__(self, slot: SlotHandle) -> None:
        self._slot = slot
        self._clear: dict[TroubleKind, int] = {}

    def tell_sound(
        self, watch: AudioWatch, row: int, garbled: Garbling | None, now: float
    ) -> list[Notice]:
        """What is wrong with the sound of the stream in this row of `watch`."""
        overdriven = watch.clipping(row) and garbled is None
        details = (
            garbled.value if garbled is not None else None,
            "overdriven" if overdriven else None,
            "only digital silence" if watch.silent(row) else None,
        )
        notices: list[Notice] = []
        for kind, detail in zip(_HEARD, details, strict=True):
            notices += self.tell(kind, detail, now)
        return notices

    @property
    def audible(self) -> bool:
        """Something is wrong with the sound, as far as is known."""
        return any(kind in self._clear for kind in _HEARD)

    @property
    def of_line(self) -> bool:
        """Something is wrong with the way to here, as far as is known."""
        return any(kind not in _HEARD for kind in self._clear)

    def tell(self, kind: TroubleKind, detail: str | None, now: float) -> list[Notice]:
        """`detail` None: it is not so at present."""
        if detail is not None:
            fresh = kind not in self._clear
            self._clear[kind] = 0
            return [AudioTroubled(self._slot, kind, detail, now)] if fresh else []
        if kind not in self._clear:
            return []
        self._clear[kind] += 1
        if self._clear[kind] < _CLEAR[kind]:
            return []
        del self._clear[kind]
        return [AudioRecovered(self._slot, kind, now)]
