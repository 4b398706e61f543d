from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from telephony.media.voice_loops import play_voices

VOICES, FIRST = 60, 10
COLUMNS = (
    "quarters", "sounding", "talking", "paused", "fading", "shaped", "samples", "at", "staged",
    "mark", "sent", "gain", "goal", "last_sound", "stage", "narrow", "wide", "wanted", "due",
    "silent", "crossing",
)  # fmt: skip


def voices(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)

    def some(share: float) -> np.ndarray:
        return random.random(VOICES) < share

    samples = random.choice([160, 320], VOICES)
    at = random.integers(0, 8, VOICES) * samples
    staged = at + random.integers(1, 3 * 320, VOICES)
    sources = FIRST + VOICES
    shaped = some(0.6)
    return {
        "quarters": random.integers(0, 4, VOICES),
        "sounding": some(0.5),
        "talking": some(0.8),
        "paused": shaped & some(0.3),
        "fading": some(0.5),
        "shaped": shaped,
        "samples": samples,
        "at": at,
        "staged": staged,
        "mark": at + random.integers(1, 640, VOICES),
        "sent": random.integers(0, 1 << 40, VOICES),
        "gain": random.choice([0.0, 0.178, 1.0, 2.5], VOICES).astype(np.float32),
        "goal": random.choice([0.178, 1.0, 2.5], VOICES).astype(np.float32),
        "last_sound": np.full(VOICES, -np.inf),
        "stage": random.integers(-32768, 32768, (VOICES, 12 * 320)).astype(np.int16),
        "narrow": np.zeros((sources, 160), np.int16),
        "wide": np.zeros((sources, 320), np.int16),
        "wanted": random.integers(0, 2, (2, sources)),
        "due": np.zeros((VOICES, 4), np.int64),
        "silent": np.zeros(VOICES, np.int64),
        "crossing": np.zeros(VOICES, np.int64),
    }


def shaped_frame(frame: np.ndarray, gain: np.float32, goal: np.float32) -> np.ndarray:
    size = len(frame)
    ramp = np.minimum(np.arange(1, size + 1, dtype=np.float32) * np.float32(2 / size), 1)
    louder = np.rint(frame.astype(np.float32) * (gain + (goal - gain) * ramp.astype(np.float32)))
    clipped: np.ndarray = np.clip(louder, -32768, 32767).astype(np.int16)
    return clipped


def play_one(v: dict[str, Any], row: int, now: float, told: dict[str, list[Any]]) -> None:
    """One voice by the rules, step by step."""
    if not v["talking"][row]:
        if v["sounding"][row]:
            told["silent"].append(row)
        return
    size, begin, source = int(v["samples"][row]), int(v["at"][row]), FIRST + row
    paused, fading = bool(v["paused"][row]), bool(v["fading"][row])
    gain, goal = np.float32(1), np.float32(1)
    if v["shaped"][row]:
        gain = v["gain"][row] if fading or not paused else np.float32(0)
        goal = np.float32(0) if paused else v["goal"][row]
        v["fading"][row] = False
        if not paused:
            v["gain"][row] = goal
        v["shaped"][row] = paused or goal != 1
    frame = shaped_frame(v["stage"][row, begin : begin + size], gain, goal)
    v["narrow" if size == 160 else "wide"][source] = frame
    v["sounding"][row] = True
    if fading or not paused:
        v["last_sound"][row] = now
    if v["wanted"][1 if size == 160 else 0, source]:
        told["crossing"].append(source)
    if paused:
        return
    v["at"][row] += size
    v["sent"][row] += min(size, int(v["staged"][row]) - begin)
    if v["at"][row] >= v["mark"][row]:
        told["due"].append([row, *(int(v[name][row]) for name in ("at", "staged", "sent"))])


@pytest.mark.parametrize("seed", range(20))
def test_voices_of_a_sub_tick_play_as_they_would_one_by_one(seed: int):
    expected, got = voices(seed), voices(seed)
    told: dict[str, list[Any]] = {"due": [], "silent": [], "crossing": []}
    for row in np.flatnonzero(expected["quarters"] == 2).tolist():
        play_one(expected, row, 5.5, told)
    *counts, _ = play_voices(2, 5.5, FIRST, *(got[name] for name in COLUMNS))
    for name, count in zip(told, counts, strict=True):
        assert got[name][:count].tolist() == told[name]
    for name in COLUMNS[:-3]:
        assert (got[name] == expected[name]).all(), name
