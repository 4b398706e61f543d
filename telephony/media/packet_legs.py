"""Slots whose packets travel by somebody else's transport (a browser's peer connection): Opus in RTP, 16 kHz mono.

Few dozens per core, so one object each. Received packets are decoded in order on the detect path, losses included;
what was decoded lies in the same kind of jitter buffer as phone audio.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, ItemsView
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from telephony.media.counters import Counters
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.slots import rows_of_quarter
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import DETECT_WAIT, JitterBuffers
from telephony.rtp.packet import (
    RtpPacket,
    build_packet,
    parse_packet,
    sequence_step,
    timestamp_step,
)

SAMPLES: Final = 320
CLOCK_STEP: Final = 960
"""RTP clock of Opus is 48 kHz whatever is coded (RFC 7587 4.1)."""
INBOX_PACKETS: Final = 100
_REORDER: Final = 16
_MAX_CONCEALED: Final = 5
_MAX_JUMP: Final = 3000


class Codec(Protocol):
    """One direction each way of one stream; 16 kHz mono int16, 20 ms frames."""

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """All samples of the packet. Raises: RtpError."""

    def recover(self, following: bytes) -> NDArray[np.int16]:
        """The frame lost just before `following`, by its forward error correction."""

    def conceal(self) -> NDArray[np.int16]:
        """A lost frame, by extrapolation."""

    def encode(self, pcm: NDArray[np.int16]) -> bytes: ...


@dataclass(slots=True)
class PacketLeg:
    """`waiting` holds packets that came before the one that is next, by sequence number."""

    codec: Codec
    send: Callable[[bytes], None]
    payload_type: int
    ssrc: int
    sequence: int
    timestamp: int
    inbox: deque[bytes] = field(default_factory=deque)
    waiting: dict[int, RtpPacket] = field(default_factory=dict)
    waiting_since: float = 0.0
    remote_ssrc: int = -1
    next_sequence: int = 0
    last_timestamp: int = 0
    next_frame: int = 0
    heard_at: float = 0.0
    handle: int = 0
    received: int = 0
    lost: int = 0
    transit: float = 0.0
    jitter: float = 0.0
    lost_told: bool = False
    quality_at: float = 0.0
    told_received: int = 0
    told_lost: int = 0
    told_late: int = 0


class PacketLegs:
    """`rows` slots; row 0 is source `first_source` of the floor."""

    def __init__(
        self, rows: int, first_source: int, floor: Floor, meters: Meters, counters: Counters
    ) -> None:
        self.active = np.zeros(rows, np.bool_)
        self.buffers = JitterBuffers(rows, SAMPLES)
        self._first = first_source
        self._floor = floor
        self._meters = meters
        self._counters = counters
        self._legs: dict[int, PacketLeg] = {}
        self._prepared: deque[tuple[int, PacketLeg]] = deque()
        self._outbox: list[tuple[Callable[[bytes], None], bytes]] = []

    def prepare(self, row: int, leg: PacketLeg) -> None:
        """Called in the loop's thread: the slot receives and sends from the next sub-tick on."""
        self._prepared.append((row, leg))

    def adopt(self) -> None:
        """Takes over what was prepared, before the commands that may name it."""
        while self._prepared:
            row, leg = self._prepared.popleft()
            self.buffers.clear(row)
            self._legs[row] = leg
            self.active[row] = True

    def items(self) -> ItemsView[int, PacketLeg]:
        """(row, leg) of all slots in use."""
        return self._legs.items()

    def stop(self, row: int) -> None:
        self.active[row] = False
        self._legs.pop(row, None)
        self.buffers.clear(row)

    def arrived(self, row: int, packet: bytes) -> bool:
        """Called in the loop's thread; False: dropped, the slot is gone or its inbox full."""
        leg = self._legs.get(row)
        if leg is None or len(leg.inbox) >= INBOX_PACKETS:
            self._counters.inbox_dropped += 1
            return False
        leg.inbox.append(packet)
        return True

    def take_outbox(self) -> list[tuple[Callable[[bytes], None], bytes]]:
        """What this sub-tick sends: (the slot's callback, packet)."""
        taken, self._outbox = self._outbox, []
        return taken

    # ------------------------------------------------------------------------------------------------- receiving

    def receive(self, now: float) -> None:
        for row, leg in self._legs.items():
            while leg.inbox:
                data = leg.inbox.popleft()
                self._counters.received += 1
                try:
                    self._take(leg, parse_packet(data), now)
                except RtpError as error:
                    self._counters.malformed[error.kind] += 1
            if leg.waiting:
                self._decode_waiting(row, leg, now)

    def _take(self, leg: PacketLeg, packet: RtpPacket, now: float) -> None:
        if packet.payload_type != leg.payload_type:
            raise RtpError("payload_type")
        if not packet.payload:
            return
        ahead = sequence_step(packet.sequence, leg.next_sequence)
        if packet.ssrc != leg.remote_ssrc or abs(ahead) > _MAX_JUMP:
            leg.remote_ssrc = packet.ssrc
            leg.waiting.clear()
            leg.next_sequence = packet.sequence
            leg.last_timestamp = packet.timestamp - CLOCK_STEP
        elif ahead < 0:
            return
        _note_arrival(leg, packet, now)
        if not leg.waiting:
            leg.waiting_since = now
        leg.waiting[packet.sequence] = packet

    def _decode_waiting(self, row: int, leg: PacketLeg, now: float) -> None:
        """In order; a missing packet is waited for 20 ms, then made up for."""
        while leg.waiting:
            packet = leg.waiting.pop(leg.next_sequence, None)
            if packet is None:
                late = now - leg.waiting_since >= DETECT_WAIT - 1e-6
                if not late and len(leg.waiting) < _REORDER:
                    return
                packet = self._skip_to_next(row, leg)
            self._decode(row, leg, packet)
            leg.waiting_since = now

    def _skip_to_next(self, row: int, leg: PacketLeg) -> RtpPacket:
        """Conceals what is missing before the earliest packet that is there."""
        sequence = min(leg.waiting, key=lambda s: sequence_step(s, leg.next_sequence))
        packet = leg.waiting.pop(sequence)
        lost = sequence_step(sequence, leg.next_sequence)
        leg.lost += lost
        for number in range(min(lost, _MAX_CONCEALED)):
            last = number == min(lost, _MAX_CONCEALED) - 1
            pcm = leg.codec.recover(packet.payload) if last else leg.codec.conceal()
            leg.last_timestamp = leg.last_timestamp + CLOCK_STEP & 0xFFFFFFFF
            self._place(row, leg, pcm)
        return packet

    def _decode(self, row: int, leg: PacketLeg, packet: RtpPacket) -> None:
        leg.next_sequence = packet.sequence + 1 & 0xFFFF
        silent = timestamp_step(packet.timestamp, leg.last_timestamp) // CLOCK_STEP - 1
        if 0 < silent <= _MAX_JUMP:
            leg.next_frame += silent
            if self.buffers.begun[row]:
                self.buffers.expect(row, leg.next_frame)
        leg.last_timestamp = packet.timestamp
        try:
            pcm = leg.codec.decode(packet.payload)
        except RtpError as error:
            self._counters.malformed[error.kind] += 1
            pcm = leg.codec.conceal()
        self._place(row, leg, pcm)
        extra = len(pcm) // SAMPLES - 1
        leg.last_timestamp = leg.last_timestamp + extra * CLOCK_STEP & 0xFFFFFFFF

    def _place(self, row: int, leg: PacketLeg, pcm: NDArray[np.int16]) -> None:
        frames = pcm[: len(pcm) // SAMPLES * SAMPLES].reshape(-1, SAMPLES)
        for frame in frames:
            if not self.buffers.begun[row]:
                self.buffers.begin(row, leg.next_frame)
            self.buffers.place(np.array([row]), np.array([leg.next_frame]), frame[None])
            leg.next_frame += 1

    # --------------------------------------------------------------------------------------------------- sending

    def play_out(self, quarter: int) -> None:
        """One packet of each slot whose turn it is, silence included."""
        rows = rows_of_quarter(self.active, quarter)
        if not len(rows):
            return
        frames = self._floor.heard(rows + self._first, wide=True)
        self._meters.sent(rows + self._first, frames)
        for at, row in enumerate(rows.tolist()):
            leg = self._legs[row]
            payload = leg.codec.encode(frames[at])
            packet = RtpPacket(leg.payload_type, leg.sequence, leg.timestamp, leg.ssrc, payload)
            self._outbox.append((leg.send, build_packet(packet)))
            leg.sequence = leg.sequence + 1 & 0xFFFF
            leg.timestamp = leg.timestamp + CLOCK_STEP & 0xFFFFFFFF
            self._counters.sent += 1


def _note_arrival(leg: PacketLeg, packet: RtpPacket, now: float) -> None:
    """Counts, and interarrival jitter (RFC 3550 A.8) in clock units; arrival is as fine as the sub-tick."""
    leg.heard_at = now
    leg.received += 1
    transit = now * CLOCK_STEP * 50 - packet.timestamp
    change = abs(transit - leg.transit)
    leg.transit = transit
    if change < CLOCK_STEP * 50:
        leg.jitter += (change - leg.jitter) / 16
