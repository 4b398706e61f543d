"""Frames of calls into datagrams for their workers, by compiled loops; their form is that of `brain_wire`.

For the media node alone: a worker needs no compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.brain_wire import FRAMES_HEAD, FRAMES_MAGIC, Frames
from telephony.compiled import compiled

AUDIO_ROW_LIMIT_BYTES: Final = 60_000

Ints = NDArray[np.int64]
Octets = NDArray[np.uint8]


@compiled("i8(i8[:], i8[:,::1], i8, i8, i8[::1])")
def pick(taps: Ints, routes: Ints, index_mask: int, worker: int, picked: Ints) -> int:
    """Writes the places in `taps` that `routes` (slot -> tap, worker) gives to this worker. Result: how many.

    `index_mask`: the bits of a tap that are its slot.
    """
    count = 0
    for at in range(len(taps)):
        slot = taps[at] & index_mask
        if slot < len(routes) and routes[slot, 0] == taps[at] and routes[slot, 1] == worker:
            picked[count] = at
            count += 1
    return count


@compiled()
def _put(into: Octets, at: int, value: int) -> None:
    for octet in range(8):
        into[at + octet] = value >> 8 * octet & 0xFF


@compiled("void(i8[::1], i8[:], i8[:], b1[:], u1[:,::1], u1[::1])")
def write_columns(
    picked: Ints,
    taps: Ints,
    numbers: Ints,
    speech: NDArray[np.bool_],
    pcm: Octets,
    into: Octets,
) -> None:
    """The columns of the picked rows one after the other, little-endian; `into` has 17 octets a row and its audio's."""
    count, width = len(picked), pcm.shape[1]
    for i in range(count):
        row = picked[i]
        _put(into, 8 * i, taps[row])
        _put(into, 8 * (count + i), numbers[row])
        into[16 * count + i] = speech[row]
        audio, target = pcm[row], into[17 * count + width * i : 17 * count + width * (i + 1)]
        for octet in range(width):
            target[octet] = audio[octet]


def encode_frames(frames: Frames, picked: NDArray[np.int64]) -> Iterator[bytes]:
    """Datagrams of at most `AUDIO_ROW_LIMIT_BYTES`, each for itself, of the picked rows."""
    pcm = frames.pcm.astype("<i2", copy=False).view(np.uint8)
    width = pcm.shape[1]
    rows = max(1, AUDIO_ROW_LIMIT_BYTES // (17 + width))
    for start in range(0, len(picked), rows):
        part = picked[start : start + rows]
        columns = np.empty(len(part) * (17 + width), np.uint8)
        write_columns(part, frames.taps, frames.numbers, frames.speech, pcm, columns)
        head = FRAMES_HEAD.pack(FRAMES_MAGIC, frames.source, frames.rate_hz // 50, len(part))
        yield head + columns.tobytes()
