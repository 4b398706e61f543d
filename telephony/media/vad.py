"""Stage 1 of barge-in for all slots: webrtcvad mode 3, 3 of 4 frames, and a level above floor and echo gate.

What webrtcvad says is only half of it: babble keeps it on after the words, so the end of speech is dated by level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import _webrtcvad  # type: ignore[import-not-found]  # the extension behind webrtcvad ships no types
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

MIN_LEVEL_DBFS: Final = -48.0
ABOVE_FLOOR_DB: Final = 6.0
QUIET_FRAMES: Final = 4
"""Frames below the level after which speech has stopped."""
UNVOICED_FRAMES: Final = 25
"""Half a second in which the detector hears no voice ends speech too, however loud: a tone, a fan."""
SILENCE_DBFS: Final = -96.0
_DIGITAL_SILENCE_DBFS: Final = -70.0
_FLOOR_RANGE: Final = (-80.0, -20.0)
_START_FLOOR: Final = -60.0
_FLOOR_FRAMES: Final = 75
"""The floor is the lowest level of the last 1.5 to 3 s: speech has pauses in it, steady noise has none."""
_ONSET: Final = np.array([bits.bit_count() >= 3 for bits in range(16)])
_MODE: Final = 3
_OCTETS: Final = {samples: np.dtype((np.void, samples * 2)) for samples in (160, 320)}
_QUIET: Final = (1 << QUIET_FRAMES) - 1
_UNVOICED: Final = (1 << UNVOICED_FRAMES) - 1


def level_dbfs(pcm: NDArray[np.int16]) -> NDArray[np.float32]:
    """RMS of each row in dBFS; -96 for digital silence."""
    samples = pcm.astype(np.float32)
    power: NDArray[np.float32] = np.vecdot(samples, samples)
    power *= 1 / (pcm.shape[1] * 32768.0**2)
    power += 1e-12
    np.log10(power, out=power)
    power *= 10
    return np.maximum(power, SILENCE_DBFS, out=power)


@dataclass(frozen=True, slots=True)
class Heard:
    """Per row of the call: level, inside speech, and the rows (positions) whose speech started or stopped."""

    level_dbfs: NDArray[np.float32]
    speech: NDArray[np.bool_]
    started: NDArray[np.int64]
    stopped: NDArray[np.int64]


class VoiceDetectors:
    """One detector per slot; rows are slot indexes."""

    def __init__(self, rows: int) -> None:
        self.enabled = np.zeros(rows, np.bool_)
        self.speech = np.zeros(rows, np.bool_)
        self.floor_dbfs = np.full(rows, _START_FLOOR, np.float32)
        self._lowest = np.full(rows, _START_FLOOR, np.float32)
        self._counted = np.zeros(rows, np.int64)
        self._lowest_before = np.full(rows, _START_FLOOR, np.float32)
        self.last_loud = np.zeros(rows, np.int64)
        self._history = np.zeros(rows, np.uint8)
        # A bit for each of the last frames, the newest lowest.
        self._loud = np.zeros(rows, np.int64)
        self._voiced = np.zeros(rows, np.int64)
        self._detectors: list[Any] = [None] * rows

    def enable(self, row: int, on: bool) -> None:
        """A detector that is switched on begins without memory."""
        if on == bool(self.enabled[row]):
            return
        self.enabled[row] = on
        self._history[row] = 0
        self.speech[row] = False
        self.floor_dbfs[row] = self._lowest[row] = self._lowest_before[row] = _START_FLOOR
        self._counted[row] = 0
        self._detectors[row] = _new_detector() if on else None

    def hear(
        self, rows: Rows, frames: Rows, pcm: NDArray[np.int16], gates: NDArray[np.float32]
    ) -> Heard:
        """One frame of each of `rows` (enabled, no row twice); `gates` in dBFS, -96 where there is none."""
        level = level_dbfs(pcm)
        voiced = self._ask(rows, pcm, level)
        threshold = np.maximum(self.floor_dbfs[rows] + ABOVE_FLOOR_DB, gates)
        loud = level > np.maximum(threshold, MIN_LEVEL_DBFS, out=threshold)
        self._follow_floor(rows, level)
        history = (self._history[rows] << 1 | (voiced & loud)) & 0x0F
        self._history[rows] = history
        loud_bits = self._loud[rows] << 1 | loud
        self._loud[rows] = loud_bits
        voiced_bits = self._voiced[rows] << 1 | voiced
        self._voiced[rows] = voiced_bits
        was = self.speech[rows]
        started = _ONSET[history] > was
        speech = was | started
        heard = loud & speech
        self.last_loud[rows[heard]] = frames[heard]
        still = ((loud_bits & _QUIET) != 0) & ((voiced_bits & _UNVOICED) != 0)
        stopped = (was > still).nonzero()[0]
        if len(stopped):
            self._history[rows[stopped]] = 0
            speech[stopped] = False
        self.speech[rows] = speech
        return Heard(level, speech, started.nonzero()[0], stopped)

    def onset_frames(self, row: int) -> int:
        """How many frames back the voiced ones of the last four begin: 3 or 4 at an onset."""
        return int(self._history[row]).bit_length()

    def interrupt(self, rows: Rows) -> None:
        """Speech on `rows` is over although no frame said so."""
        self.speech[rows] = False
        self._history[rows] = 0

    def _ask(
        self, rows: Rows, pcm: NDArray[np.int16], level: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """The one call per frame into C; digital silence skips it, as the detector itself ignores it."""
        samples = pcm.shape[1]
        rate = samples * 50
        process, detectors = _webrtcvad.process, self._detectors
        asked = (level > _DIGITAL_SILENCE_DBFS).nonzero()[0]
        voiced = np.zeros(len(rows), np.bool_)
        # The octets of all rows at once: slices of one string made this a tenth slower.
        octets = pcm.view(_OCTETS[samples])[asked, 0].tolist()
        voiced[asked] = [
            process(detectors[row], rate, frame, samples)
            for row, frame in zip(rows[asked].tolist(), octets, strict=True)
        ]
        return voiced

    def _follow_floor(self, rows: Rows, level: NDArray[np.float32]) -> None:
        # `_lowest` never exceeds the range's upper end.
        lowest = np.minimum(self._lowest[rows], np.maximum(level, _FLOOR_RANGE[0]))
        counted = self._counted[rows] + 1
        self._lowest[rows], self._counted[rows] = lowest, counted
        full = (counted >= _FLOOR_FRAMES).nonzero()[0]
        if len(full):
            over = rows[full]
            self._lowest_before[over] = lowest[full]
            self._lowest[over] = _FLOOR_RANGE[1]
            self._counted[over] = 0
        self.floor_dbfs[rows] = np.minimum(self._lowest_before[rows], lowest)


def _new_detector() -> Any:
    detector = _webrtcvad.create()
    _webrtcvad.init(detector)
    _webrtcvad.set_mode(detector, _MODE)
    return detector
