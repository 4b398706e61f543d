"""Audio for tests of what may be wrong with it: speech by voices and levels, music, tones, noise."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.fakes.speech_audio import spoken_pcm
from tests.unit.media_line import Pcm

SENTENCE = (
    "Hello, I would like to book a visit for Thursday at three. My number is five five oh one."
)
_TONES = np.array([220, 277, 330, 440, 554, 660, 880, 1108, 1320, 1760, 2217])


@cache
def _spoken(voice: str, rate_hz: int) -> Pcm:
    pcm = np.frombuffer(spoken_pcm(SENTENCE, rate_hz, voice), "<i2")
    return pcm[int(np.argmax(np.abs(pcm) > 1000)) :]  # without the silence before it


def speech(level: float = 0.25, voice: str = "slt", rate_hz: int = 8000) -> Pcm:
    """Five seconds and more, its peak at `level` of full scale; over 1 it is clipped."""
    pcm = _spoken(voice, rate_hz).astype(np.float64)
    return framed(pcm * level * 32767 / np.abs(pcm).max(), rate_hz)


def framed(samples: np.ndarray, rate_hz: int = 8000) -> Pcm:
    """Whole frames of int16."""
    size = rate_hz // 50
    clipped: Pcm = np.clip(samples[: len(samples) // size * size], -32768, 32767).astype(np.int16)
    return clipped


def noise(colour: str, level: float, seconds: float = 6, rate_hz: int = 8000) -> Pcm:
    """`level`: its RMS in sample steps."""
    white = np.random.default_rng(4).normal(0, 1, int(seconds * rate_hz))
    spectrum = np.fft.rfft(white)
    slope = {"white": 0.0, "pink": -0.5, "blue": 0.5}[colour]
    spectrum *= (np.arange(len(spectrum)) + 1.0) ** slope
    shaped = np.fft.irfft(spectrum, len(white))
    return framed(shaped / shaped.std() * level, rate_hz)


def music(seconds: float = 6, rate_hz: int = 8000) -> Pcm:
    """Chords with overtones, and a drum on each beat, as loud as may be."""
    dice = np.random.default_rng(5)
    t = np.arange(rate_hz // 4) / rate_hz
    beats = []
    for _ in range(int(seconds * 4)):
        notes = dice.choice(_TONES, 4)
        chord = sum(np.sin(2 * np.pi * f * h * t) / h for f in notes for h in (1, 2, 3))
        drum = dice.normal(0, 0.6, len(t)) * np.exp(-t * 40)
        beats.append(chord * np.exp(-t * 4) + drum)
    played = np.concatenate(beats)
    return framed(played / np.abs(played).max() * 32000, rate_hz)


def tones(*hz: float, seconds: float = 6, amplitude: float = 8000, rate_hz: int = 8000) -> Pcm:
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    waves = np.sin(2 * np.pi * np.outer(hz, t))
    return framed(amplitude * waves.sum(axis=0), rate_hz)
