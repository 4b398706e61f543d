"""Arithmetic on speech samples: rates, silence at the ends, frames of 20 ms. No I/O.

Samples are int16 mono; each object keeps the state of one stream and takes pieces of any length.
"""

import math
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.speech.ports import FRAME_SECONDS

Samples = npt.NDArray[np.int16]

# 24 taps hold 0.75 ms at 16 kHz on either side; soxr in streaming mode would hold 20-170 ms.
HALF_TAPS: Final = 12
# Flite leads with noise whose peaks reach 93 (slt and rms, 44 sentences each); the breath of an "h" passes 128 within 10 ms.
SILENCE_LEVEL: Final = 128


@cache
def _filters(up: int, down: int) -> npt.NDArray[np.float32]:
    """Windowed-sinc taps of each output phase, shape (up, taps)."""
    cutoff = min(1.0, up / down) * 0.94
    half = math.ceil(HALF_TAPS / min(1.0, up / down))
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.kaiser(2 * half * 64 + 1, 7.0)
    position = np.clip((offsets / half + 1) * half * 64, 0, len(window) - 1).astype(int)
    taps: npt.NDArray[np.float64] = cutoff * np.sinc(cutoff * offsets) * window[position]
    taps /= taps.sum(axis=1, keepdims=True)
    single: npt.NDArray[np.float32] = taps.astype(np.float32)
    return single


class Resampler:
    """One stream from `source_hz` to `target_hz`; equal rates pass through untouched."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        divisor = math.gcd(source_hz, target_hz)
        self._up = target_hz // divisor
        self._down = source_hz // divisor
        self._taps = _filters(self._up, self._down)
        self._half = self._taps.shape[1] // 2
        self._kept = np.zeros(self._half - 1, np.float32)
        self._position = 0  # of the next output sample, in 1/up of an input sample

    def push(self, samples: Samples) -> Samples:
        """Output that the input so far determines."""
        if self._up == self._down:
            return samples
        have = np.concatenate((self._kept, samples.astype(np.float32)))
        last = len(have) - 2 * self._half
        if last < 0:
            self._kept = have
            return np.zeros(0, np.int16)
        count = max(0, ((last + 1) * self._up - 1 - self._position) // self._down + 1)
        places = self._position + np.arange(count) * self._down
        windows = np.lib.stride_tricks.sliding_window_view(have, 2 * self._half)
        out = np.einsum("ij,ij->i", windows[places // self._up], self._taps[places % self._up])
        following = self._position + count * self._down
        self._kept = have[min(following // self._up, len(have)) :]
        self._position = following % self._up
        samples_out: Samples = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
        return samples_out

    def finish(self) -> Samples:
        """What the filter still holds."""
        return self.push(np.zeros(self._half, np.int16))


class SilenceTrimmer:
    """Cuts silence before the first and after the last sound; pauses inside stay.

    Flite leads with 150-270 ms, more than every other delay of an answer together.
    """

    def __init__(self, rate_hz: int, keep_before: float = 0.01, keep_after: float = 0.03) -> None:
        self._before = int(rate_hz * keep_before)
        self._after = int(rate_hz * keep_after)
        self._held = np.zeros(0, np.int16)
        self._begun = False

    def push(self, samples: Samples) -> Samples:
        """The part that is known to be speech or a pause between speech."""
        have = np.concatenate((self._held, samples))
        loud = np.flatnonzero(np.abs(have.astype(np.int32)) > SILENCE_LEVEL)
        if not len(loud):
            self._held = have if self._begun else have[-self._before :]
            return np.zeros(0, np.int16)
        first = 0 if self._begun else max(0, int(loud[0]) - self._before)
        end = int(loud[-1]) + 1
        self._begun = True
        self._held = have[end:]
        return have[first:end]

    def finish(self) -> Samples:
        """A short rest of the silence after the last sound."""
        return self._held[: self._after] if self._begun else np.zeros(0, np.int16)


class Framer:
    """Cuts a stream into frames of 20 ms."""

    def __init__(self, rate_hz: int) -> None:
        self.frame_bytes = int(rate_hz * FRAME_SECONDS) * 2
        self._rest = b""

    def push(self, samples: Samples) -> list[bytes]:
        """Whole frames, int16 little-endian."""
        data = self._rest + samples.astype("<i2").tobytes()
        whole = len(data) - len(data) % self.frame_bytes
        self._rest = data[whole:]
        return [data[at : at + self.frame_bytes] for at in range(0, whole, self.frame_bytes)]

    def finish(self) -> list[bytes]:
        """The last frame, filled up with silence, if anything is left."""
        rest, self._rest = self._rest, b""
        return [rest.ljust(self.frame_bytes, b"\0")] if rest else []


class SpeechCutter:
    """From an engine's samples to trimmed 20 ms frames at the wanted rate."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._trimmer = SilenceTrimmer(source_hz)
        self._resampler = Resampler(source_hz, target_hz)
        self._framer = Framer(target_hz)

    def push(self, samples: Samples) -> list[bytes]:
        """Frames that are complete."""
        return self._framer.push(self._resampler.push(self._trimmer.push(samples)))

    def finish(self) -> list[bytes]:
        """The remaining frames."""
        rest = self._trimmer.finish()
        frames = self._framer.push(self._resampler.push(rest))
        return frames + self._framer.push(self._resampler.finish()) + self._framer.finish()
