"""The compiled loops of the jitter buffers beside plain Python, on frames drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

from telephony.rtp.jitter_buffer import DETECT_WAIT, MAX_TARGET, RING, START_TARGET, JitterBuffers

ROWS = 6
SIZE = 3


class OneStream:
    """What a jitter buffer does, one stream and frame at a time, with a dict for its ring."""

    def __init__(self, frame: int) -> None:
        self.held: dict[int, int] = {}
        self.top, self.detect = frame - 1, frame
        self.target, self.play = START_TARGET, frame - START_TARGET
        self.late = self.early = self.duplicates = self.missing = self.lost = self.holes = 0
        self.since = float("inf")

    def place(self, frame: int) -> None:
        if frame >= self.play + RING:
            self.early += 1
            self.play = max(self.play, frame - self.target)
        if self.held.get(frame % RING) == frame:
            self.duplicates += 1
            return
        newest, lateness = frame > self.top, self.play - frame
        if frame > self.top - RING:
            self.held[frame % RING] = frame
            self.top = max(self.top, frame)
        if lateness <= 0:
            return
        self.late += 1
        if newest and lateness > MAX_TARGET:
            self.target, self.play = START_TARGET, frame - START_TARGET
        elif self.top - frame <= MAX_TARGET:
            self.target, self.play = min(self.target + 1, MAX_TARGET), frame

    def due(self, now: float) -> tuple[int, int] | None:
        skipped = max(0, self.top - (RING - 1) - self.detect)
        self.detect += skipped
        self.missing += skipped
        while self.detect <= self.top:
            frame = self.detect
            if self.held.get(frame % RING) != frame:
                self.since = min(self.since, now)
                if now - self.since < DETECT_WAIT - 1e-6:
                    return None
                self.missing += 1
                self.detect += 1
                continue
            missing, self.missing = self.missing, 0
            self.lost += missing
            self.holes += missing > 0
            self.since, self.detect = float("inf"), frame + 1
            return frame, missing
        return None


def batch(draw: np.random.Generator, streams: list[OneStream]) -> tuple[np.ndarray, np.ndarray]:
    """Nearly all in order; some late, doubled, lost or far ahead, and rows that occur twice."""
    rows = draw.integers(0, ROWS, 10)
    steps = draw.choice([1, 1, 1, 1, 1, 2, 0, -1, -4, -20, 18], 10)
    newest = [stream.top for stream in streams]
    frames = []
    for row, step in zip(rows.tolist(), steps.tolist(), strict=True):
        frames.append(newest[row] + step)
        newest[row] = max(newest[row], frames[-1])
    return rows, np.array(frames)


@pytest.mark.parametrize("seed", range(10))
def test_frames_are_placed_and_found_as_plain_python_does(seed: int):
    draw = np.random.default_rng(seed)
    buffers, streams = JitterBuffers(ROWS, SIZE), [OneStream(7 * row) for row in range(ROWS)]
    for row in range(ROWS):
        buffers.begin(row, 7 * row)
    for step in range(200):
        rows, frames = batch(draw, streams)
        buffers.place(rows, frames, (frames[:, None] + np.arange(SIZE)).astype(np.int16))
        for row, frame in zip(rows.tolist(), frames.tolist(), strict=True):
            streams[row].place(frame)
        now = step * 0.005
        while (due := buffers.due(now)) is not None:
            found = zip(due.rows.tolist(), due.frames.tolist(), due.missing.tolist(), strict=True)
            for row, frame, missing in found:
                assert streams[row].due(now) == (frame, missing)
                assert buffers.pcm[row, frame % RING].tolist() == [frame, frame + 1, frame + 2]
        assert [stream.due(now) for stream in streams] == [None] * ROWS
        playing = draw.integers(0, ROWS, 3)
        buffers.advance(np.unique(playing))
        for row in set(playing.tolist()):
            streams[row].play += 1
        names = ("top", "play", "detect", "target", "late", "early", "duplicates", "lost", "holes")
        for name in names:
            told = getattr(buffers, name).tolist()
            assert told == [getattr(stream, name) for stream in streams], name
