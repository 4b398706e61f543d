"""The floor: who is heard where. Sources leave their latest frame here, destinations pick up what is routed to them.

Rows are indexes of the plane's source table: RTP slots, packet slots, voices, and last a row of silence. A
destination with one source at gain 1 costs one table look-up; others are summed in 32 bits and clipped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media.resample import NARROW, WIDE, RateConverter

Rows = NDArray[np.int64]
Edges = tuple[tuple[int, float], ...]


class Floor:
    """`sources` rows can be heard; the first `destinations` of them hear. `wide` (sources,) bool: 16 kHz natively."""

    def __init__(self, sources: int, destinations: int) -> None:
        self.silence = sources
        self.wide = np.zeros(sources + 1, np.bool_)
        self.narrow_frames = np.zeros((sources + 1, NARROW), np.int16)
        self.wide_frames = np.zeros((sources + 1, WIDE), np.int16)
        self.direct = np.full(destinations, self.silence, np.int64)
        self._mixed: dict[int, Edges] = {}
        self._edges: dict[int, Edges] = {}
        self._hearers: dict[int, set[int]] = {}
        self._wanted = np.zeros((2, sources + 1), np.int64)
        self._heard = np.zeros(sources + 1, np.bool_)
        self._converter = RateConverter(sources + 1)

    def route(self, destination: int, edges: Edges) -> None:
        """Replaces what `destination` hears."""
        wide = int(self.wide[destination])
        for source, _ in self._edges.pop(destination, ()):
            self._wanted[wide, source] -= 1
            self._heard[source] = self._wanted[:, source].any()
            self._hearers[source].discard(destination)
        self._mixed.pop(destination, None)
        self.direct[destination] = self.silence
        if not edges:
            return
        self._edges[destination] = edges
        for source, _ in edges:
            self._wanted[wide, source] += 1
            self._heard[source] = True
            self._hearers.setdefault(source, set()).add(destination)
        if len(edges) == 1 and edges[0][1] == 1.0:
            self.direct[destination] = edges[0][0]
        else:
            self._mixed[destination] = edges

    def set_native(self, row: int, *, wide: bool) -> None:
        """The rate at which `row` speaks and hears from now on; its edges stay."""
        edges = self._edges.get(row, ())
        self.route(row, ())
        self.wide[row] = wide
        self.hush(row)
        self.route(row, edges)

    def forget(self, source: int) -> None:
        """No edge from or to it remains; what it last said is gone."""
        for destination in sorted(self._hearers.get(source, ())):
            kept = tuple(edge for edge in self._edges[destination] if edge[0] != source)
            self.route(destination, kept)
        if source < len(self.direct):
            self.route(source, ())
        self._hearers.pop(source, None)
        self.hush(source)

    def hush(self, source: int) -> None:
        """Silence at once, also for destinations whose sub-tick is still to come."""
        self.narrow_frames[source] = 0
        self.wide_frames[source] = 0
        self._converter.clear(source)

    def wanted(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of these sources anybody hears."""
        return self._heard[rows]

    def put(self, rows: Rows, frames: NDArray[np.int16]) -> None:
        """The next frame of sources of one native rate; converted only where somebody hears the other rate."""
        if frames.shape[1] == WIDE:
            self.wide_frames[rows] = frames
            crossing = self._wanted[0, rows] > 0
            if np.count_nonzero(crossing):
                chosen = rows[crossing]
                self.narrow_frames[chosen] = self._converter.narrow(chosen, frames[crossing])
        else:
            self.narrow_frames[rows] = frames
            crossing = self._wanted[1, rows] > 0
            if np.count_nonzero(crossing):
                chosen = rows[crossing]
                self.wide_frames[chosen] = self._converter.widen(chosen, frames[crossing])

    def heard(self, destinations: Rows, *, wide: bool) -> NDArray[np.int16]:
        """(n, 160 or 320) int16, what each destination hears now."""
        table = self.wide_frames if wide else self.narrow_frames
        frames = table[self.direct[destinations]]
        if self._mixed:
            for at, destination in enumerate(destinations.tolist()):
                edges = self._mixed.get(destination)
                if edges is not None:
                    frames[at] = _mix(table, edges)
        return frames


def _mix(table: NDArray[np.int16], edges: Edges) -> NDArray[np.int16]:
    total = np.zeros(table.shape[1], np.int32)
    for source, gain in edges:
        frame = table[source]
        total += frame if gain == 1.0 else np.rint(frame * gain).astype(np.int32)
    return np.clip(total, -32768, 32767).astype(np.int16)
