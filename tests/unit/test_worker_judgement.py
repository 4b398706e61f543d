"""What the worker makes of sounds over the agent's voice."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.worker_hearing import HUM_DECIDED_FRAMES, JUDGED_FRAMES, Judgement

RATE_HZ = 8_000
Sound = NDArray[np.int16]


def voice(seconds: float, *overtones: int) -> Sound:
    """A pitch of 140 Hz with these overtones, all of the same strength."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    waves = [np.sin(2 * np.pi * 140 * n * time) for n in (1, *overtones)]
    sound: Sound = (3_000 * np.sum(waves, axis=0)).astype(np.int16)
    return sound


HUM = (2, 3)
VOWEL = (2, 3, 9, 10)


def verdicts(sound: Sound) -> list[tuple[int, str]]:
    """Frames since the onset and the verdicts that came with them; the onset is the third frame of the sound."""
    judgement = Judgement(RATE_HZ)
    for _ in range(50):
        judgement.frame(np.zeros(160, np.int16), speech=False)
    told = []
    for number, frame in enumerate(sound.reshape(-1, 160)):
        if number == 2:
            judgement.begin(1)
        verdict = judgement.frame(frame, speech=number >= 2)
        if verdict is not None:
            assert verdict[0] == 1
            told.append((number - 1, verdict[1]))
    return told


def test_words_are_speech_within_80_ms() -> None:
    (found,) = verdicts(voice(0.6, *VOWEL))
    assert found[1] == "speech"
    assert found[0] <= 4


def test_a_hum_is_told_as_soon_as_words_would_be() -> None:
    assert [told for _, told in verdicts(voice(0.6, *HUM))] == ["hum"]
    assert verdicts(voice(0.6, *HUM))[0][0] == verdicts(voice(0.6, *VOWEL))[0][0]


def test_a_word_that_begins_as_a_hum_becomes_speech() -> None:
    told = verdicts(np.concatenate([voice(0.12, *HUM), voice(0.5, *VOWEL)]))
    assert [verdict for _, verdict in told] == ["hum", "speech"]


def test_a_hum_is_not_judged_again_when_it_has_lasted() -> None:
    long = (HUM_DECIDED_FRAMES + 3) * 0.02
    told = verdicts(np.concatenate([voice(long, *HUM), voice(0.5, *VOWEL)]))
    assert [verdict for _, verdict in told] == ["hum"]


@pytest.mark.parametrize("level", [300, 3_000])
def test_noise_is_told_after_300_ms(level: int) -> None:
    noise = np.random.default_rng(1).normal(0, level, 160 * 40).astype(np.int16)
    assert verdicts(noise) == [(JUDGED_FRAMES, "noise")]
