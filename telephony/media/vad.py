"""Stage 1 of barge-in for all slots: webrtcvad mode 3, 3 of 4 frames, and a level above floor and echo gate.

What webrtcvad says is only half of it: babble keeps it on after the words, so the end of speech is dated by level. The
loop over the frames is `hearing_loops.hear`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.hearing_loops import NO_DETECTOR, SILENCE_DBFS, STATE, UNGUARDED
from telephony.media.voice_detector import new_detector

_START_FLOOR: Final = -60.0


class VoiceDetectors:
    """One detector per slot; rows are slot indexes. `states`: see `hearing_loops.STATE`."""

    def __init__(self, rows: int) -> None:
        self.enabled = np.zeros(rows, np.bool_)
        self.speech = np.zeros(rows, np.bool_)
        self.states: NDArray[np.void] = np.zeros(rows, STATE)
        self.states["guarded"] = UNGUARDED
        self.states["gate"] = SILENCE_DBFS
        self._detectors: list[Any] = [None] * rows

    def enable(self, row: int, on: bool) -> None:
        """A detector that is switched on begins without memory."""
        if on == bool(self.enabled[row]):
            return
        self.enabled[row] = on
        self.speech[row] = False
        state = self.states[row]
        state["history"] = state["loud"] = state["voiced"] = state["counted"] = 0
        state["floor"] = state["lowest"] = state["lowest_before"] = _START_FLOOR
        # The address goes before what it is of.
        state["detector"] = NO_DETECTOR
        self._detectors[row] = None
        if on:
            self._detectors[row], state["detector"] = new_detector()
