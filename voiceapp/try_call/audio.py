"""WAV files in and out, and where in them somebody speaks. int16 mono throughout."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAME_S: Final = 0.02
VOICED_SHARE: Final = 0.03
"""Of the peak (-30 dB): what is quieter is not voiced."""
LOUD: Final = 300
"""Sample value from which a received packet counts as sound (of 32768)."""

Samples = NDArray[np.int16]


class AudioFileError(Exception):
    """The file cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Speech:
    """One turn to speak: 20 ms frames at the line's rate, `(n, rate // 50)`; `last_voiced` indexes the frames."""

    frames: Samples
    last_voiced: int


def read_wav(path: Path, rate_hz: int) -> Samples:
    """Mono samples at this rate. Raises: AudioFileError."""
    try:
        with wave.open(str(path), "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise AudioFileError(f"{path}: {error}") from error
    if width != 2:
        raise AudioFileError(f"{path}: {8 * width} bits a sample; 16 are needed")
    samples = np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1)
    if not len(samples):
        raise AudioFileError(f"{path}: no samples")
    return resampled(samples, rate, rate_hz)


def resampled(samples: NDArray[np.floating] | Samples, rate: int, rate_hz: int) -> Samples:
    """The whole signal at another rate, band-limited by its spectrum."""
    if rate != rate_hz:
        spectrum = np.fft.rfft(samples)
        count = round(len(samples) * rate_hz / rate)
        kept = np.zeros(count // 2 + 1, complex)
        shared = min(len(kept), len(spectrum))
        kept[:shared] = spectrum[:shared]
        samples = np.fft.irfft(kept, count) * (rate_hz / rate)
    return np.clip(samples, -32768, 32767).astype(np.int16)


def speech(samples: Samples, rate_hz: int) -> Speech:
    """The samples as frames; silence around the voice stays."""
    size = rate_hz // 50
    padded = np.concatenate([samples, np.zeros(-len(samples) % size, np.int16)])
    frames = padded.reshape(-1, size)
    peaks = np.abs(frames.astype(np.int32)).max(axis=1)
    voiced = np.flatnonzero(peaks > max(1, VOICED_SHARE * peaks.max()))
    return Speech(frames, int(voiced[-1]) if len(voiced) else len(frames) - 1)


class Recording:
    """What was heard, by media time: packets may come late, twice or not at all."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._parts: list[tuple[int, Samples]] = []
        self._end = 0
        self._base: int | None = None
        self._start = 0

    def add(self, timestamp: int, pcm: Samples) -> None:
        """`timestamp` in samples at this rate, modulo 2^32; a jump of over 10 s begins a new time base."""
        if self._base is None:
            self._base = timestamp
        offset = ((timestamp - self._base + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        place = self._start + offset
        if abs(place - self._end) > 10 * self.rate_hz:
            self._base, self._start, place = timestamp, self._end, self._end
        if place >= 0:
            self._parts.append((place, pcm))
            self._end = max(self._end, place + len(pcm))

    def samples(self) -> Samples:
        """All of it; what never came is silence."""
        parts = tuple(self._parts)
        out = np.zeros(max((place + len(pcm) for place, pcm in parts), default=0), np.int16)
        for place, pcm in parts:
            out[place : place + len(pcm)] = pcm
        return out

    def write(self, path: Path) -> None:
        """A WAV file. Raises: OSError."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate_hz)
            file.writeframes(self.samples().astype("<i2").tobytes())
