"""The second look at a possible barge-in: `agents.speech.confirm`."""

import numpy as np
import pytest

from agents.speech.confirm import is_voiced_speech, level_dbfs, voicing

RATE = 8_000
FRAME = 160
RNG = np.random.default_rng(3)


def frames(samples):
    return list(samples[: 5 * FRAME].astype(np.int16).reshape(5, FRAME))


def voice(hz=120, level=3_000):
    """Pulses through two resonances: what a vowel is to an autocorrelation."""
    pulses = np.zeros(6 * FRAME)
    pulses[:: RATE // hz] = 1.0
    times = np.arange(80) / RATE
    vowel = np.exp(-times * 300) * (np.sin(4_400 * times) + 0.5 * np.sin(7_500 * times))
    wave = np.convolve(pulses, vowel)[FRAME : 6 * FRAME]
    return frames(wave / np.abs(wave).max() * level)


def noise(level=3_000):
    return frames(RNG.normal(0, level / 3, 5 * FRAME))


ALL = [True] * 5


@pytest.mark.parametrize("hz", [80, 120, 200, 300])
def test_a_voice_of_any_pitch_is_confirmed(hz):
    assert is_voiced_speech(voice(hz), ALL, -60.0)


def test_noise_is_not_confirmed_however_loud():
    assert not is_voiced_speech(noise(20_000), ALL, -60.0)


def test_a_voice_hardly_above_the_noise_floor_is_not_confirmed():
    floor = level_dbfs(np.concatenate(voice()))

    assert not is_voiced_speech(voice(), ALL, floor - 6.0)
    assert is_voiced_speech(voice(), ALL, floor - 12.0)


@pytest.mark.parametrize(
    ("vad", "confirmed"),
    [([True, True, True, True, False], True), ([True, True, True, False, False], False)],
)
def test_three_of_four_frames_must_be_speech_by_vad(vad, confirmed):
    assert is_voiced_speech(voice(), vad, -60.0) is confirmed


def test_silence_and_no_frames_at_all_are_no_speech():
    assert not is_voiced_speech(frames(np.zeros(5 * FRAME)), ALL, -60.0)
    assert not is_voiced_speech([], [], -60.0)


def test_each_frame_needs_its_verdict():
    with pytest.raises(ValueError, match="verdict"):
        is_voiced_speech(voice(), [True], -60.0)


def test_levels_are_in_decibels_of_full_scale():
    assert level_dbfs(np.full(160, 32767, np.int16)) == pytest.approx(0.0, abs=0.01)
    assert level_dbfs(np.full(160, 3277, np.int16)) == pytest.approx(-20.0, abs=0.01)
    assert level_dbfs(np.zeros(160, np.int16)) == -100.0
    assert level_dbfs(np.zeros(0, np.int16)) == -100.0


def test_voicing_lies_between_nothing_and_one():
    silent = np.zeros(FRAME, np.int16)

    assert voicing(silent, silent, RATE) == 0.0
    assert 0.9 < voicing(voice()[3], voice()[2], RATE) <= 1.0
