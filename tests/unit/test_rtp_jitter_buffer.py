from __future__ import annotations

import numpy as np
import pytest

from telephony.rtp.jitter_buffer import MAX_TARGET, START_TARGET, JitterBuffers
from telephony.rtp.recut import Recutter

SIZE = 4
ROW = np.array([0])


def pcm(number: int) -> np.ndarray:
    return np.full((1, SIZE), number, np.int16)


class Stream:
    """One stream: `arrive` puts frames in, `play` takes one step."""

    def __init__(self) -> None:
        self.buffers = JitterBuffers(1, SIZE)

    def arrive(self, *frames: int) -> None:
        for frame in frames:
            if not self.buffers.begun[0]:
                self.buffers.begin(0, frame)
            self.buffers.place(ROW, np.array([frame]), pcm(frame))

    def play(self, *, silent: bool | None = None) -> int | None:
        frames, have = self.buffers.advance(ROW)
        if silent is not None:
            self.buffers.adapt(ROW, np.array([silent]))
        return int(frames[0]) if have[0] else None

    def detected(self, now: float = 0.0) -> list[int]:
        frames: list[int] = []
        while (due := self.buffers.due(now)) is not None:
            frames += due.frames.tolist()
        return frames


def test_playout_starts_two_frames_behind():
    stream = Stream()
    played = []
    for frame in range(5):
        stream.arrive(frame)
        played.append(stream.play())
    assert played == [None, None, 0, 1, 2]


def test_late_frame_moves_playout_back_at_once_and_is_still_played():
    stream = Stream()
    stream.arrive(0)
    assert [stream.play() for _ in range(4)] == [None, None, 0, None]
    stream.arrive(1)
    assert stream.play() == 1
    assert stream.buffers.late[0] == 1
    assert stream.buffers.target[0] == START_TARGET + 1


def test_depth_never_exceeds_its_limit():
    stream = Stream()
    stream.arrive(0)
    for frame in range(1, 40):
        stream.play()
        stream.play()
        stream.arrive(frame)
    assert stream.buffers.target[0] <= MAX_TARGET


def test_sender_whose_clock_stood_still_is_followed():
    stream = Stream()
    stream.arrive(0, 1)
    for _ in range(50):
        stream.play()
    stream.arrive(2)
    assert stream.buffers.play[0] == 2 - START_TARGET


def test_straggler_does_not_pull_playout_back():
    stream = Stream()
    for frame in (0, *range(2, 30)):
        stream.arrive(frame)
        stream.play()
    play = int(stream.buffers.play[0])
    stream.arrive(1)
    assert stream.buffers.play[0] == play


def test_depth_shrinks_by_one_frame_a_second_in_silence():
    stream = Stream()
    for frame in range(3):
        stream.arrive(frame)
        stream.play()
    stream.arrive(3)
    assert stream.play(silent=True) == 1
    assert stream.buffers.target[0] == START_TARGET - 1
    stream.arrive(4)
    assert stream.play() == 3


def test_speech_loses_a_frame_only_when_the_clock_has_drifted_by_three():
    stream = Stream()
    stream.arrive(0, 1, 2, 3)
    for frame in range(4, 6):
        stream.arrive(frame)
        stream.play(silent=False)
    play = int(stream.buffers.play[0])
    stream.arrive(*range(6, 8))
    stream.play(silent=False)
    assert stream.buffers.play[0] == play + 2


def test_depth_does_not_shrink_in_a_second_in_which_it_grew():
    stream = Stream()
    stream.arrive(0)
    for _ in range(4):
        stream.play()
    stream.arrive(1, 2, 3, 4, 5, 6)
    target = int(stream.buffers.target[0])
    stream.play(silent=True)
    assert stream.buffers.target[0] == target


def test_frames_that_arrive_spread_over_80_ms_are_all_played_once_the_depth_has_grown():
    arrivals = sorted(
        (frame + delay, frame)
        for frame, delay in enumerate(np.random.default_rng(5).uniform(0, 4, 500))
    )
    stream = Stream()
    played: list[int | None] = []
    for tick in range(500):
        while arrivals and arrivals[0][0] <= tick:
            stream.arrive(arrivals.pop(0)[1])
        if stream.buffers.begun[0]:
            played.append(stream.play(silent=False if tick % 50 == 49 else None))
    assert played[100:] == list(range(played[100] or 0, (played[100] or 0) + len(played) - 100))


@pytest.mark.parametrize("drift", [-0.004, 0.004])
def test_drifting_clock_of_the_sender_keeps_the_depth_in_bounds(drift: float):
    stream = Stream()
    sent = 0
    for tick in range(5000):
        while sent * (1 + drift) <= tick:
            stream.arrive(sent)
            sent += 1
        stream.play(silent=True if tick % 50 == 49 else None)
    assert -1 <= int(stream.buffers.top[0] - stream.buffers.play[0]) <= 3


def test_detection_takes_frames_at_once_and_waits_20_ms_for_a_missing_one():
    stream = Stream()
    stream.arrive(0)
    assert stream.detected(1.0) == [0]
    stream.arrive(2)
    assert stream.detected(1.0) == []
    assert stream.detected(1.015) == []
    assert stream.detected(1.020) == [2]


def test_missing_frames_are_counted_before_the_next():
    stream = Stream()
    stream.arrive(0)
    stream.detected()
    stream.arrive(5)
    stream.detected(1.0)
    due = stream.buffers.due(1.02)
    assert due is not None
    assert due.missing.tolist() == [4]


def test_outage_longer_than_the_ring_is_skipped():
    stream = Stream()
    stream.arrive(0)
    stream.detected()
    stream.arrive(500)
    assert stream.detected(1.0) == []
    assert stream.detected(1.02) == [500]
    assert stream.buffers.early[0] == 1


def test_duplicate_is_counted_and_kept_out():
    stream = Stream()
    stream.arrive(0, 0)
    assert stream.detected() == [0]
    assert stream.buffers.duplicates[0] == 1


@pytest.mark.parametrize("size", [1, 3, 80, 159, 160, 161, 480])
def test_recut_frames_join_to_what_was_put_in(size: int):
    samples = np.arange(160 * 12, dtype=np.int16)
    recutter = Recutter(160)
    frames = []
    for start in range(0, len(samples), size):
        frames += recutter.add(start, samples[start : start + size])
    assert [number for number, _ in frames] == list(range(len(frames)))
    joined = np.concatenate([frame for _, frame in frames])
    assert joined.tolist() == samples[: len(joined)].tolist()
    assert len(joined) >= len(samples) - 159


def test_recut_fills_a_hole_with_silence():
    recutter = Recutter(160)
    recutter.add(0, np.ones(80, np.int16))
    ((number, frame),) = recutter.add(400, np.ones(80, np.int16))
    assert number == 2
    assert frame.tolist() == [0] * 80 + [1] * 80
