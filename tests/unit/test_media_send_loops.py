from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from telephony.media.g711 import ALAW, ULAW, encode
from telephony.media.mixer import sum_frames
from telephony.media.send_loops import fill_messages, raise_peaks, take_turn, write_audio

SAMPLES = np.arange(65536, dtype=np.uint16).view(np.int16)
EDGES = [-32768, -32767, -32636, -32635, -1, 0, 1, 32635, 32636, 32767]


def by_segments(sample: int, law: int) -> int:
    """The octet by the segment arithmetic of ITU-T G.711."""
    if law == ULAW:
        magnitude = min(abs(sample), 32635) + 132
        segment = magnitude.bit_length() - 8
        step = magnitude >> segment + 3 & 0x0F
        return ~((0x80 if sample < 0 else 0) | segment << 4 | step) & 0xFF
    magnitude = ~sample if sample < 0 else sample
    segment = max(magnitude.bit_length() - 8, 0)
    step = magnitude >> (segment + 3 if segment else 4) & 0x0F
    return ((0 if sample < 0 else 0x80) | segment << 4 | step) ^ 0x55


@pytest.mark.parametrize("law", [ULAW, ALAW])
def test_each_sample_becomes_the_octet_of_its_segment(law: int):
    expected = [by_segments(sample, law) for sample in SAMPLES.tolist()]
    assert encode(SAMPLES, law).tolist() == expected


def test_audio_of_active_legs_is_written_by_their_law_with_its_peak():
    random = np.random.default_rng(1)
    frames = random.integers(-32768, 32768, (9, 160)).astype(np.int16)
    frames[0, : len(EDGES)] = EDGES
    active, coded = random.random(40) < 0.8, random.random(40) < 0.2
    laws, direct = random.integers(0, 2, 40), random.integers(0, 9, 40)
    packets, peaks = np.zeros((40, 256), np.uint8), np.zeros(40, np.uint16)
    peaks[7] = 40000
    write_audio(5, 35, active, coded, laws, direct, frames, packets, peaks)
    for row in range(40):
        written = active[row] and not coded[row] and 5 <= row < 35
        frame = frames[direct[row]]
        expected = encode(frame, int(laws[row])) if written else np.zeros(160, np.uint8)
        assert (packets[row, 12:172] == expected).all()
        loudest = int(np.abs(frame.astype(int)).max()) if written else 0
        assert peaks[row] == max(loudest, 40000 if row == 7 else 0)
    assert not packets[:, :12].any()
    assert not packets[:, 172:].any()


def test_peak_of_a_row_that_comes_twice_is_the_higher_one():
    pcm = np.zeros((3, 4), np.int16)
    pcm[0, 1], pcm[1, 2], pcm[2, 3] = -32768, 7, 9
    peaks = np.zeros(3, np.uint16)
    raise_peaks(peaks, np.array([2, 2, 0]), pcm)
    assert peaks.tolist() == [9, 0, 32768]


class Legs:
    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.active = random.random(50) < 0.8
        self.sending = random.random(50) < 0.8
        self.held = random.random(50) < 0.2
        self.sequence = random.integers(65530, 65540, 50)
        self.timestamp = random.integers((1 << 32) - 320, (1 << 32) + 320, 50)
        self.step = random.choice([160, 960], 50)
        self.packets = random.integers(0, 256, (50, 256)).astype(np.uint8)
        self.port = random.integers(0, 4, 50)
        self.address = random.integers(0, 1 << 32, 50).astype(np.uint32)
        self.remote_port = random.integers(0, 1 << 16, 50).astype(np.uint16)

    def take_turn(self, first: int, end: int) -> list[tuple[int, int, int, int]]:
        """Row, port, address and remote port of who sends."""
        rows, ports = np.zeros(50, np.int64), np.zeros(50, np.int64)
        addresses, remotes = np.zeros(50, np.uint32), np.zeros(50, np.uint16)
        count = take_turn(
            first, end, self.active, self.sending, self.held, self.sequence, self.timestamp,
            self.step, self.packets, self.port, self.address, self.remote_port,
            np.zeros(5, np.int64), rows, ports, addresses, remotes,
        )  # fmt: skip
        columns: tuple[NDArray[np.generic], ...] = (rows, ports, addresses, remotes)
        return list(zip(*(column[:count].tolist() for column in columns), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_who_sends_is_sorted_by_port_and_counts_on_modulo_the_size_of_its_head(seed: int):
    before, legs = Legs(seed), Legs(seed)
    taken = legs.take_turn(3, 47)
    turn = before.active & (np.arange(50) >= 3) & (np.arange(50) < 47)
    sent = turn & before.sending & ~before.held
    rows = sorted(np.flatnonzero(sent).tolist(), key=lambda row: before.port[row])
    columns = (before.port, before.address, before.remote_port)
    assert taken == [(row, *(int(column[row]) for column in columns)) for row in rows]
    for row in range(50):
        packet = before.packets[row].copy()
        if sent[row]:
            packet[2:4] = list(int(before.sequence[row] % 65536).to_bytes(2, "big"))
            packet[4:8] = list(int(before.timestamp[row] % (1 << 32)).to_bytes(4, "big"))
        assert (legs.packets[row] == packet).all()
    assert (legs.sequence == before.sequence + sent).all()
    assert (legs.timestamp == before.timestamp + turn * before.step).all()


def test_messages_say_where_each_datagram_lies_and_where_it_goes():
    rows, ports = np.array([4, 1, 3, 0]), np.array([0, 2, 2, 5])
    addresses = np.array([0x7F000001, 0xFFFEFDFC, 0, 1], np.uint32)
    remote_ports = np.array([1, 65535, 256, 255], np.uint16)
    vectors, names = np.zeros((6, 2), np.uint64), np.zeros((6, 16), np.uint8)
    ends, parts = np.zeros(6, np.int64), np.zeros(6, np.int64)
    base = (1 << 63) + 5
    sizes = np.array([172, 0, 9, 180, 12])
    runs = fill_messages(
        base, 256, sizes, rows, ports, addresses, remote_ports, vectors, names, ends, parts
    )
    assert list(zip(parts[:runs], ends[:runs], strict=True)) == [(0, 1), (2, 3), (5, 4)]
    expected = [(base + row * 256, int(sizes[row])) for row in rows.tolist()]
    assert [(int(base), int(size)) for base, size in vectors[:4]] == expected
    for at in range(4):
        where = int(remote_ports[at]).to_bytes(2, "big") + int(addresses[at]).to_bytes(4, "big")
        assert names[at].tobytes() == bytes(2) + where + bytes(8)
    assert not names[4:].any()


def test_no_datagrams_are_no_runs():
    none = np.zeros(0, np.int64)
    vectors, names = np.zeros((1, 2), np.uint64), np.zeros((1, 16), np.uint8)
    addresses, remote_ports = np.zeros(0, np.uint32), np.zeros(0, np.uint16)
    assert not fill_messages(
        0, 256, none, none, none, addresses, remote_ports, vectors, names, none, none
    )


def test_sum_is_rounded_for_each_source_and_clipped_once():
    random = np.random.default_rng(2)
    table = random.integers(-32768, 32768, (6, 160)).astype(np.int16)
    sources, gains = np.array([1, 4, 1]), np.array([1.0, 0.3, -1.2])
    rounded = [np.rint(table[row] * gain) for row, gain in zip(sources, gains, strict=True)]
    expected = table.copy()
    expected[5] = np.clip(sum(rounded), -32768, 32767)
    sum_frames(table, sources, gains, 5)
    assert (table == expected).all()
