"""Phones behind a bad network: a seeded relay that loses, delays, reorders and repeats packets of both directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.carrying.phones import Phones

SLOTS = 64
SILENCE_S = 4.0
"""Between two sentences: a hundred turns in ten minutes, and the demo agent says goodbye after 120."""


@dataclass(frozen=True, slots=True)
class Network:
    """`jitter_ms`: the delay of a packet is even between 0 and twice that; so packets overtake each other."""

    loss: float = 0.01
    jitter_ms: float = 30.0
    repeated: float = 0.002
    seed: int = 1


class RelayedPhones(Phones):
    """The relay sits in front of the phones' sockets: packets wait in a wheel of 5 ms until they are due."""

    def __init__(self, calls: int, network: Network) -> None:
        super().__init__(calls, SILENCE_S)
        self._network = network
        self._random = np.random.default_rng(network.seed)
        self._wheel: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(SLOTS)]
        self.lost = 0

    def send(self, tick: int) -> None:
        rows = self.prepare(tick)
        if len(rows):
            self._through(rows, tick)
        due, self._wheel[tick % SLOTS] = self._wheel[tick % SLOTS], []
        for rows, packets in due:
            on = self.active[rows]
            self.transmit(packets, np.flatnonzero(on), rows[on])

    def _through(self, rows: np.ndarray, tick: int) -> None:
        network, count = self._network, len(rows)
        kept = self._random.random(count) >= network.loss
        self.lost += count - int(kept.sum())
        twice = self._random.random(count) < network.repeated
        rows = np.concatenate((rows[kept], rows[kept & twice]))
        late = self._random.random(len(rows)) * 2 * network.jitter_ms / 5
        for wait in range(int(2 * network.jitter_ms / 5) + 1):
            chosen = rows[late.astype(np.int64) == wait]
            if len(chosen):
                self._wheel[(tick + wait) % SLOTS].append((chosen, self.packets[chosen].copy()))
