from __future__ import annotations

import numpy as np

from telephony.media.resample import RateConverter

FRAMES = 6
ORDER = np.array([2, 0, 1])
"""Rows of the converter that the streams use."""


def half_band() -> np.ndarray:
    offset = np.arange(31) - 15
    taps = np.sinc(offset / 2) / 2 * np.kaiser(31, 5.0)
    taps[15] = 0.5
    sides = np.arange(0, 31, 2)
    taps[sides] *= 0.5 / taps[sides].sum()
    taps[1:15:2] = taps[17::2] = 0
    whole: np.ndarray = taps
    return whole


def streams(size: int) -> np.ndarray:
    random = np.random.default_rng(5)
    return random.integers(-32768, 32768, (3, FRAMES * size)).astype(np.int16)


def in_frames(pcm: np.ndarray, size: int, *, wide: bool) -> np.ndarray:
    converter = RateConverter(3)
    convert = converter.narrow if wide else converter.widen
    pieces = [pcm[:, at : at + size].copy() for at in range(0, pcm.shape[1], size)]
    return np.concatenate([convert(ORDER, piece) for piece in pieces], axis=1)


def clipped(samples: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.clip(samples, -32768, 32767)
    return whole


def test_16_khz_becomes_every_second_sample_of_its_low_half():
    pcm = streams(320)
    got = in_frames(pcm, 320, wide=True)
    for row in range(3):
        low = np.convolve(pcm[row].astype(float), half_band())[: pcm.shape[1] : 2]
        assert np.abs(got[row] - clipped(low)).max() <= 1


def test_8_khz_becomes_16_khz_without_its_mirror_image():
    pcm = streams(160)
    got = in_frames(pcm, 160, wide=False)
    for row in range(3):
        spread = np.zeros(2 * pcm.shape[1])
        spread[::2] = pcm[row]
        smooth = 2 * np.convolve(spread, half_band())[: len(spread)]
        assert np.abs(got[row] - clipped(smooth)).max() <= 1


def test_cleared_row_begins_with_silence():
    converter = RateConverter(1)
    row, loud = np.array([0]), np.full((1, 320), 9000, np.int16)
    converter.narrow(row, loud)
    converter.clear(0)
    assert not converter.narrow(row, np.zeros((1, 320), np.int16)).any()
