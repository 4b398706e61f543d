from __future__ import annotations

import numpy as np
import pytest

from telephony.media.concealment import conceal
from telephony.media.stream_loops import put_frames

ROWS, RING, FIRST = 30, 16, 7
NEVER = 1 << 60


def by_pitch(before: np.ndarray, size: int, run: int) -> np.ndarray:
    """The last period at the best lag between 80 and 400 Hz, repeated and faded out within 60 ms."""
    if run >= 3:
        return np.zeros(size, np.int16)
    signal, window = before.astype(float), size // 2
    lags = [lag for lag in range(size // 8, size * 5 // 8 + 1) if lag + window <= len(signal)]
    scores = []
    for lag in lags:
        earlier = signal[len(signal) - window - lag : len(signal) - lag]
        scores.append(earlier @ signal[-window:] / np.sqrt(earlier @ earlier + 1))
    period = signal[-lags[int(np.argmax(scores))] :]
    at = np.arange(size) + run * size
    frame: np.ndarray = np.rint(period[at % len(period)] * (1 - at / (3 * size))).astype(np.int16)
    return frame


@pytest.mark.parametrize("size", [160, 320])
@pytest.mark.parametrize("run", range(5))
def test_lost_frame_goes_on_with_the_last_pitch_period(size: int, run: int):
    for seed in range(5):
        random = np.random.default_rng(seed)
        pitch = random.integers(90, 380)
        wave = 9000 * np.sin(2 * np.pi * pitch * np.arange(2 * size) / (50 * size))
        before = (wave + random.normal(0, 500, 2 * size)).astype(np.int16)
        assert (conceal(before, size, run) == by_pitch(before, size, run)).all()


def test_loudest_samples_are_concealed_without_overflow():
    before = np.tile(np.repeat(np.array([-32768, 32767], np.int16), 20), 8)
    assert (conceal(before, 160, 0) == by_pitch(before, 160, 0)).all()


@pytest.mark.parametrize("seed", range(10))
def test_each_heard_stream_gives_its_frame_what_stands_in_for_it_or_silence(seed: int):
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(random.random(ROWS) < 0.7)
    begin = random.integers(-5, 5, ROWS)
    frames = (begin[rows] + random.integers(-2, 40, len(rows))).astype(np.int64)
    have = random.random(len(rows)) < 0.5
    run = random.integers(1, 5, ROWS)
    pcm = random.integers(-9000, 9000, (ROWS, RING, 160)).astype(np.int16)
    tag = np.full((ROWS, RING), -NEVER)
    last_there = frames - run[rows]
    tag[rows, last_there % RING] = np.where(random.random(len(rows)) < 0.7, last_there, -NEVER)
    noisy = random.random(ROWS) < 0.2
    noise_begin, noise_end = np.where(noisy, begin, NEVER), np.full(ROWS, NEVER)
    heard, wanted = random.random(FIRST + ROWS) < 0.8, random.integers(0, 2, FIRST + ROWS)
    table = random.integers(-9, 9, (FIRST + ROWS, 160)).astype(np.int16)
    expected = table.copy()
    noise: list[int] = []
    crossing: list[int] = []
    for row, frame, there in zip(rows.tolist(), frames.tolist(), have.tolist(), strict=True):
        if not heard[FIRST + row]:
            continue
        if wanted[FIRST + row]:
            crossing.append(FIRST + row)
        last = frame - int(run[row])
        if there:
            expected[FIRST + row] = pcm[row, frame % RING]
        elif noisy[row] and frame >= begin[row]:
            noise.append(row)
        elif last < begin[row] or tag[row, last % RING] != last:
            expected[FIRST + row] = 0
        else:
            before = np.concatenate((pcm[row, (last - 1) % RING], pcm[row, last % RING]))
            expected[FIRST + row] = by_pitch(before, 160, int(run[row]) - 1)
    noises, crossings = np.zeros(ROWS, np.int64), np.zeros(ROWS, np.int64)
    counts = put_frames(
        rows, frames, have, FIRST, heard, wanted, run, pcm, tag, begin, noise_begin, noise_end,
        table, noises, crossings,
    )  # fmt: skip
    assert noises[: counts[0]].tolist() == noise
    assert crossings[: counts[1]].tolist() == crossing
    assert (table == expected).all()
