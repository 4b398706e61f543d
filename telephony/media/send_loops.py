"""The loops of sending: what each leg hears as G.711 in its packet, the packets' heads, and the kernel's rows for them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.compiled import compiled

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Octets = NDArray[np.uint8]
Samples = NDArray[np.int16]

_HEADER: Final = 12
_PACKET: Final = 172
_ALAW: Final = 1
_ULAW_BIAS: Final = np.int32(33 << 2)
_ULAW_CLIP: Final = np.int32(32635)
# A float's exponent (its bias 127) and first four bits of mantissa are segment and step of a law's code; the lowest
# segment is that of 2^7.
_FLOAT_SHIFT: Final = 19
_LOWEST_SEGMENT: Final = (127 + 7) << 4


@compiled()
def _ulaw(frame: Samples, number: NDArray[np.float32], bits: NDArray[np.int32], to: Octets) -> None:
    for i in range(len(frame)):
        number[i] = np.float32(min(abs(np.int32(frame[i])), _ULAW_CLIP) + _ULAW_BIAS)
    for i in range(len(frame)):
        code = (bits[i] >> _FLOAT_SHIFT) - _LOWEST_SEGMENT
        to[i] = np.uint8(~(code | (np.int32(frame[i]) >> 31 & 0x80)) & 0xFF)


@compiled()
def _alaw(frame: Samples, number: NDArray[np.float32], bits: NDArray[np.int32], to: Octets) -> None:
    # One's complement for negatives, as the recommendation has it: -1 and 0 are both the smallest step.
    for i in range(len(frame)):
        sample = np.int32(frame[i])
        number[i] = np.float32(sample ^ sample >> 31)
    for i in range(len(frame)):
        sample = np.int32(frame[i])
        size = sample ^ sample >> 31
        code = (bits[i] >> _FLOAT_SHIFT) - _LOWEST_SEGMENT if size > 0xFF else size >> 4
        to[i] = np.uint8((code | (~sample >> 31 & 0x80)) ^ 0x55)


@compiled()
def _peak(frame: Samples) -> int:
    peak = np.int32(0)
    for i in range(len(frame)):
        peak = max(peak, abs(np.int32(frame[i])))
    return int(peak)


@compiled("void(u2[::1], i8[::1], i2[:,::1])")
def raise_peaks(peaks: NDArray[np.uint16], rows: Rows, pcm: Samples) -> None:
    """`peaks[rows[i]]` is at least the greatest magnitude in `pcm[i]`."""
    for i in range(len(rows)):
        peaks[rows[i]] = max(int(peaks[rows[i]]), _peak(pcm[i]))


@compiled("void(Array(i2, 1, 'C', readonly=True), i8, u1[::1])")
def encode_row(pcm: Samples, law: int, octets: Octets) -> None:
    """Samples to as many octets (ITU-T G.711)."""
    number = np.empty(len(pcm), np.float32)
    bits = number.view(np.int32)
    if law == _ALAW:
        _alaw(pcm, number, bits, octets)
    else:
        _ulaw(pcm, number, bits, octets)


@compiled("void(i8, i8, b1[::1], b1[::1], i8[::1], i8[::1], i2[:,::1], u1[:,::1], u2[::1])")
def write_audio(
    first: int,
    end: int,
    active: Flags,
    coded: Flags,
    laws: Rows,
    direct: Rows,
    frames: Samples,
    packets: Octets,
    peaks: NDArray[np.uint16],
) -> None:
    """G.711 of what each active leg of `first` to `end` hears, row `direct[leg]` of `frames`, into its packet."""
    number = np.empty(frames.shape[1], np.float32)
    bits = number.view(np.int32)
    for row in range(first, end):
        if not active[row] or coded[row]:
            continue
        frame = frames[direct[row]]
        peaks[row] = max(int(peaks[row]), _peak(frame))
        octets = packets[row, _HEADER:_PACKET]
        if laws[row] == _ALAW:
            _alaw(frame, number, bits, octets)
        else:
            _ulaw(frame, number, bits, octets)


@compiled(
    "i8(i8, i8, b1[::1], b1[::1], b1[::1], i8[::1], i8[::1], i8[::1], u1[:,::1], i8[::1],"
    " u4[::1], u2[::1], i8[::1], i8[::1], i8[::1], u4[::1], u2[::1])"
)
def take_turn(
    first: int,
    end: int,
    active: Flags,
    sending: Flags,
    held: Flags,
    sequence: Rows,
    timestamp: Rows,
    step: Rows,
    packets: Octets,
    port: Rows,
    address: NDArray[np.uint32],
    remote_port: NDArray[np.uint16],
    places: Rows,
    rows: Rows,
    ports: Rows,
    addresses: NDArray[np.uint32],
    remote_ports: NDArray[np.uint16],
) -> int:
    """Moves the media clock of each active leg from `first` to `end`; who sends, sorted by local port, and its number.

    A leg in `held` has sent something else. Sequence and timestamp count on; in the packet's head they are modulo their
    size. `places` has room for one more than there are ports; the last four are columns of the result.
    """
    places[:] = 0
    for row in range(first, end):
        if active[row] and sending[row] and not held[row]:
            places[port[row] + 1] += 1
    for at in range(1, len(places)):
        places[at] += places[at - 1]
    for row in range(first, end):
        if not active[row]:
            continue
        if sending[row] and not held[row]:
            number, time = sequence[row], timestamp[row]
            packet = packets[row]
            packet[2], packet[3] = np.uint8(number >> 8), np.uint8(number)
            packet[4], packet[5] = np.uint8(time >> 24), np.uint8(time >> 16)
            packet[6], packet[7] = np.uint8(time >> 8), np.uint8(time)
            sequence[row] = number + 1
            place = places[port[row]]
            places[port[row]] = place + 1
            rows[place], ports[place] = row, port[row]
            addresses[place], remote_ports[place] = address[row], remote_port[row]
        timestamp[row] += step[row]
    return int(places[len(places) - 1])


@compiled(
    "i8(u8, i8, i8[::1], i8[::1], i8[::1], u4[::1], u2[::1], u8[:,::1], u1[:,::1], i8[::1],"
    " i8[::1])"
)
def fill_messages(
    base: int,
    stride: int,
    sizes: Rows,
    rows: Rows,
    ports: Rows,
    addresses: NDArray[np.uint32],
    remote_ports: NDArray[np.uint16],
    iovecs: NDArray[np.uint64],
    names: Octets,
    ends: Rows,
    parts: Rows,
) -> int:
    """Datagram i lies in row `rows[i]` of the memory at `base`; the number of runs with one port.

    `iovecs` (n, 2) are (address, octets), `names` (n, 16) sockaddr_in. Run k is of port `parts[k]` and ends before `ends[k]`.
    """
    runs = 0
    for i in range(len(rows)):
        row = rows[i]
        iovec, name = iovecs[i], names[i]
        iovec[0] = np.uint64(base) + np.uint64(row) * np.uint64(stride)
        iovec[1] = np.uint64(sizes[row])
        remote, address = remote_ports[i], addresses[i]
        name[2], name[3] = np.uint8(remote >> 8), np.uint8(remote)
        name[4], name[5] = np.uint8(address >> 24), np.uint8(address >> 16)
        name[6], name[7] = np.uint8(address >> 8), np.uint8(address)
        if i + 1 == len(rows) or ports[i + 1] != ports[i]:
            ends[runs], parts[runs] = i + 1, ports[i]
            runs += 1
    return runs
