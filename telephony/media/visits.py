"""Once a second, of all RTP legs by arrays: which of them have something to tell, so that the others cost no Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.quality_account import RECENT, TOO_FEW, Totals
from telephony.media.slots import RtpSlots
from telephony.rtp.jitter_buffer import JitterBuffers

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUNDS: Final = 20
"""Parts in which the legs are visited: one each 50 ms."""
_MIN_BAD: Final = 5
_BAD_SHARE: Final = 0.2
_SUSPECT_LOSS: Final = 0.03
"""Under so much no codec is rated poor, unless its delay is long."""
_EXPECTED, _RECEIVED, _LATE = _COLUMNS = range(3)


@dataclass(frozen=True, slots=True)
class Heard:
    """A table of received audio, and what is counted beside it. `concealed` (rows,)."""

    buffers: JitterBuffers
    concealed: NDArray[np.int64]


class Visits:
    """Totals of the last visits. `unusable`: over a fifth of the packets since then; `slow`: set by who knows delays."""

    def __init__(self, slots: RtpSlots, narrow: Heard, wide: Heard) -> None:
        self._slots = slots
        self._narrow = narrow.buffers
        self._wide = wide.buffers
        self._parts = [np.arange(part, slots.rows, ROUNDS) for part in range(ROUNDS)]
        self._good = np.zeros(slots.rows, np.int64)
        self._bad = np.zeros(slots.rows, np.int64)
        self._recent = np.zeros((RECENT, slots.rows, len(_COLUMNS)), np.int64)
        self.unusable = np.zeros(slots.rows, np.bool_)
        self.slow = np.zeros(slots.rows, np.bool_)

    def start(self, row: int) -> None:
        self._good[row] = self._bad[row] = 0
        self._recent[:, row] = 0
        self.unusable[row] = self.slow[row] = False

    def part(self, number: int) -> Rows:
        """The legs whose turn it is."""
        rows = self._parts[number]
        return rows[self._slots.active[rows]]

    def note(self, rows: Rows) -> Mask:
        """Takes the totals of these legs; a mask of those that may have turned bad."""
        slots = self._slots
        wide = slots.wide[rows]
        arrived = slots.received[rows]
        late = np.where(wide, self._wide.late[rows], self._narrow.late[rows])
        doubled = np.where(wide, self._wide.duplicates[rows], self._narrow.duplicates[rows])
        expected = slots.last_sequence[rows] - slots.first_extended[rows] + 1
        expected[arrived == 0] = 0
        self._count_bad(rows, arrived)
        before = self._recent[1, rows]
        # Another stream in the same leg counts from nothing again.
        before[expected < before[:, _EXPECTED]] = 0
        self._recent[0, rows] = before
        self._recent[1, rows] = self._recent[2, rows]
        now = np.stack((expected, arrived - doubled, late), axis=1)
        self._recent[2, rows] = now
        fresh = now - before
        missing = np.maximum(fresh[:, _EXPECTED] - fresh[:, _RECEIVED], 0) + fresh[:, _LATE]
        lossy = missing >= _SUSPECT_LOSS * fresh[:, _EXPECTED]
        odd: Mask = (fresh[:, _EXPECTED] >= TOO_FEW) & (lossy | self.slow[rows])
        return odd | self.unusable[rows]

    def _count_bad(self, rows: Rows, arrived: Rows) -> None:
        good = np.maximum(arrived - self._good[rows], 0)
        unusable = self._slots.unusable[rows]
        bad = np.maximum(unusable - self._bad[rows], 0)
        self._good[rows], self._bad[rows] = arrived, unusable
        self.unusable[rows] = (bad >= _MIN_BAD) & (bad > _BAD_SHARE * (good + bad))

    def recent(self, row: int) -> tuple[Totals, Totals]:
        """Two seconds ago, and at the last visit."""
        first, last = (self._recent[at, row].tolist() for at in (0, 2))
        return Totals(*first), Totals(*last)
