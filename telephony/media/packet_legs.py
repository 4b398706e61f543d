"""Slots whose packets travel by somebody else's transport (a browser's peer connection): Opus in RTP, 16 kHz mono.

Few dozens per core, so one object each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from telephony.media.codec import Codec
from telephony.media.coder import Coding
from telephony.media.counters import Counters
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.ordered import OrderedDecoder, place_together
from telephony.media.parameters import MediaCodec
from telephony.media.slots import bounds_of_quarter, rows_of_quarter
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.packet import RtpPacket, build_packet, parse_packet, sequence_step

SAMPLES: Final = 320
CLOCK_STEP: Final = 960
"""RTP clock of Opus is 48 kHz whatever is coded (RFC 7587 4.1)."""
INBOX_PACKETS: Final = 100
_MAX_JUMP: Final = 3000


@dataclass(slots=True)
class PacketLeg:
    """One slot: its stream both ways, and what was told of it."""

    codec: Codec
    send: Callable[[bytes], None]
    payload_type: int
    ssrc: int
    sequence: int
    timestamp: int
    decoder: OrderedDecoder = field(init=False)
    inbox: deque[bytes] = field(default_factory=deque)
    remote_ssrc: int = -1
    heard_at: float = 0.0
    handle: int = 0
    received: int = 0
    transit: float = 0.0
    jitter: float = 0.0
    lost_told: bool = False
    expected_since: float = float("inf")
    """From when on audio should come: the transport is up, and the peer sends."""
    round_trip: float | None = None
    remote_loss: float | None = None

    @property
    def lost(self) -> int:
        return self.decoder.lost


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
            leg.decoder = self._decoder(row, leg.codec)
            self._legs[row] = leg
            self.active[row] = True

    def _decoder(self, row: int, codec: Codec) -> OrderedDecoder:
        coding = Coding(MediaCodec.OPUS, codec, wide=True)
        return OrderedDecoder(self.buffers, row, lambda _: coding, self._counters.malformed)

    @property
    def in_use(self) -> bool:
        return bool(self._legs)

    def at(self, row: int) -> PacketLeg | None:
        """None: the slot is not in use."""
        return self._legs.get(row)

    def stop(self, row: int) -> None:
        self.active[row] = False
        self._legs.pop(row, None)
        self.buffers.clear(row)

    def tell(
        self,
        row: int,
        *,
        sends: bool,
        round_trip: float | None,
        remote_loss: float | None,
        now: float,
    ) -> None:
        """What the owner of the transport knows; see `ReportTransport`."""
        leg = self._legs[row]
        leg.round_trip, leg.remote_loss = round_trip, remote_loss
        if not sends:
            leg.expected_since = float("inf")
        elif leg.expected_since == float("inf"):
            leg.expected_since = now

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
        busy = [leg for leg in self._legs.values() if leg.inbox or leg.decoder.waiting]
        for leg in busy:
            while leg.inbox:
                data = leg.inbox.popleft()
                self._counters.received += 1
                try:
                    self._take(leg, parse_packet(data), now)
                except RtpError as error:
                    self._counters.malformed[error.kind] += 1
            if leg.decoder.waiting:
                leg.decoder.decode(now)
        place_together(self.buffers, (leg.decoder for leg in busy))

    def _take(self, leg: PacketLeg, packet: RtpPacket, now: float) -> None:
        if packet.payload_type != leg.payload_type:
            raise RtpError("payload_type")
        if not packet.payload:
            return
        ahead = sequence_step(packet.sequence, leg.decoder.next_sequence)
        if packet.ssrc != leg.remote_ssrc or abs(ahead) > _MAX_JUMP:
            leg.remote_ssrc = packet.ssrc
            leg.decoder.begin(packet, leg.decoder.next_frame)
        if leg.decoder.take(packet, now):
            _note_arrival(leg, packet, now)

    # --------------------------------------------------------------------------------------------------- sending

    def play_out(self, quarter: int) -> None:
        """One packet of each slot whose turn it is, silence included."""
        rows = rows_of_quarter(self.active, quarter)
        if not len(rows):
            return
        first, end = bounds_of_quarter(len(self.active), quarter)
        self._floor.mix(first + self._first, end + self._first)
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
