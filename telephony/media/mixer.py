"""The floor: who is heard where. Sources leave their latest frame here, destinations pick up what is routed to them.

Rows are indexes of the plane's source table: RTP slots, packet slots, voices, and last a row of silence. A
destination with one source at gain 1 costs one table look-up; for others a sum is made in a row of their own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled
from telephony.media.resample import NARROW, WIDE, RateConverter

Rows = NDArray[np.int64]
Edges = tuple[tuple[int, float], ...]


class Floor:
    """`sources` rows can be heard; the first `destinations` of them hear. `wide` (sources,) bool: 16 kHz natively."""

    def __init__(self, sources: int, destinations: int) -> None:
        self.silence = sources
        self.wide = np.zeros(sources + 1, np.bool_)
        # Behind the silence: of each destination, what is summed for it.
        self.narrow_frames = np.zeros((sources + 1 + destinations, NARROW), np.int16)
        self.wide_frames = np.zeros((sources + 1 + destinations, WIDE), np.int16)
        self.direct = np.full(destinations, self.silence, np.int64)
        self._mixed: dict[int, tuple[Rows, NDArray[np.float64]]] = {}
        self._edges: dict[int, Edges] = {}
        self._hearers: dict[int, set[int]] = {}
        # How many hear a source at the narrow and at the wide rate.
        self.wanted_at = np.zeros((2, sources + 1), np.int64)
        self.heard_by_any = np.zeros(sources + 1, np.bool_)
        self._converter = RateConverter(sources + 1)

    def route(self, destination: int, edges: Edges) -> None:
        """Replaces what `destination` hears."""
        wide = int(self.wide[destination])
        for source, _ in self._edges.pop(destination, ()):
            self.wanted_at[wide, source] -= 1
            self.heard_by_any[source] = self.wanted_at[:, source].any()
            self._hearers[source].discard(destination)
        self._mixed.pop(destination, None)
        self.direct[destination] = self.silence
        if not edges:
            return
        self._edges[destination] = edges
        for source, _ in edges:
            self.wanted_at[wide, source] += 1
            self.heard_by_any[source] = True
            self._hearers.setdefault(source, set()).add(destination)
        if len(edges) == 1 and edges[0][1] == 1.0:
            self.direct[destination] = edges[0][0]
        else:
            sources, gains = zip(*edges, strict=True)
            self._mixed[destination] = np.array(sources), np.array(gains, np.float64)
            self.direct[destination] = self.silence + 1 + destination

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

    def convert(self, rows: Rows) -> None:
        """What these sources say now to the rate that is not theirs."""
        wide = self.wide[rows]
        if np.count_nonzero(wide):
            chosen = rows[wide]
            narrow = self._converter.narrow(chosen, self.wide_frames[chosen])
            self.narrow_frames[chosen] = narrow
        if np.count_nonzero(wide) < len(rows):
            chosen = rows[~wide]
            self.wide_frames[chosen] = self._converter.widen(chosen, self.narrow_frames[chosen])

    def mix(self, first: int, end: int) -> None:
        """What destinations `first` to before `end` hear now stands in row `direct` of their rate's frames."""
        for destination, (sources, gains) in self._mixed.items():
            if first <= destination < end:
                table = self.wide_frames if self.wide[destination] else self.narrow_frames
                sum_frames(table, sources, gains, self.silence + 1 + destination)

    def heard(self, destinations: Rows, *, wide: bool) -> NDArray[np.int16]:
        """(n, 160 or 320) int16, what each destination, of that native rate, hears now; `mix` comes first."""
        return (self.wide_frames if wide else self.narrow_frames)[self.direct[destinations]]


@compiled("void(i2[:,::1], i8[::1], f8[::1], i8)")
def sum_frames(
    table: NDArray[np.int16], sources: Rows, gains: NDArray[np.float64], to: int
) -> None:
    """Row `to` is the sum of others, each by its gain and rounded, clipped at the end."""
    total = np.zeros(table.shape[1], np.int32)
    for at in range(len(sources)):
        frame, gain = table[sources[at]], gains[at]
        for i in range(len(frame)):
            total[i] += np.int32(np.rint(frame[i] * gain))
    mixed = table[to]
    for i in range(len(mixed)):
        mixed[i] = np.int16(min(max(total[i], -32768), 32767))
