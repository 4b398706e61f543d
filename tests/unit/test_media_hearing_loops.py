"""The compiled loop over received frames, against the same rules written out for one slot with webrtcvad's own wrapper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import webrtcvad
from numpy.typing import NDArray

from telephony.media import hearing_loops as loops
from telephony.media.vad import VoiceDetectors
from tests.unit.media_line import voiced

FIRST_ROW = 2
GATE = -30.0


class Reference:
    """One slot, in plain Python."""

    def __init__(self) -> None:
        self.detector = webrtcvad.Vad(3)
        self.floor = self.lowest = self.before = -60.0
        self.counted = 0
        self.voiced: list[bool] = []
        self.loud: list[bool] = []
        self.both: list[bool] = []
        self.speech = False
        self.last_loud = 0

    def hear(self, frame: NDArray[np.int16], number: int, gate: float) -> tuple[float, int]:
        power = float((frame.astype(np.float64) ** 2).mean()) / 32768**2
        level = max(10 * math.log10(power + 1e-12), -96.0)
        rate = len(frame) * 50
        voice = level > -70 and self.detector.is_speech(frame.tobytes(), rate)
        loud = level > max(self.floor + 6, gate, -48)
        self._follow(level)
        self.voiced = [*self.voiced, voice][-25:]
        self.loud = [*self.loud, loud][-4:]
        self.both = [*self.both, voice and loud][-4:]
        was, change = self.speech, loops.NONE
        if not was and sum(self.both) >= 3:
            self.speech, change = True, loops.STARTED
        if loud and self.speech:
            self.last_loud = number
        if was and not (any(self.loud) and any(self.voiced)):
            self.speech, change, self.both = False, loops.STOPPED, []
        return level, change

    def _follow(self, level: float) -> None:
        low = min(self.lowest, max(level, -80.0))
        self.lowest, self.counted = low, self.counted + 1
        if self.counted >= 75:
            self.before, self.lowest, self.counted = low, -20.0, 0
        self.floor = min(self.before, low)


class Bench:
    """Two slots that are heard, one that is not listened to, one that is off; the second guards voice 0."""

    def __init__(self, samples: int) -> None:
        rows = 4 + FIRST_ROW
        self.detectors = VoiceDetectors(rows)
        self.listening = np.ones(rows, np.bool_)
        self.listening[FIRST_ROW + 2] = False
        for row in range(FIRST_ROW, FIRST_ROW + 3):
            self.detectors.enable(row, True)
        self.detectors.states["guarded"][FIRST_ROW + 1] = 0
        self.detectors.states["gate"][FIRST_ROW + 1] = GATE
        self.last_sound = np.full(2, -np.inf)
        self.peaks = np.zeros(rows, np.uint16)
        self.pcm = np.zeros((4, 16, samples), np.int16)
        self.first = np.array([1000, 7, 0, 0])
        self.events = np.zeros((2 * rows, 3), np.int64)

    def hear(
        self, number: int, missing: list[int], now: float
    ) -> tuple[NDArray[np.void], NDArray[np.int16], list[Any]]:
        heard = np.zeros(4, loops.HEARD)
        pcm = np.zeros((4, self.pcm.shape[2]), np.int16)
        count, told = loops.hear(
            np.arange(4), number + self.first, np.array(missing), FIRST_ROW, now,
            self.pcm, self.first, self.detectors.states, self.detectors.enabled,
            self.detectors.speech, self.listening, np.arange(6) + 100, self.last_sound,
            self.peaks, self.events, heard, pcm,
        )  # fmt: skip
        return heard[:count], pcm[:count], self.events[:told].tolist()

    def place(self, number: int, frames: NDArray[np.int16]) -> None:
        self.pcm[np.arange(4), (number + self.first) & 15] = frames


def audio(samples: int, seed: int) -> Iterator[NDArray[np.int16]]:
    """Voice, noise, digital silence and full scale of random lengths, for four slots."""
    random = np.random.default_rng(seed)
    voice = voiced(60).reshape(-1, 160)
    voice = np.repeat(voice, samples // 160, axis=1)
    kinds = random.integers(0, 6, (4, 40))
    for number in range(400):
        frames = np.zeros((4, samples), np.int16)
        for row in range(4):
            kind = kinds[row, number // 10]
            if kind <= 2:
                frames[row] = voice[number % len(voice)] // (1, 4, 60)[kind]
            elif kind <= 4:
                frames[row] = random.normal(0, (40, 3000)[kind - 3], samples).clip(-32768, 32767)
        yield frames


@pytest.mark.parametrize("samples", [160, 320])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_frame_is_judged_as_by_the_rules_written_out(samples: int, seed: int) -> None:
    bench, references = Bench(samples), [Reference() for _ in range(3)]
    changes = set()
    for number, frames in enumerate(audio(samples, seed)):
        now = 10.0 + number * 0.02
        if number % 50 == 25:
            bench.last_sound[0] = now
        gated = bench.last_sound[0] > now - loops.ECHO_TAIL
        bench.place(number, frames)
        heard, pcm, events = bench.hear(number, [0] * 4, now)
        expected = []
        for row, reference in enumerate(references):
            gate = GATE if row == 1 and gated else -96.0
            level, change = reference.hear(frames[row], number, gate)
            if change != loops.NONE:
                expected.append([change, row + FIRST_ROW, number])
            assert bench.detectors.states[row + FIRST_ROW]["last_loud"] == reference.last_loud
            assert bench.detectors.speech[row + FIRST_ROW] == reference.speech
            if row < 2:
                assert heard["level_dbfs"][row] == pytest.approx(level, abs=0.001)
        assert events == expected
        changes |= {kind for kind, _, _ in events}
        assert heard["speech"].tolist() == [each.speech for each in references[:2]]
        assert heard["handle"].tolist() == [102, 103]
        assert heard["number"].tolist() == [number, number]
        assert (pcm == frames[:2]).all()
    assert changes == {loops.STARTED, loops.STOPPED}


def test_more_than_three_missing_frames_are_told_even_of_a_slot_that_nobody_hears() -> None:
    bench = Bench(160)
    heard, _, events = bench.hear(0, [3, 1, 0, 9], 1.0)
    assert events == [[loops.GAP, FIRST_ROW + 3, 9]]
    assert heard["gap"].tolist() == [True, True]


def test_peaks_are_of_all_samples_and_only_raised() -> None:
    bench = Bench(160)
    frames = np.zeros((4, 160), np.int16)
    frames[0, 3], frames[1, 159], frames[2, 0], frames[3, 5] = -32768, 700, -20, 9
    bench.place(0, frames)
    bench.hear(0, [0] * 4, 1.0)
    bench.hear(1, [0] * 4, 1.02)
    assert bench.peaks.tolist() == [0, 0, 32768, 700, 20, 0]


def test_speech_without_frames_ends_after_160_ms() -> None:
    detectors, ended = VoiceDetectors(4), np.zeros(4, np.int64)
    detectors.speech[[1, 3]] = True
    detectors.states["frame_at"] = [0.0, 1.0, 0.0, 1.1]
    detectors.states["history"] = 7
    assert loops.end_silent(detectors.speech, detectors.states, 1.155, ended) == 0
    assert loops.end_silent(detectors.speech, detectors.states, 1.17, ended) == 1
    assert ended[0] == 1
    assert detectors.speech.tolist() == [False, False, False, True]
    assert detectors.states["history"].tolist() == [7, 0, 7, 7]


def test_detector_that_is_switched_off_is_never_asked() -> None:
    bench = Bench(160)
    detectors = bench.detectors
    detectors.enable(FIRST_ROW, False)
    assert detectors.states[FIRST_ROW]["detector"] == 0
    bench.place(0, np.full((4, 160), 500, np.int16))
    heard, _, _ = bench.hear(0, [0] * 4, 1.0)
    assert heard["handle"].tolist() == [103]
