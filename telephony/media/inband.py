"""Keys by their tones in the audio (ITU-T Q.23, Q.24), for legs on which no telephone-event was agreed.

All streams that ask for it at once: each 20 ms frame is projected onto the eight frequencies and their second
harmonics. A key is one low and one high tone that hold nearly all of the energy, in two frames in a row; it is told
when it ends. Speech has harmonics and much between the tones, and seldom holds still.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

LOW_HZ: Final = (697, 770, 852, 941)
HIGH_HZ: Final = (1209, 1336, 1477, 1633)
KEYS: Final = ("123A", "456B", "789C", "*0#D")
FRAME_SECONDS: Final = 0.020
_HITS: Final = 2
_MISSES: Final = 2
"""Frames: a key lasts 40 ms at least, and so does the pause before the same one again."""
_MIN_POWER: Final = (32768 * 10 ** (-40 / 20)) ** 2
"""Mean square of the weakest pair, -40 dBFS."""
_SHARE: Final = 0.75
"""Of the energy of a frame that lies in the pair; 0.97 for a clean key in the middle of it."""
_ALONE: Final = 4.0
"""Power of the strongest tone of a group over the next one."""
_TWIST: Final = 10 ** (8 / 10)
_HARMONIC: Final = 0.05
_TUNES: Final = (0.989, 1.0, 1.011, 2.0)
"""A tone may be off by 1.5 %, and a frame tells 50 Hz apart: so three probes for each; and the second harmonic."""
_NO_KEY: Final = -1


class Key(NamedTuple):
    """One key press; times in seconds, as far as 20 ms frames tell."""

    row: int
    key: str
    began_at: float
    ended_at: float


class InbandKeys:
    """`rows` streams of one rate. `wanted`: which of them, `streams`: how many."""

    def __init__(self, rows: int, rate_hz: int) -> None:
        samples = rate_hz // 50
        fundamentals = np.array(LOW_HZ + HIGH_HZ, np.float64)
        hz = np.concatenate([tune * fundamentals for tune in _TUNES])
        angle = 2 * np.pi * hz * np.arange(samples)[:, None] / rate_hz
        self._waves = np.concatenate((np.cos(angle), np.sin(angle)), axis=1).astype(np.float32)
        self._scale = np.float32(2 / samples**2)
        self.wanted = np.zeros(rows, np.bool_)
        self.streams = 0
        self._key = np.full(rows, _NO_KEY, np.int64)
        self._hits = np.zeros(rows, np.int64)
        self._misses = np.zeros(rows, np.int64)
        self._began = np.zeros(rows)

    def enable(self, row: int, on: bool) -> None:
        if on != self.wanted[row]:
            self.wanted[row] = on
            self.streams += 1 if on else -1
            self._forget(np.array([row]))

    def _forget(self, rows: Rows) -> None:
        self._key[rows] = _NO_KEY
        self._hits[rows] = self._misses[rows] = 0

    def hear(self, rows: Rows, pcm: NDArray[np.int16], now: float) -> list[Key]:
        """The next frame of each of `rows`, (n, samples); keys that have ended."""
        found = self._detect(pcm)
        same = (found == self._key[rows]) & (found != _NO_KEY)
        self._hits[rows] += same
        self._misses[rows] = np.where(same, 0, self._misses[rows] + 1)
        over = ~same & ((self._misses[rows] >= _MISSES) | (found != _NO_KEY))
        ended = over & (self._hits[rows] >= _HITS)
        keys = [self._told(row, now) for row in rows[ended].tolist()]
        fresh = over & (found != _NO_KEY)
        self._forget(rows[over])
        self._key[rows[fresh]] = found[fresh]
        self._hits[rows[fresh]] = 1
        self._began[rows[fresh]] = now - FRAME_SECONDS
        return keys

    def _told(self, row: int, now: float) -> Key:
        key = int(self._key[row])
        ended = now - int(self._misses[row]) * FRAME_SECONDS
        return Key(row, KEYS[key // 4][key % 4], float(self._began[row]), ended)

    def _detect(self, pcm: NDArray[np.int16]) -> Rows:
        """(n,) number of the key in each frame, or -1."""
        frames = pcm.astype(np.float32)
        energy = np.einsum("ij,ij->i", frames, frames) / pcm.shape[1]
        parts = frames @ self._waves
        half = parts.shape[1] // 2
        probes = (parts[:, :half] ** 2 + parts[:, half:] ** 2) * self._scale
        by_tune = probes.reshape(len(pcm), len(_TUNES), 8)
        power, harmonic = by_tune[:, :-1].max(axis=1), by_tune[:, -1]
        each = np.arange(len(pcm))
        low, high = power[:, :4].argmax(axis=1), power[:, 4:8].argmax(axis=1)
        low_power, high_power = power[each, low], power[each, 4 + high]
        pair = low_power + high_power
        alone = np.partition(power[:, :4], 2, axis=1)[:, 2] * _ALONE < low_power
        alone &= np.partition(power[:, 4:], 2, axis=1)[:, 2] * _ALONE < high_power
        steady = (low_power < high_power * _TWIST) & (high_power < low_power * _TWIST)
        # That of the low tone lies among the high ones, where it proves nothing.
        overtone = harmonic[each, 4 + high]
        is_key = alone & steady & (pair > _MIN_POWER) & (pair > _SHARE * energy)
        is_key &= overtone < _HARMONIC * pair
        return np.where(is_key, low * 4 + high, _NO_KEY)
