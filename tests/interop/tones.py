"""Tones as WAV files, and the pitch of what was heard."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from voiceapp.try_call.audio import Samples


def tone_wav(path: Path, hz: int, seconds: float, rate_hz: int = 8000) -> Path:
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((8000 * np.sin(2 * np.pi * hz * at)).astype("<i2").tobytes())
    return path


def pitch(samples: Samples, rate_hz: int = 8000) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


def loud_seconds(samples: Samples, rate_hz: int = 8000) -> int:
    """How many of its seconds hold a voice or a tone."""
    seconds = samples[: len(samples) // rate_hz * rate_hz].reshape(-1, rate_hz).astype(float)
    return int((np.sqrt((seconds**2).mean(axis=1)) > 300).sum())
