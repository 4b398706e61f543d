"""Once a second, of all RTP legs in a compiled loop: which have something to tell, so that the others cost no Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled
from telephony.media.quality_account import RECENT, TOO_FEW, Totals
from telephony.media.slots import RtpSlots
from telephony.rtp.jitter_buffer import JitterBuffers

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Times = NDArray[np.float64]

PARTS: Final = 50
"""The legs are visited by turns, a fiftieth each 20 ms: what Python does for a few in a row costs half as much each."""
ONE_WAY_AFTER: Final = 1.8
"""Seconds without a packet of a peer that does not suppress silence."""
REPORT, MEASURE, ASK = 1, 2, 4
"""What is due of a leg: its RTCP, its quality; or it may have turned bad."""
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


@compiled()
def _lossy(recent: NDArray[np.int64], row: int, too_few: int, slow: bool) -> bool:
    """More was lost between the visits kept than a codec bears, or it is slow besides."""
    expected = recent[2, row, _EXPECTED] - recent[0, row, _EXPECTED]
    arrived = recent[2, row, _RECEIVED] - recent[0, row, _RECEIVED]
    missing = max(expected - arrived, 0) + recent[2, row, _LATE] - recent[0, row, _LATE]
    return expected >= too_few and (slow or missing >= _SUSPECT_LOSS * expected)


@compiled(
    "i8(i8, i8, f8, b1[::1], b1[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1],"
    " f8[::1], f8[::1], f8[::1], b1[::1], i8[::1], i8[::1], i8[:,:,::1], b1[::1], b1[::1], b1[::1],"
    " i8[::1], i8[::1])"
)
def visit(
    part: int,
    too_few: int,
    now: float,
    active: Mask,
    wide: Mask,
    received: Rows,
    last_sequence: Rows,
    first_extended: Rows,
    refused: Rows,
    late: Rows,
    duplicates: Rows,
    wide_late: Rows,
    wide_duplicates: Rows,
    heard_at: Times,
    report_due: Times,
    quality_due: Times,
    deaf: Mask,
    good: Rows,
    bad: Rows,
    recent: NDArray[np.int64],
    unusable: Mask,
    slow: Mask,
    troubled: Mask,
    told: Rows,
    why: Rows,
) -> int:
    """See `Visits.visit`; the rows are the first of `told`, what is due the first of `why`."""
    found = 0
    for row in range(part, len(active), PARTS):
        if not active[row]:
            continue
        fresh_good, fresh_bad = received[row] - good[row], max(refused[row] - bad[row], 0)
        good[row], bad[row] = received[row], refused[row]
        share = _BAD_SHARE * (max(fresh_good, 0) + fresh_bad)
        unusable[row] = fresh_bad >= _MIN_BAD and fresh_bad > share
        expected = last_sequence[row] - first_extended[row] + 1 if received[row] else 0
        # Another stream in the same leg counts from nothing again.
        again = expected < recent[1, row, _EXPECTED]
        for column in range(3):
            recent[0, row, column] = 0 if again else recent[1, row, column]
            recent[1, row, column] = recent[2, row, column]
        doubled = wide_duplicates[row] if wide[row] else duplicates[row]
        recent[2, row, _EXPECTED] = expected
        recent[2, row, _RECEIVED] = received[row] - doubled
        recent[2, row, _LATE] = wide_late[row] if wide[row] else late[row]
        odd = troubled[row] or deaf[row] or unusable[row] or now - heard_at[row] > ONE_WAY_AFTER
        odd = odd or _lossy(recent, row, too_few, slow[row])
        due = REPORT if report_due[row] <= now else 0
        due |= MEASURE if quality_due[row] <= now else 0
        due |= ASK if odd else 0
        if due:
            told[found], why[found] = row, due
            found += 1
    return found


class Visits:
    """Totals of the last visits, and which legs are to be asked.

    `unusable`: over a fifth of the packets since the visit before. Set by who knows: `slow`: its delay is long;
    `troubled`: it was told of; `quality_due`: when its quality is measured next.
    """

    def __init__(self, slots: RtpSlots, narrow: Heard, wide: Heard) -> None:
        self._slots = slots
        self._narrow = narrow.buffers
        self._wide = wide.buffers
        self._good = np.zeros(slots.rows, np.int64)
        self._bad = np.zeros(slots.rows, np.int64)
        self._recent = np.zeros((RECENT, slots.rows, len(_COLUMNS)), np.int64)
        self.unusable = np.zeros(slots.rows, np.bool_)
        self.slow = np.zeros(slots.rows, np.bool_)
        self.troubled = np.zeros(slots.rows, np.bool_)
        self.quality_due = np.full(slots.rows, np.inf)
        self._told = np.zeros(slots.rows // PARTS + 1, np.int64)
        self._why = np.zeros(slots.rows // PARTS + 1, np.int64)

    def start(self, row: int, quality_due: float) -> None:
        self._good[row] = self._bad[row] = 0
        self._recent[:, row] = 0
        self.unusable[row] = self.slow[row] = self.troubled[row] = False
        self.quality_due[row] = quality_due

    def visit(self, part: int, deaf: Mask, report_due: Times, now: float) -> list[tuple[int, int]]:
        """Takes the totals of a `part` of the legs; (row, what is due) of those that have something to tell."""
        slots, narrow, wide = self._slots, self._narrow, self._wide
        found = visit(
            part,
            TOO_FEW,
            now,
            slots.active,
            slots.wide,
            slots.received,
            slots.last_sequence,
            slots.first_extended,
            slots.unusable,
            narrow.late,
            narrow.duplicates,
            wide.late,
            wide.duplicates,
            slots.heard_at,
            report_due,
            self.quality_due,
            deaf,
            self._good,
            self._bad,
            self._recent,
            self.unusable,
            self.slow,
            self.troubled,
            self._told,
            self._why,
        )
        if not found:
            return []
        return list(zip(self._told[:found].tolist(), self._why[:found].tolist(), strict=True))

    def recent(self, row: int) -> tuple[Totals, Totals]:
        """Two seconds ago, and at the last visit."""
        first, last = (self._recent[at, row].tolist() for at in (0, 2))
        return Totals(*first), Totals(*last)
