"""The loops of hearing: all frames that were just received through level, voice detection and the rules of speech."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import b1, f8, from_dtype, i2, i8, types, u2
from numpy.typing import NDArray

from telephony.compiled import compiled
from telephony.media.voice_detector import process

NONE: Final = -1
GAP: Final = 0
STARTED: Final = 1
STOPPED: Final = 2
"""Kinds of events."""

NO_DETECTOR: Final = 0
"""In place of a detector's address."""
MIN_LEVEL_DBFS: Final = -48.0
ABOVE_FLOOR_DB: Final = 6.0
QUIET_FRAMES: Final = 4
"""Frames below the level after which speech has stopped."""
UNVOICED_FRAMES: Final = 25
"""Half a second in which the detector hears no voice ends speech too, however loud: a tone, a fan."""
SILENCE_DBFS: Final = -96.0
ECHO_TAIL: Final = 0.4
"""Echo of a voice is heard up to 400 ms after it stopped: network both ways and the far room."""
NO_FRAMES: Final = 0.16
"""A sender that suppresses silence sends nothing at the end of speech; jitter makes shorter holes than this."""
UNGUARDED: Final = -1
FLOOR_CEILING: Final = -20.0
_VOICE: Final = 1
_GAP_FRAMES: Final = 3
_DIGITAL_SILENCE_DBFS: Final = -70.0
_FLOOR_BOTTOM: Final = -80.0
_FLOOR_FRAMES: Final = 75
"""The floor is the lowest level of the last 1.5 to 3 s: speech has pauses in it, steady noise has none."""
_QUIET: Final = (1 << QUIET_FRAMES) - 1
_UNVOICED: Final = (1 << UNVOICED_FRAMES) - 1
_FULL_SCALE: Final = 32768.0

STATE: Final = np.dtype(
    [
        ("detector", np.int64),
        ("floor", np.float32),
        ("lowest", np.float32),
        ("lowest_before", np.float32),
        ("gate", np.float32),
        ("counted", np.int64),
        ("history", np.int64),
        ("loud", np.int64),
        ("voiced", np.int64),
        ("last_loud", np.int64),
        ("guarded", np.int64),
        ("frame_at", np.float64),
        ("last_frame", np.int64),
        ("samples", np.int64),
    ]
)
"""What is known of one slot, side by side in memory. `history`, `loud`, `voiced`: a bit for each of the last frames, the
newest lowest. `guarded`: the voice that speech here ducks, and `gate`: the level that counts while it sounds."""
HEARD: Final = np.dtype(
    [
        ("handle", np.int64),
        ("number", np.int64),
        ("level_dbfs", np.float32),
        ("gap", np.bool_),
        ("speech", np.bool_),
    ],
    align=True,
)
"""One frame that is passed on; see `FrameBatch`."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Samples = NDArray[np.int16]
States = NDArray[np.void]
State = Any


@compiled()
def _power(samples: Samples) -> np.int64:
    power = np.int64(0)
    for i in range(len(samples)):
        sample = np.int32(samples[i])
        power += np.uint32(sample * sample)
    return power


@compiled()
def _peak(samples: Samples) -> np.uint16:
    peak = np.int32(0)
    for i in range(len(samples)):
        peak = max(peak, abs(np.int32(samples[i])))
    return np.uint16(peak)


@compiled()
def _dbfs(samples: Samples) -> np.float32:
    """RMS; -96 for digital silence."""
    power = _power(samples) / (len(samples) * _FULL_SCALE * _FULL_SCALE)
    return np.float32(max(10 * math.log10(power + 1e-12), SILENCE_DBFS))


@compiled()
def _voice(it: State, frame: Samples, level: np.float32) -> bool:
    """Asks webrtcvad, which ignores digital silence itself."""
    if level <= _DIGITAL_SILENCE_DBFS or it["detector"] == NO_DETECTOR:
        return False
    samples = len(frame)
    return bool(process(int(it["detector"]), samples * 50, frame.ctypes, samples) == _VOICE)


@compiled()
def _threshold(it: State, last_sound: NDArray[np.float64], now: float) -> float:
    threshold: float = max(it["floor"] + ABOVE_FLOOR_DB, MIN_LEVEL_DBFS)
    if it["guarded"] != UNGUARDED and last_sound[it["guarded"]] > now - ECHO_TAIL:
        threshold = max(threshold, it["gate"])
    return threshold


@compiled()
def _follow_floor(it: State, level: np.float32) -> None:
    low = min(it["lowest"], max(level, np.float32(_FLOOR_BOTTOM)))
    it["lowest"] = low
    it["counted"] += 1
    if it["counted"] >= _FLOOR_FRAMES:
        it["lowest_before"] = low
        it["lowest"] = np.float32(FLOOR_CEILING)
        it["counted"] = 0
    it["floor"] = min(it["lowest_before"], low)


@compiled()
def _change(it: State, voiced: bool, loud: bool | np.bool_, speaking: bool | np.bool_) -> int:
    """STARTED, STOPPED or NONE. 3 of 4 loud frames with a voice begin speech; quiet, or long no voice, ends it."""
    history = (it["history"] << 1 | (voiced and loud)) & 0x0F
    it["history"] = history
    it["loud"] = it["loud"] << 1 | loud
    it["voiced"] = it["voiced"] << 1 | voiced
    if not speaking:
        enough = (history & 1) + (history >> 1 & 1) + (history >> 2 & 1) + (history >> 3) >= 3
        return STARTED if enough else NONE
    if it["loud"] & _QUIET and it["voiced"] & _UNVOICED:
        return NONE
    it["history"] = 0
    return STOPPED


@compiled()
def _note(
    one: State, handle: int, number: int, missing: int, speech: bool, level: np.float32
) -> None:
    one["handle"], one["number"], one["gap"] = handle, number, missing > 0
    one["speech"], one["level_dbfs"] = speech, level


@compiled()
def _tell(events: Ints, told: int, kind: int, row: int, value: int) -> int:
    events[told, 0], events[told, 1], events[told, 2] = kind, row, value
    return told + 1


@compiled(
    types.UniTuple(i8, 2)(  # type: ignore[no-untyped-call]  # numba has no types of its own
        *(i8[::1], i8[::1], i8[::1], i8, f8, i2[:, :, ::1], i8[::1], from_dtype(STATE)[::1]),
        *(b1[::1], b1[::1], b1[::1], i8[::1], f8[::1], u2[::1], i8[:, ::1]),
        *(from_dtype(HEARD)[::1], i2[:, ::1]),
    )
)
def hear(
    rows: Ints,
    numbers: Ints,
    missing: Ints,
    first_row: int,
    now: float,
    pcm: Samples,
    first: Ints,
    states: States,
    enabled: Flags,
    speech: Flags,
    listening: Flags,
    handles: Ints,
    last_sound: NDArray[np.float64],
    peaks: NDArray[np.uint16],
    events: Ints,
    heard: NDArray[np.void],
    heard_pcm: Samples,
) -> tuple[int, int]:
    """Frames due in `pcm` (rows, frames, samples), one of each of `rows`, whose row 0 is slot `first_row`.

    Written: (kind, slot, frames that were missing or number of this one) into `events`, two rows a frame at most, and
    each frame of a slot that is listened to into `heard` and `heard_pcm`. Result: how many frames and events. `peaks`
    are raised. `first`: of each row, the number of its first frame.
    """
    count, told = 0, 0
    for i in range(len(rows)):
        row = rows[i] + first_row
        if missing[i] > _GAP_FRAMES:
            told = _tell(events, told, GAP, row, missing[i])
        if not enabled[row]:
            continue
        it, frame = states[row], pcm[rows[i], numbers[i] & (pcm.shape[1] - 1)]
        peaks[row] = max(peaks[row], _peak(frame))
        level = _dbfs(frame)
        loud = level > _threshold(it, last_sound, now)
        _follow_floor(it, level)
        change = _change(it, _voice(it, frame, level), loud, speech[row])
        it["frame_at"], it["samples"] = now, len(frame)
        it["last_frame"] = numbers[i] - first[rows[i]]
        if loud and (speech[row] or change == STARTED):
            it["last_loud"] = it["last_frame"]
        if change != NONE:
            speech[row] = change == STARTED
            told = _tell(events, told, change, row, it["last_frame"])
        if listening[row]:
            # An assignment of the row takes seven times as long.
            kept = heard_pcm[count]
            for at in range(len(frame)):
                kept[at] = frame[at]
            _note(heard[count], handles[row], it["last_frame"], missing[i], speech[row], level)
            count += 1
    return count, told


@compiled(i8(b1[::1], from_dtype(STATE)[::1], f8, i8[::1]))
def end_silent(speech: Flags, states: States, now: float, ended: Ints) -> int:
    """Ends speech on rows without a frame for a while, and writes these rows into `ended`. Result: how many."""
    count = 0
    for row in range(len(speech)):
        if speech[row] and now - states[row]["frame_at"] > NO_FRAMES:
            speech[row] = False
            states[row]["history"] = 0
            ended[count] = row
            count += 1
    return count
