"""Speech made ahead of need and kept: for a greeting without delay, and for when no brain is there."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

PREPARED_BYTES: Final = 48 << 20


class PreparedLines:
    """Audio of sentences that never change, shared by all calls of a node: for the greeting, and for when no brain is there."""

    def __init__(self, limit_bytes: int = PREPARED_BYTES) -> None:
        self._lines: OrderedDict[tuple[str, int, str], bytes] = OrderedDict()
        self._limit = limit_bytes
        self._held = 0

    def get(self, voice: str, rate_hz: int, text: str) -> bytes | None:
        key = (voice, rate_hz, text)
        if key in self._lines:
            self._lines.move_to_end(key)
        return self._lines.get(key)

    def put(self, voice: str, rate_hz: int, text: str, pcm: bytes) -> None:
        key = (voice, rate_hz, text)
        self._held += len(pcm) - len(self._lines.pop(key, b""))
        self._lines[key] = pcm
        while self._held > self._limit:
            _, dropped = self._lines.popitem(last=False)
            self._held -= len(dropped)
