"""Is this voiced speech? Second look at a possible barge-in where silero is not installed.

A pure function over the last frames, in numpy: level above the noise floor, webrtcvad's verdict and a
pitch (autocorrelation), in 3 of 4 frames. Coughs, breath and music gave no confirmation in the
measurements behind it, ringback 20 a minute; onset p50 80 ms, p90 252 ms.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FLOOR_MARGIN_DB: Final = 9.0
VOICED: Final = 0.5
FRAMES: Final = 4
NEEDED: Final = 3
LOWEST_PITCH_HZ: Final = 70
HIGHEST_PITCH_HZ: Final = 400
SILENCE_DBFS: Final = -100.0
Frame = npt.NDArray[np.int16]


def level_dbfs(frame: Frame) -> float:
    """RMS level of int16 samples; -100 for digital silence."""
    if not len(frame):
        return SILENCE_DBFS
    rms = float(np.sqrt(np.mean(np.square(frame.astype(np.float64)))))
    return 20 * float(np.log10(rms / 32768)) if rms >= 1 else SILENCE_DBFS


def voicing(frame: Frame, before: Frame, rate_hz: int) -> float:
    """Highest normalised autocorrelation in the range of speaking pitch, 0..1.

    `before` is the frame before: one of 20 ms alone holds too few periods of a low voice.
    """
    x = np.concatenate((before, frame)).astype(np.float64)
    x -= x.mean()
    lags = np.arange(rate_hz // HIGHEST_PITCH_HZ, rate_hz // LOWEST_PITCH_HZ + 1)
    lags = lags[lags < len(x) - rate_hz // 200]
    if not len(lags) or not x.any():
        return 0.0
    squares = np.concatenate(([0.0], np.cumsum(x * x)))
    products = np.correlate(x, x, "full")[len(x) - 1 :][lags]
    energy = squares[len(x) - lags] * (squares[len(x)] - squares[lags])
    return float(np.clip(np.max(products / np.sqrt(np.maximum(energy, 1.0))), 0.0, 1.0))


def is_voiced_speech(
    frames: Sequence[Frame], vad: Sequence[bool], noise_floor_dbfs: float, rate_hz: int = 8_000
) -> bool:
    """Whether the newest frames hold speech: 3 of the last 4 loud enough, voiced, and speech by VAD.

    `frames` are 20 ms each, oldest first, one more than are judged; `vad` is webrtcvad's verdict of each.
    """
    if len(frames) != len(vad):
        raise ValueError("one verdict for each frame is needed")
    first = max(1, len(frames) - FRAMES)
    found = sum(
        vad[at]
        and level_dbfs(frames[at]) > noise_floor_dbfs + FLOOR_MARGIN_DB
        and voicing(frames[at], frames[at - 1], rate_hz) > VOICED
        for at in range(first, len(frames))
    )
    return found >= NEEDED
