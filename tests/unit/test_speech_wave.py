"""Rates, silence and frames: `agents.speech.wave`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.speech.wave import Framer, Resampler, SilenceTrimmer, SpeechCutter


def sine(hz, rate, seconds=0.5, level=10_000):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def resampled(samples, source, target, piece=160):
    resampler = Resampler(source, target)
    pieces = [resampler.push(samples[at : at + piece]) for at in range(0, len(samples), piece)]
    return np.concatenate((*pieces, resampler.finish()))


def strength(samples, hz, rate):
    """Amplitude of one frequency in the middle of the samples."""
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(float)
    wave = np.exp(-2j * np.pi * hz * np.arange(len(middle)) / rate)
    return 2 * abs(np.mean(middle * wave))


@pytest.mark.parametrize("source", [8_000, 16_000, 22_050, 24_000])
@pytest.mark.parametrize("target", [8_000, 16_000, 24_000])
def test_a_tone_keeps_length_pitch_and_level_at_every_rate(source, target):
    out = resampled(sine(1_000, source), source, target)

    assert len(out) == pytest.approx(target / 2, abs=target * 0.003)
    assert strength(out, 1_000, target) == pytest.approx(10_000, rel=0.02)


def test_what_a_lower_rate_cannot_hold_is_filtered_and_not_folded_back():
    out = resampled(sine(5_500, 16_000), 16_000, 8_000)

    assert strength(out, 2_500, 8_000) < 10_000 * 0.01


def test_doubling_the_rate_leaves_no_image_above_the_old_band():
    out = resampled(sine(2_000, 8_000), 8_000, 16_000)

    assert strength(out, 6_000, 16_000) < 10_000 * 0.01


def test_the_loudest_sound_is_clipped_and_never_wraps_around():
    square = np.tile(np.repeat(np.array([32767, -32768], np.int16), 20), 50)
    out = resampled(square, 8_000, 16_000)

    assert out.max() == 32767
    assert np.abs(np.diff(out.astype(int))).max() < 65_535


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from([(8, 16), (441, 160), (16, 8)]))
def test_how_a_stream_is_cut_into_pieces_changes_nothing(sizes, rates):
    noise = np.random.default_rng(1).integers(-9_000, 9_000, sum(sizes)).astype(np.int16)
    whole = resampled(noise, rates[0] * 50, rates[1] * 50, max(1, len(noise)))
    resampler = Resampler(rates[0] * 50, rates[1] * 50)
    parts = [resampler.push(part) for part in np.split(noise, np.cumsum(sizes))]

    assert np.array_equal(np.concatenate((*parts, resampler.finish())), whole)


def test_silence_around_the_words_is_cut_and_pauses_inside_stay():
    silence, word = np.zeros(1_600, np.int16), sine(300, 8_000, 0.1)
    trimmer = SilenceTrimmer(8_000)
    stream = np.concatenate((silence, word, silence, word, silence))
    parts = [trimmer.push(part) for part in np.split(stream, 50)]
    out = np.concatenate((*parts, trimmer.finish()))

    assert len(out) == pytest.approx(800 + 1_600 + 800 + 80 + 240, abs=4)


def test_noise_that_a_voice_leads_with_is_cut_and_a_soft_first_sound_is_not():
    random = np.random.default_rng(1)
    noise = np.clip(random.normal(0, 25, 3_200), -95, 95).astype(np.int16)
    breath = random.normal(0, 200, 640).astype(np.int16)
    trimmer = SilenceTrimmer(16_000)
    parts = [trimmer.push(part) for part in (noise, breath, sine(300, 16_000, 0.1))]

    assert len(np.concatenate(parts)) == pytest.approx(160 + 640 + 1_600, abs=40)


def test_silence_alone_gives_nothing():
    cutter = SpeechCutter(16_000, 8_000)

    assert cutter.push(np.zeros(16_000, np.int16)) == []
    assert cutter.finish() == []


def test_frames_are_whole_and_the_last_is_filled_up():
    framer = Framer(8_000)

    assert [len(frame) for frame in framer.push(np.ones(330, np.int16))] == [320, 320]
    assert framer.finish() == [b"\x01\x00" * 10 + bytes(300)]
    assert framer.finish() == []
