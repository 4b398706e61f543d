"""Peak levels of what each slot receives and is sent, told five times a second."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.notices import Levels
from telephony.media.send_loops import raise_peaks

Rows = NDArray[np.int64]

_FLOOR_DBFS: Final = -96.0


class Meters:
    """`rows` slots. Peaks (rows,) uint16 are magnitudes since they were last read."""

    def __init__(self, rows: int) -> None:
        self.received_peaks = np.zeros(rows, np.uint16)
        self.sent_peaks = np.zeros(rows, np.uint16)

    def sent(self, rows: Rows, pcm: NDArray[np.int16]) -> None:
        """(n, samples) of `rows`."""
        raise_peaks(self.sent_peaks, rows, pcm)

    def read(self, rows: Rows, handles: NDArray[np.int64], now: float) -> Levels:
        """Peaks of `rows` since they were last read."""
        levels = Levels(
            handles, _dbfs(self.received_peaks[rows]), _dbfs(self.sent_peaks[rows]), now
        )
        self.received_peaks[rows] = self.sent_peaks[rows] = 0
        return levels


def _dbfs(peaks: NDArray[np.uint16]) -> NDArray[np.float32]:
    level: NDArray[np.float32] = np.maximum(
        20 * np.log10(np.maximum(peaks, 0.5) / 32768), _FLOOR_DBFS
    ).astype(np.float32)
    return level
