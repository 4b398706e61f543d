"""What the newest frames sound like, by the compiled loop and by numpy, on frames drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from telephony.media import g711, watch_loops
from telephony.media.audio_watch import AudioWatch
from telephony.media.watch_loops import CLEAN, CONSTANT, QUIET, STEADY
from telephony.rtp.jitter_buffer import JitterBuffers

ROWS = 30
LOOKS = 12


def frames(draw: np.random.Generator) -> np.ndarray:
    """Loud, quiet, overdriven, constant and digitally silent ones; (rows, 160) int16."""
    level = draw.choice([0, 1, 10, 500, 5000, 30000], (ROWS, 1))
    pcm = np.clip(draw.normal(0, 1, (ROWS, 160)) * level, -32768, 32767).astype(np.int16)
    flat = draw.random(ROWS) < 0.3
    pcm[flat] = draw.choice([0, 16, -8, 400, -32768], (int(flat.sum()), 1))
    octets = [g711.encode(row, law % 2) for law, row in enumerate(pcm)]
    read = [g711.decode(row[None], np.array([law % 2]))[0] for law, row in enumerate(octets)]
    return np.where(flat[:, None], pcm, np.array(read))


def sums_of(pcm: np.ndarray, law: int | None) -> list[float]:
    """Mean step, mean step by the other law, mean size, share at full scale, and a weight of 1."""
    half = pcm[:80].astype(np.float64)
    step = other = float(np.abs(np.diff(half)).mean())
    if law is not None:
        octets = g711.encode(pcm[:80], law)
        read = g711.decode(octets[None], np.array([1 - law]))[0].astype(np.float64)
        other = float(np.abs(np.diff(read)).mean())
    return [step, other, float(np.abs(half).mean()), float((np.abs(half) >= 31000).mean()), 1.0]


@pytest.mark.parametrize("seed", range(4))
def test_frames_are_looked_at_as_numpy_looks_at_them(seed: int):
    draw = np.random.default_rng(seed)
    buffers, coded = JitterBuffers(ROWS, 160), draw.random(ROWS) < 0.3
    watch: Any = AudioWatch(ROWS, np.arange(ROWS) % 2, coded)
    begun = draw.random(ROWS) < 0.9
    for row in range(ROWS):
        if begun[row]:
            buffers.begin(row, 0)
    sums, looks = np.zeros((5, ROWS)), np.zeros((4, ROWS), np.int64)
    for number in range(LOOKS):
        pcm, came = frames(draw), begun & (draw.random(ROWS) < 0.8)
        rows = came.nonzero()[0]
        buffers.place(rows, np.full(len(rows), number), pcm[rows])
        for part in range(10):
            watch.look(buffers, 2 * part + 1)
        for row in rows.tolist():
            fresh = sums_of(pcm[row], None if coded[row] else row % 2)
            flat = bool((pcm[row, :80] == pcm[row, 0]).all())
            if fresh[2] > 150:
                sums[:, row] = sums[:, row] * 0.93 + fresh
                looks[CLEAN, row] = 0 if fresh[3] else looks[CLEAN, row] + 1
            silent = flat and abs(int(pcm[row, 0])) <= 16
            looks[QUIET, row] = looks[QUIET, row] + 1 if silent else 0
            looks[STEADY, row] += not silent
            constant = flat and abs(int(pcm[row, 0])) > 300
            looks[CONSTANT, row] = looks[CONSTANT, row] + 1 if constant else 0
    np.testing.assert_allclose(watch._sums, sums, rtol=1e-4)
    np.testing.assert_array_equal(watch._looks, looks)


def test_a_frame_is_looked_at_once():
    buffers, watch = JitterBuffers(1, 160), AudioWatch(1)
    buffers.begin(0, 0)
    buffers.place(np.array([0]), np.array([0]), np.full((1, 160), 1000, np.int16))
    counted: Any = watch
    for _ in range(3):
        watch.look(buffers, 1)
    assert counted._looks[CONSTANT].tolist() == [1]
    assert counted._sums[watch_loops.WEIGHT].tolist() == [1]
