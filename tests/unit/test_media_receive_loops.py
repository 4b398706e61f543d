"""The compiled loops of receiving beside plain Python, on packets drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from telephony.media import g711, receive_loops
from telephony.media.receive_loops import TRUNCATED
from telephony.rtp.packet import sequence_step, timestamp_step

ROWS = 40
PACKETS = 300
SSRC = 0xFEDC_BA98
NOT_ACCEPTED = 3


@dataclass
class Streams:
    """The columns of `take_plain`, and its packets: some plain, each other kind a few times."""

    random: np.random.Generator
    rows: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        draw = self.random
        self.rows = draw.integers(-1, ROWS, PACKETS)
        self.laws = np.full((ROWS, 128), NOT_ACCEPTED, np.uint8)
        self.laws[:, 0], self.laws[:, 8], self.laws[:, 9] = 0, 1, 2
        self.ssrc = np.full(ROWS, SSRC, np.uint32)
        self.relearning = draw.random(ROWS) < 0.1
        # Some are about to wrap, in their first round and in later ones.
        self.last_sequence = draw.choice([0, 1, 65534, 65535, 131071, 70000], ROWS)
        self.last_timestamp = draw.choice([0, 160, (1 << 32) - 160, (1 << 32) + 480], ROWS)
        self.last_frame = draw.integers(0, 1000, ROWS)
        self.received = np.zeros(ROWS, np.int64)
        self.heard_at, self.jitter = np.zeros(ROWS), draw.random(ROWS)
        self.transit = 8000.0 - self.last_timestamp - 160
        self.size = draw.choice([172, 172, 172, 172, 171, 0, -1, -2], PACKETS).astype(np.int32)
        self.data = draw.integers(0, 256, (PACKETS, 1536)).astype(np.uint8)
        self.data[:, 0] = draw.choice([0x80, 0x80, 0x80, 0x80, 0x90], PACKETS)
        self.data[:, 1] = draw.choice([0, 0x80, 8, 9, 13], PACKETS)
        ahead = draw.integers(-13, 14, PACKETS)
        ahead[draw.random(PACKETS) < 0.5] = 1
        for at, row in enumerate(self.rows.tolist()):
            skew = int(draw.choice([0, 0, 0, 0, 160]))
            sequence = int(self.last_sequence[row] + ahead[at]) & 0xFFFF
            timestamp = int(self.last_timestamp[row] + 160 * ahead[at] + skew) & 0xFFFFFFFF
            ssrc = int(draw.choice([SSRC, SSRC, SSRC, 5]))
            words = sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big")
            self.data[at, 2:12] = list(words + ssrc.to_bytes(4, "big"))

    def expected(self, now: float) -> tuple[list[int], list[int], list[int]]:
        """By plain Python: rows, frames, and which datagrams are left. Moves the columns."""
        taken, frames, left = [], [], []
        for at, row in enumerate(self.rows.tolist()):
            packet = self.data[at, :12].tobytes()
            ahead = sequence_step(
                int.from_bytes(packet[2:4], "big"), int(self.last_sequence[row]) & 0xFFFF
            )
            timestamp = int.from_bytes(packet[4:8], "big")
            step = timestamp_step(timestamp, int(self.last_timestamp[row]))
            plain = row >= 0 and self.size[at] == 172 and packet[0] == 0x80
            plain = plain and not self.relearning[row] and abs(ahead) <= 12 and step == 160 * ahead
            plain = plain and self.laws[row, packet[1] & 0x7F] < 2
            if not plain or int.from_bytes(packet[8:12], "big") != SSRC:
                left.append(at)
                continue
            taken.append(row)
            frames.append(int(self.last_frame[row]) + ahead)
            self.received[row] += 1
            self.heard_at[row] = now
            transit = now * 8000 - timestamp
            change = abs(transit - self.transit[row])
            self.transit[row] = transit
            if change < 8000:
                self.jitter[row] += (change - self.jitter[row]) / 16
            if ahead > 0:
                self.last_sequence[row] += ahead
                self.last_frame[row] += ahead
                self.last_timestamp[row] += 160 * ahead
        return taken, frames, left

    def columns(self) -> list[np.ndarray]:
        return [
            self.last_sequence, self.last_timestamp, self.last_frame,
            self.received, self.heard_at, self.transit, self.jitter,
        ]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_plain_packets_are_taken_as_plain_python_takes_them(seed: int):
    ours, theirs = (Streams(np.random.default_rng(seed)) for _ in range(2))
    taken, frames, left = (np.zeros(PACKETS, np.int64) for _ in range(3))
    pcm = np.zeros((PACKETS, 160), np.int16)
    take_plain: Any = receive_loops.take_plain
    n = take_plain(
        PACKETS, 1.0, ours.rows, ours.data, ours.size, ours.laws, ours.ssrc, ours.relearning,
        *ours.columns(), g711.DECODE, taken, frames, pcm, left,
    )  # fmt: skip
    rows, numbers, rest = theirs.expected(1.0)
    assert 0 < n < PACKETS
    assert (taken[:n].tolist(), frames[:n].tolist()) == (rows, numbers)
    assert left[: PACKETS - n].tolist() == rest
    for mine, plain in zip(ours.columns(), theirs.columns(), strict=True):
        np.testing.assert_allclose(mine, plain)
    plain_ones = np.setdiff1d(np.arange(PACKETS), rest)
    laws = (ours.data[plain_ones, 1] & 0x7F == 8).astype(np.int64)
    np.testing.assert_array_equal(pcm[:n], g711.decode(ours.data[plain_ones, 12:172], laws))


def test_two_packets_of_one_stream_in_one_batch_follow_each_other():
    streams = Streams(np.random.default_rng(0))
    streams.rows[:] = -1
    streams.rows[:2], streams.size[:2] = 0, 172
    streams.relearning[0] = False
    streams.last_sequence[0], streams.last_timestamp[0], streams.last_frame[0] = 65535, 0, 7
    streams.data[:2, :2] = [0x80, 0]
    for at in range(2):
        words = at.to_bytes(2, "big") + (160 * (at + 1)).to_bytes(4, "big")
        streams.data[at, 2:12] = list(words + SSRC.to_bytes(4, "big"))
    rows, frames, left = streams.expected(1.0)
    assert (rows, frames) == ([0, 0], [8, 9])
    assert left == list(range(2, PACKETS))


def test_a_source_is_found_by_port_address_and_source_port():
    draw = np.random.default_rng(5)
    port, source_port = draw.integers(0, 16, 600), draw.integers(1, 1 << 16, 600).astype(np.uint16)
    address = draw.integers(1, 1 << 32, 600).astype(np.uint64)
    address[:500] = 0x7F000001
    whole = port.astype(np.uint64) << np.uint64(48) | address << np.uint64(16) | source_port
    keys = np.zeros(500, np.uint64)
    known = draw.permutation(500)[:300]
    keys[known] = whole[known]
    table = receive_loops.table_for(len(keys))
    receive_loops.fill(keys, table)
    rows = np.zeros(600, np.int64)
    receive_loops.look_up(600, keys, table, port, address, source_port, rows)
    assert sorted(rows[rows >= 0].tolist()) == sorted(known.tolist())
    assert (keys[rows[known]] == whole[known]).all()
    assert (rows[500:] == -1).all()


def test_every_row_of_a_full_table_is_found():
    keys = np.arange(1, 65, dtype=np.uint64)
    table = receive_loops.table_for(len(keys))
    receive_loops.fill(keys, table)
    zeros, rows = np.zeros(64, np.int64), np.zeros(64, np.int64)
    source_port = keys.astype(np.uint16)
    receive_loops.look_up(64, keys, table, zeros, np.zeros(64, np.uint64), source_port, rows)
    assert rows.tolist() == list(range(64))


def test_the_slow_path_gets_what_somebody_waits_for_and_the_rest_is_counted():
    left = np.arange(6)
    rows = np.array([3, -1, -1, -1, 4, 5])
    size = np.array([10, 10, 10, TRUNCATED, TRUNCATED, -2], np.int32)
    port, expecting = np.array([0, 0, 1, 1, 0, 0]), np.array([False, True])
    dropped = np.full(2, 99)
    kept = receive_loops.sift(6, left, rows, size, port, expecting, dropped)
    assert left[:kept].tolist() == [0, 2]
    assert dropped.tolist() == [2, 1]


def test_columns_are_read_from_the_kernels_headers():
    messages, names = np.zeros((5, 16), np.uint32), np.zeros((5, 16), np.uint8)
    messages[:, 14] = [172, 1536, 0, 7, 9]
    messages[:, 12] = [0, 0x20, 0, 0x40, 0]
    names[:, 2:8] = [255, 254, 10, 20, 30, 200]
    ends, ports = np.array([2, 4, 0]), np.array([7, 3, 0])
    size, port = np.zeros(5, np.int32), np.zeros(5, np.int64)
    address, source_port = np.zeros(5, np.uint64), np.zeros(5, np.uint16)
    receive_loops.columns(2, messages, names, ends, ports, size, port, address, source_port)
    assert size[:4].tolist() == [172, TRUNCATED, 0, 7]
    assert port[:4].tolist() == [7, 7, 3, 3]
    assert (address[:4] == 0x0A141EC8).all()
    assert (source_port[:4] == 65534).all()
    assert messages[:4, 2].tolist() == [16] * 4


@pytest.mark.parametrize(
    ("first", "address"), [(0xEF, 0xEF01_0203), (0xF0, 0), (0xFF, 0), (127, 0x7F01_0203)]
)
def test_a_source_in_the_range_that_stands_for_ipv6_is_nobody(first: int, address: int):
    messages, names = np.zeros((1, 16), np.uint32), np.zeros((1, 16), np.uint8)
    names[:, 2:8] = [255, 254, first, 1, 2, 3]
    size, port, source_port = np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(1, np.uint16)
    got, one = np.full(1, 7, np.uint64), np.ones(1, np.int64)
    receive_loops.columns(1, messages, names, one, one, size, port, got, source_port)
    assert got.tolist() == [address]


def test_a_report_is_of_the_latched_leg_with_its_ssrc_port_and_address():
    draw = np.random.default_rng(11)
    active, keys = draw.random(200) < 0.8, draw.integers(0, 3, 200).astype(np.uint64)
    ssrcs = draw.choice([5, SSRC], 200).astype(np.uint32)
    port = draw.integers(0, 3, 200)
    address = draw.choice([7, 0xFFFF_FFFF], 200).astype(np.uint32)
    columns = (active, keys, ssrcs, port, address)
    for ssrc in (5, SSRC, 6):
        for at_port in range(4):
            for source in (7, 0xFFFF_FFFF):
                fits = active & (keys > 0) & (ssrcs == ssrc) & (port == at_port)
                rows = (fits & (address == source)).nonzero()[0].tolist()
                found = receive_loops.reporter(ssrc, at_port, source, *columns)
                assert found == (rows[0] if rows else -1)
