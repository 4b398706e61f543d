"""The slow path of receiving: one object per leg for what is rare. Latching, odd packets, digits, jumps.

Runs in the plane's thread, row by row, on at most 200 datagrams per port and sub-tick.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from telephony.media import g711
from telephony.media.counters import Counters
from telephony.media.handles import SlotHandle
from telephony.media.notices import Digit, Latched, Notice
from telephony.media.parameters import RtpParameters
from telephony.media.registry import PortLedger
from telephony.media.slots import FRAME_SAMPLES, NOT_ACCEPTED, RtpSlots
from telephony.rtp.dtmf import DigitReceiver
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.latch import Latch, LatchRule, Source
from telephony.rtp.packet import RtpPacket, parse_packet, sequence_step, timestamp_step
from telephony.rtp.recut import Recutter

COMFORT_NOISE: Final = 13
RELATCH_SILENCE: Final = 2.0
_RESYNC_AFTER: Final = 3
_MAX_JUMP: Final = 3000
"""Packets (a minute) a stream may skip and still be the same stream."""
_MAX_PAUSE: Final = 8000 * 3600
_MAX_PACKET_SAMPLES: Final = 1440


@dataclass(slots=True)
class Leg:
    """What the arrays do not hold. `latch` is None while the source is known and not to be learnt again."""

    row: int
    handle: SlotHandle
    parameters: RtpParameters
    signalled: Source
    started_at: float
    latch: Latch | None
    ever_latched: bool = False
    may_move: bool = True
    """A new SDP allows another source at once; a mere silence only the same stream."""
    lost_told: bool = False
    digits: DigitReceiver = field(default_factory=DigitReceiver)
    recutter: Recutter = field(default_factory=lambda: Recutter(FRAME_SAMPLES))
    probation: tuple[int, int, int, int] = (0, 0, 0, 0)
    """(ssrc, next sequence, next timestamp's step base, packets in order) of a stream that does not fit."""


def address_number(host: str) -> int:
    """IPv4 text to an integer; 0 for anything else, which is then never sent to."""
    try:
        return int.from_bytes(socket.inet_aton(host), "big")
    except OSError:
        return 0


def latch_rule(parameters: RtpParameters, signalled: Source) -> LatchRule:
    """The guard of one leg, from its SDP and its trunk."""
    networks = tuple(
        (int(net.network_address), int(net.netmask)) for net in parameters.media_networks
    )
    accepted = {parameters.payload_type, *(number for number, _ in parameters.accepted)}
    ptime = max(parameters.ptime_ms, 20) / 1000
    return LatchRule(signalled, networks, frozenset(accepted), ptime)


class Legs:
    """All legs' slow paths. `table_changed` is set when a source was learnt or left."""

    def __init__(
        self, slots: RtpSlots, buffers: JitterBuffers, counters: Counters, ledger: PortLedger
    ) -> None:
        ports = ledger.count
        self._ledger = ledger
        self._slots = slots
        self._buffers = buffers
        self._counters = counters
        self.by_row: dict[int, Leg] = {}
        self.unlatched: list[set[int]] = [set() for _ in range(ports)]
        self.expecting = np.zeros(ports, np.bool_)
        self.relearning = np.zeros(slots.rows, np.bool_)
        self.table_changed = True
        self.open_digits: set[int] = set()
        self._notices: list[Notice] = []

    def start(self, handle: SlotHandle, row: int, parameters: RtpParameters, now: float) -> None:
        """The slot's arrays are started; nothing is heard before its latch."""
        signalled = (address_number(parameters.remote[0]), parameters.remote[1])
        latch = Latch(latch_rule(parameters, signalled))
        self.by_row[row] = Leg(row, handle, parameters, signalled, now, latch)
        self._buffers.clear(row)
        self._slots.configure(row, parameters, signalled[0])
        self._expect(row, True)

    def change(self, row: int, parameters: RtpParameters, now: float) -> None:
        """A new SDP. The source known so far stays until another one is latched."""
        leg = self.by_row[row]
        signalled = (address_number(parameters.remote[0]), parameters.remote[1])
        source = int(self._slots.address[row]), int(self._slots.remote_port[row])
        moved = signalled != leg.signalled
        if leg.parameters.receiving != parameters.receiving:
            self._slots.heard_at[row] = now
            leg.lost_told = False
        leg.parameters, leg.signalled, leg.may_move = parameters, signalled, True
        self._slots.configure(row, parameters, signalled[0])
        if leg.ever_latched and not moved:
            self._slots.address[row], self._slots.remote_port[row] = source
        leg.latch = Latch(latch_rule(parameters, signalled))
        self._expect(row, True)

    def stop(self, row: int) -> None:
        self._expect(row, False)
        self.open_digits.discard(row)
        del self.by_row[row]
        self._buffers.clear(row)
        self.table_changed = True

    def _expect(self, row: int, on: bool) -> None:
        port = int(self._slots.port[row])
        (self.unlatched[port].add if on else self.unlatched[port].discard)(row)
        self.expecting[port] = bool(self.unlatched[port])
        self.relearning[row] = on and row in self.by_row and self.by_row[row].ever_latched

    def promised_keys(self) -> list[int]:
        """Keys of the addresses that SDPs of un-latched legs named."""
        return [
            int(self._slots.port[row]) << 48 | address << 16 | port
            for rows in self.unlatched
            for row in rows
            for address, port in (self.by_row[row].signalled,)
        ]

    def expect_again(self, row: int) -> None:
        """After 2 s without a packet the same stream may come from elsewhere (a NAT that forgot)."""
        leg = self.by_row[row]
        if leg.latch is None and leg.ever_latched:
            leg.latch = Latch(latch_rule(leg.parameters, leg.signalled))
            self._expect(row, True)

    def take_notices(self) -> list[Notice]:
        taken, self._notices = self._notices, []
        return taken

    # ------------------------------------------------------------------------------------------ unknown sources

    def stranger(self, port: int, source: Source, data: bytes, now: float) -> None:
        """A datagram of an unknown source on a port where a leg is still to be latched."""
        packet = parse_packet(data)
        awaited = False
        for row in list(self.unlatched[port]):
            leg = self.by_row[row]
            if leg.latch is None or not self._may_learn(leg, packet, now):
                continue
            awaited |= leg.latch.rule.admits(source)
            if leg.latch.offer(source, packet, now):
                self._latch(leg, source, packet, now)
                return
        if not awaited:
            self._counters.strays += 1

    def _may_learn(self, leg: Leg, packet: RtpPacket, now: float) -> bool:
        """Without a new SDP only the same stream may move, and only after silence."""
        if leg.may_move:
            return True
        same_stream = int(self._slots.ssrc[leg.row]) == packet.ssrc
        silent = now - float(self._slots.heard_at[leg.row]) > RELATCH_SILENCE
        return same_stream and silent

    def _latch(self, leg: Leg, source: Source, packet: RtpPacket, now: float) -> None:
        slots, row = self._slots, leg.row
        slots.key[row] = int(slots.port[row]) << 48 | source[0] << 16 | source[1]
        slots.address[row], slots.remote_port[row] = source
        slots.sending[row] = leg.parameters.sending
        leg.latch, leg.ever_latched, leg.may_move = None, True, False
        self._expect(row, False)
        self._ledger.settled(int(slots.port[row]), leg.handle)
        self.table_changed = True
        host = socket.inet_ntoa(source[0].to_bytes(4, "big"))
        self._notices.append(Latched(leg.handle, (host, source[1]), now))
        self._begin(leg, packet)
        self.known(row, source, packet, now)

    # -------------------------------------------------------------------------------------------- known sources

    def known(self, row: int, source: Source, packet: RtpPacket, now: float) -> None:
        """A packet of the leg's own source that the fast path did not take."""
        leg, slots = self.by_row[row], self._slots
        if leg.latch is not None:
            self._offer_known(leg, source, packet, now)
        if packet.payload_type == leg.parameters.dtmf_payload_type:
            self._alive(leg, packet, now)
            digits = leg.digits.receive(packet.timestamp, packet.payload, now) or ""
            self._notices += [Digit(leg.handle, digit, now) for digit in digits]
            if leg.digits.open:
                self.open_digits.add(row)
            return
        if packet.payload_type == COMFORT_NOISE:
            self._alive(leg, packet, now)
            return
        if not slots.receiving[row]:
            self._alive(leg, packet, now)
            return
        law = int(slots.laws[row, packet.payload_type])
        if law == NOT_ACCEPTED:
            self._counters.malformed["payload_type"] += 1
            slots.unusable[row] += 1
            return
        if not 0 < len(packet.payload) <= _MAX_PACKET_SAMPLES:
            self._counters.malformed["length"] += 1
            slots.unusable[row] += 1
            return
        if self._fits(leg, packet):
            self._alive(leg, packet, now)
            self._audio(leg, packet, law)

    def _offer_known(self, leg: Leg, source: Source, packet: RtpPacket, now: float) -> None:
        """After a new SDP the old source may simply go on, if the new SDP admits it."""
        if leg.latch is not None and leg.latch.offer(source, packet, now):
            leg.latch, leg.may_move = None, False
            self._slots.address[leg.row], self._slots.remote_port[leg.row] = source
            self._expect(leg.row, False)

    def _alive(self, leg: Leg, packet: RtpPacket, now: float) -> None:
        row = leg.row
        self._slots.heard_at[row] = now
        leg.lost_told = False
        if packet.ssrc == int(self._slots.ssrc[row]):
            self._slots.received[row] += 1

    def _fits(self, leg: Leg, packet: RtpPacket) -> bool:
        """Whether the packet goes on where the stream stands; else it is on probation until the third in order."""
        slots, row = self._slots, leg.row
        if packet.ssrc == int(slots.ssrc[row]):
            ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
            step = timestamp_step(packet.timestamp, int(slots.last_timestamp[row]))
            if self._plausible(row, ahead, step):
                return True
        ssrc, sequence, timestamp, count = leg.probation
        in_order = ssrc == packet.ssrc and sequence == packet.sequence
        count = count + 1 if in_order and packet.timestamp != timestamp else 1
        following = (packet.sequence + 1) & 0xFFFF
        leg.probation = (packet.ssrc, following, packet.timestamp, count)
        if count < _RESYNC_AFTER:
            return False
        leg.probation = (0, 0, 0, 0)
        self._begin(leg, packet)
        return True

    def _plausible(self, row: int, ahead: int, step: int) -> bool:
        if ahead > 0:
            return ahead <= _MAX_JUMP and 0 < step <= _MAX_PAUSE
        return ahead > -_MAX_JUMP and -_MAX_PAUSE < step <= 0

    def _begin(self, leg: Leg, packet: RtpPacket) -> None:
        """This packet is the stream's reference: at the first, after a jump, with a new SSRC."""
        slots, buffers, row = self._slots, self._buffers, leg.row
        frame = 0
        if buffers.begun[row]:
            frame = int(max(buffers.top[row] + 1, buffers.play[row] + buffers.target[row]))
            buffers.expect(row, frame)
        else:
            frames = -(-leg.parameters.ptime_ms // 20)
            buffers.begin(row, frame, depth=frames + 1 if frames > 1 else 0)
        same = slots.received[row] > 0 and packet.ssrc == int(slots.ssrc[row])
        if not same:
            slots.received[row] = 0
            slots.first_extended[row] = packet.sequence
        slots.ssrc[row] = packet.ssrc
        # The packet itself is about to be taken as the next one.
        slots.last_sequence[row] = packet.sequence
        slots.last_timestamp[row] = packet.timestamp
        slots.last_frame[row] = frame

    def _audio(self, leg: Leg, packet: RtpPacket, law: int) -> None:
        slots, row = self._slots, leg.row
        payload = np.frombuffer(packet.payload, np.uint8)[None]
        pcm = g711.decode(payload, np.array([law]))[0]
        step = timestamp_step(packet.timestamp, int(slots.last_timestamp[row]))
        offset = int(slots.last_frame[row]) * FRAME_SAMPLES + step
        ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
        if offset < 0:
            return
        if ahead == 1:
            self._buffers.expect(row, offset // FRAME_SAMPLES)
        if len(pcm) == FRAME_SAMPLES and offset % FRAME_SAMPLES == 0:
            frames = [(offset // FRAME_SAMPLES, pcm)]
        else:
            frames = leg.recutter.add(offset, pcm)
        for frame, samples in frames:
            self._buffers.place(np.array([row]), np.array([frame]), samples[None])
        if ahead > 0:
            slots.last_sequence[row] += ahead
            whole = step // FRAME_SAMPLES
            slots.last_frame[row] += whole
            slots.last_timestamp[row] += whole * FRAME_SAMPLES
