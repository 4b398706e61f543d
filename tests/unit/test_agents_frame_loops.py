"""Frames written into datagrams by compiled loops come out as they went in."""

from __future__ import annotations

import numpy as np
import pytest

from agents.brain_wire import Frames, decode_frames
from agents.frame_loops import AUDIO_ROW_LIMIT_BYTES, encode_frames, pick
from telephony.media.hearing_loops import HEARD


def frames(rows: int, width: int, seed: int) -> Frames:
    """With columns that lie side by side, as those of heard frames do."""
    random = np.random.default_rng(seed)
    heard = np.zeros(rows, HEARD)
    heard["handle"] = random.integers(0, 1 << 62, rows)
    heard["number"] = random.integers(0, 1 << 40, rows)
    heard["speech"] = random.integers(0, 2, rows)
    pcm = random.integers(-32768, 32768, (rows, width)).astype(np.int16)
    return Frames(7, width * 50, heard["handle"], heard["number"], heard["speech"], pcm)


@pytest.mark.parametrize(("rows", "width"), [(1, 160), (37, 160), (400, 160), (200, 320)])
def test_picked_rows_travel_whole_and_in_order(rows: int, width: int) -> None:
    sent = frames(rows, width, rows)
    picked = np.flatnonzero(np.random.default_rng(3).integers(0, 4, rows) > 0)
    datagrams = list(encode_frames(sent, picked))
    assert all(len(each) <= AUDIO_ROW_LIMIT_BYTES + 12 for each in datagrams)
    got = [decode_frames(each) for each in datagrams]
    assert {(each.source, each.rate_hz) for each in got} <= {(7, width * 50)}
    for name in ("taps", "numbers", "speech", "pcm"):
        arrived = [getattr(each, name) for each in got]
        expected = getattr(sent, name)[picked]
        assert (np.concatenate(arrived) == expected).all() if len(picked) else not arrived


def test_each_worker_gets_the_taps_that_are_routed_to_it() -> None:
    random = np.random.default_rng(5)
    slots = random.permutation(200)[:60]
    taps = random.integers(1, 4, 60) << 20 | slots
    routes = np.zeros((128, 2), np.int64)
    routes[:, 0] = random.integers(1, 4, 128) << 20 | np.arange(128)
    routes[:, 1] = random.integers(-1, 3, 128)
    for worker in range(3):
        picked = np.zeros(60, np.int64)
        count = pick(taps, routes, 0xFFFFF, worker, picked)
        expected = [
            at
            for at, tap in enumerate(taps.tolist())
            if tap & 0xFFFFF < 128 and routes[tap & 0xFFFFF].tolist() == [tap, worker]
        ]
        assert picked[:count].tolist() == expected
