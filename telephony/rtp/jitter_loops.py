"""Compiled loops of the jitter buffers: placing what arrived, and finding what is due for detection."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

RING: Final = 16
MAX_TARGET: Final = 8
START_TARGET: Final = 2
"""Depth at which a stream begins; each late frame makes it one more, each calm second in silence one less."""
DETECT_WAIT: Final = 0.020
_LAST: Final = RING - 1
_WAIT: Final = DETECT_WAIT - 1e-6

Rows = NDArray[np.int64]


@compiled(
    "void(i8[::1], i8[::1], i2[:,::1], i2[:,:,::1], i8[:,::1], i8[::1], i8[::1], i8[::1], b1[::1],"
    " i8[::1], i8[::1], i8[::1])"
)
def place(
    rows: Rows,
    frames: Rows,
    pcm: NDArray[np.int16],
    ring: NDArray[np.int16],
    tag: Rows,
    top: Rows,
    play: Rows,
    target: Rows,
    grown: NDArray[np.bool_],
    early: Rows,
    late: Rows,
    duplicates: Rows,
) -> None:
    """Stores `pcm[i]` as frame `frames[i]` of stream `rows[i]`, in this order."""
    for i in range(len(rows)):
        row, frame = rows[i], frames[i]
        at = frame & _LAST
        if frame >= play[row] + RING:
            early[row] += 1
            play[row] = max(play[row], frame - target[row])
        if tag[row, at] == frame:
            duplicates[row] += 1
            continue
        newest = frame > top[row]
        if frame > top[row] - RING:
            tag[row, at] = frame
            for k in range(pcm.shape[1]):
                ring[row, at, k] = pcm[i, k]
            top[row] = max(top[row], frame)
        lateness = play[row] - frame
        if lateness <= 0:
            continue
        late[row] += 1
        grown[row] = True
        if newest and lateness > MAX_TARGET:
            # The sender stopped and went on where it was: its whole clock is behind, not this packet.
            target[row] = START_TARGET
            play[row] = frame - START_TARGET
        elif top[row] - frame <= MAX_TARGET:
            target[row] = min(target[row] + 1, MAX_TARGET)
            play[row] = frame


@compiled(
    "i8(f8, i8[::1], i8[::1], i8[:,::1], f8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1], i8[::1])"
)
def due(
    now: float,
    detect: Rows,
    top: Rows,
    tag: Rows,
    waiting_since: NDArray[np.float64],
    missing: Rows,
    lost: Rows,
    holes: Rows,
    due_rows: Rows,
    due_frames: Rows,
    due_missing: Rows,
) -> int:
    """The next frame of each stream that has one, into the last three; how many.

    One that is missing is waited for until `DETECT_WAIT` is over.
    """
    found = 0
    for row in range(len(detect)):
        behind = top[row] - _LAST - detect[row]
        if behind > 0:
            detect[row] += behind
            missing[row] += behind
        while detect[row] <= top[row]:
            frame = detect[row]
            if tag[row, frame & _LAST] == frame:
                due_rows[found] = row
                due_frames[found] = frame
                due_missing[found] = missing[row]
                found += 1
                if missing[row]:
                    lost[row] += missing[row]
                    holes[row] += 1
                    missing[row] = 0
                waiting_since[row] = np.inf
                detect[row] = frame + 1
                break
            waiting_since[row] = min(waiting_since[row], now)
            if now - waiting_since[row] < _WAIT:
                break
            detect[row] = frame + 1
            missing[row] += 1
    return found
