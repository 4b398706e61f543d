"""Packets of one stream decoded in their order on the detect path, losses included, and cut to 20 ms frames.

For codecs with a memory: a lost packet is waited for 20 ms, then made up for.
What was decoded lies in the same kind of jitter buffer as G.711; the frames of all streams are placed there together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.coder import Coding
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import DETECT_WAIT, JitterBuffers
from telephony.rtp.packet import RtpPacket, sequence_step, timestamp_step
from telephony.rtp.recut import Recutter

Pcm = NDArray[np.int16]

_REORDER: Final = 16
_MAX_CONCEALED: Final = 5
_MAX_SILENT: Final = 3000
"""Frames (a minute) a sender may have been silent on purpose."""


class OrderedDecoder:
    """One stream into row `row` of `buffers`. `coding_of` tells by what a payload type is decoded."""

    def __init__(
        self,
        buffers: JitterBuffers,
        row: int,
        coding_of: Callable[[int], Coding],
        malformed: Counter[str],
    ) -> None:
        self._buffers = buffers
        self._row = row
        self._coding_of = coding_of
        self._malformed = malformed
        self._coding: Coding | None = None
        self._recutter = Recutter(1)
        self._offset = 0
        self._next_timestamp = 0
        self._packet_frames = 1
        self._waiting: dict[int, RtpPacket] = {}
        self._waiting_since = 0.0
        self._placed: list[tuple[int, Pcm]] = []
        self.next_sequence = 0
        self.lost = 0
        self.holes = 0

    @property
    def next_frame(self) -> int:
        """The first frame of which nothing has come."""
        return -(-self._offset // self._coding.samples) if self._coding is not None else 0

    @property
    def waiting(self) -> bool:
        """Packets are there whose turn has not come."""
        return bool(self._waiting)

    def begin(self, packet: RtpPacket, frame: int) -> None:
        """The stream is this packet's from now on, and its first sample begins 20 ms frame `frame`."""
        self._waiting.clear()
        self.next_sequence = packet.sequence
        self._take_coding(packet, frame)

    def _take_coding(self, packet: RtpPacket, frame: int) -> Coding:
        coding = self._coding_of(packet.payload_type)
        self._coding = coding
        self._recutter = Recutter(coding.samples)
        self._offset = frame * coding.samples
        self._next_timestamp = packet.timestamp
        return coding

    def skip(self, sequence: int) -> bool:
        """A packet of the stream that is not for here. False: it did not come in its turn."""
        if sequence != self.next_sequence or self._waiting:
            return False
        self.next_sequence = sequence + 1 & 0xFFFF
        return True

    def take(self, packet: RtpPacket, now: float) -> bool:
        """False: its turn is over."""
        if sequence_step(packet.sequence, self.next_sequence) < 0:
            return False
        if not self._waiting:
            self._waiting_since = now
        self._waiting[packet.sequence] = packet
        return True

    def take_frames(self) -> tuple[int, list[tuple[int, Pcm]]]:
        """The stream's row, and what was decoded since: for `place_together`."""
        placed, self._placed = self._placed, []
        return self._row, placed

    def decode(self, now: float) -> None:
        """All whose turn has come; a missing packet is waited for 20 ms, then made up for."""
        while self._waiting:
            lost = 0
            packet = self._waiting.pop(self.next_sequence, None)
            if packet is None:
                late = now - self._waiting_since >= DETECT_WAIT - 1e-6
                if not late and len(self._waiting) < _REORDER:
                    return
                packet = self._waiting.pop(self._earliest())
                lost = sequence_step(packet.sequence, self.next_sequence)
            self.next_sequence = packet.sequence + 1 & 0xFFFF
            self._waiting_since = now
            try:
                if lost:
                    self._make_up(lost, packet)
                self._decode(packet)
            except RtpError as error:
                self._malformed[error.kind] += 1

    def _earliest(self) -> int:
        return min(self._waiting, key=lambda s: sequence_step(s, self.next_sequence))

    def _make_up(self, lost: int, packet: RtpPacket) -> None:
        """Conceals the `lost` packets before this one; not across a change of codec."""
        self.lost += lost
        self.holes += 1
        coding = self._coding
        if coding is None or self._coding_of(packet.payload_type) is not coding:
            return
        frames = timestamp_step(packet.timestamp, self._next_timestamp) // coding.clock_step
        count = max(0, min(frames, lost * self._packet_frames, _MAX_CONCEALED))
        for number in range(count):
            last = number == count - 1
            pcm = coding.codec.recover(packet.payload) if last else coding.codec.conceal()
            self._next_timestamp = self._next_timestamp + coding.clock_step & 0xFFFFFFFF
            self._place(coding, pcm)

    def _decode(self, packet: RtpPacket) -> None:
        coding = self._coding
        if coding is None or self._coding_of(packet.payload_type) is not coding:
            coding = self._take_coding(packet, self.next_frame)
        silent = timestamp_step(packet.timestamp, self._next_timestamp)
        if 0 < silent <= _MAX_SILENT * coding.clock_step:
            self._offset += silent * coding.samples // coding.clock_step
            if self._buffers.begun[self._row]:
                place_together(self._buffers, (self,))
                self._buffers.expect(self._row, self._offset // coding.samples)
        try:
            pcm = coding.codec.decode(packet.payload)
        except RtpError as error:
            self._malformed[error.kind] += 1
            pcm = coding.codec.conceal()
        self._packet_frames = -(-len(pcm) // coding.samples)
        length = len(pcm) * coding.clock_step // coding.samples
        self._next_timestamp = packet.timestamp + length & 0xFFFFFFFF
        self._place(coding, pcm)

    def _place(self, coding: Coding, pcm: Pcm) -> None:
        for frame, samples in self._recutter.add(self._offset, pcm):
            if not self._buffers.begun[self._row]:
                self._buffers.begin(self._row, frame)
            self._placed.append((frame, coding.fit(samples)))
        self._offset += len(pcm)


def place_together(buffers: JitterBuffers, decoders: Iterable[OrderedDecoder]) -> None:
    """What these have decoded, into their common buffers: one call for all costs what one for each would."""
    rows: list[int] = []
    frames: list[int] = []
    pcm: list[Pcm] = []
    for decoder in decoders:
        row, placed = decoder.take_frames()
        for frame, samples in placed:
            rows.append(row)
            frames.append(frame)
            pcm.append(samples)
    if rows:
        buffers.place(np.array(rows), np.array(frames), np.array(pcm))
