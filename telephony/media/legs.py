"""The slow path of receiving: one object per leg for what is rare. Latching, odd packets, digits, jumps.

Runs in the plane's thread, row by row, on at most 200 datagrams per port and sub-tick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from telephony.media.addresses import AddressBook, is_v6
from telephony.media.counters import Counters
from telephony.media.handles import SlotHandle
from telephony.media.intake import Intake
from telephony.media.leg import Leg, latch_rule
from telephony.media.notices import Digit, Latched, Notice
from telephony.media.parameters import RtpParameters
from telephony.media.receive_loops import RESERVED
from telephony.media.registry import PortLedger
from telephony.media.slots import NOT_ACCEPTED, RtpSlots
from telephony.rtp.latch import Latch, Source
from telephony.rtp.packet import RtpPacket, parse_packet

COMFORT_NOISE: Final = 13
"""Understood whether it was agreed or not: it is nothing else."""
RELATCH_SILENCE: Final = 2.0
_MAX_PACKET_SAMPLES: Final = 1440


class Legs:
    """All legs' slow paths. `table_changed` is set when a source was learnt or left."""

    def __init__(
        self,
        slots: RtpSlots,
        intake: Intake,
        counters: Counters,
        ledger: PortLedger,
        addresses: AddressBook,
    ) -> None:
        ports = ledger.count
        self.addresses = addresses
        addresses.in_use = self._sixth_in_use
        self._ledger = ledger
        self._slots = slots
        self._intake = intake
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
        parameters = self._of_own_family(row, parameters)
        signalled = (self.addresses.number(parameters.remote[0]), parameters.remote[1])
        latch = Latch(latch_rule(parameters, signalled, self.addresses))
        leg = self.by_row[row] = Leg(row, handle, parameters, signalled, now, latch)
        self._intake.clear(row)
        self._slots.configure(row, parameters, signalled[0])
        self._intake.equip(leg)
        self._expect(row, True)

    def change(self, row: int, parameters: RtpParameters, now: float) -> None:
        """A new SDP. The source known so far stays until another one is latched."""
        leg = self.by_row[row]
        parameters = self._of_own_family(row, parameters)
        signalled = (self.addresses.number(parameters.remote[0]), parameters.remote[1])
        source = int(self._slots.address[row]), int(self._slots.remote_port[row])
        moved = signalled != leg.signalled
        if leg.parameters.receiving != parameters.receiving:
            self._slots.heard_at[row] = now
        leg.parameters, leg.signalled, leg.may_move = parameters, signalled, True
        self._slots.take_keys(row, parameters.srtp)
        self._slots.take_codecs(row, parameters)
        self._slots.configure(row, parameters, signalled[0])
        self._intake.equip(leg)
        if leg.ever_latched and not moved:
            self._slots.address[row], self._slots.remote_port[row] = source
        # An SDP without a port to send to says nothing of where they send from: who is heard goes on being heard.
        learning = signalled[1] > 0 or not leg.ever_latched
        rule = latch_rule(parameters, signalled, self.addresses)
        leg.latch = Latch(rule) if learning else None
        self._expect(row, learning)

    def _of_own_family(self, row: int, parameters: RtpParameters) -> RtpParameters:
        """A place that the slot's port cannot send to is none: its number would mean somebody else there."""
        v6 = self._ledger.is_v6(int(self._slots.port[row]))
        if is_v6(parameters.remote[0]) is v6:
            return parameters
        return replace(parameters, sending=False, remote=("::" if v6 else "0.0.0.0", 0))

    def stop(self, row: int) -> None:
        self._expect(row, False)
        self.open_digits.discard(row)
        del self.by_row[row]
        self._intake.clear(row)
        self.table_changed = True

    def _expect(self, row: int, on: bool) -> None:
        port = int(self._slots.port[row])
        (self.unlatched[port].add if on else self.unlatched[port].discard)(row)
        self.expecting[port] = bool(self.unlatched[port])
        self.relearning[row] = on and row in self.by_row and self.by_row[row].ever_latched

    def _sixth_in_use(self) -> Iterable[int]:
        """Numbers of IPv6 addresses that legs send to, hear from or were promised."""
        slots = self._slots
        heard = (slots.key >> np.uint64(16)) & np.uint64(0xFFFF_FFFF)
        known = {int(number) for number in (*slots.address[slots.active], *heard[slots.active])}
        known.update(leg.signalled[0] for leg in self.by_row.values())
        return [number for number in known if number >= RESERVED]

    def promised(self) -> set[tuple[int, int, int]]:
        """Of un-latched legs: index of the local port, address and port that the SDP named."""
        return {
            (port, *self.by_row[row].signalled)
            for port, rows in enumerate(self.unlatched)
            for row in rows
        }

    def expect_again(self, row: int) -> None:
        """After 2 s without a packet the same stream may come from elsewhere (a NAT that forgot)."""
        leg = self.by_row[row]
        if leg.latch is None and leg.ever_latched:
            leg.latch = Latch(latch_rule(leg.parameters, leg.signalled, self.addresses))
            self._expect(row, True)

    def take_notices(self) -> list[Notice]:
        taken, self._notices = self._notices, []
        return taken

    # ------------------------------------------------------------------------------------------ unknown sources

    def stranger(self, port: int, source: Source, data: bytes, now: float) -> None:
        """A datagram of an unknown source on a port where a leg is still to be latched."""
        waiting = [self.by_row[row] for row in self.unlatched[port]]
        for leg in waiting:
            # Who has the key is believed, wherever he sends from.
            clear = leg.secure.unprotect(data) if leg.secure is not None else None
            if clear is not None:
                self._latch(leg, source, parse_packet(clear), now)
                return
        packet = parse_packet(data)
        awaited = False
        for leg in waiting:
            if leg.secure or leg.latch is None or not self._may_learn(leg, packet, now):
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
        place = self.addresses.host(source[0]), source[1]
        self._notices.append(Latched(leg.handle, place, now))
        self._intake.begin(leg, packet)
        self.known(row, source, packet, now)

    # -------------------------------------------------------------------------------------------- known sources

    def known(self, row: int, source: Source, packet: RtpPacket, now: float) -> None:
        """A packet of the leg's own source that the fast path did not take."""
        leg, slots = self.by_row[row], self._slots
        if leg.latch is not None:
            self._offer_known(leg, source, packet, now)
        if packet.payload_type == leg.parameters.dtmf_payload_type:
            self._alive(leg, packet, now)
            self._intake.beside_audio(leg, packet)
            digits = leg.digits.receive(packet.timestamp, packet.payload, now) or ""
            began = leg.digits.pressed_at
            self._notices += [Digit(leg.handle, digit, now, began) for digit in digits]
            if leg.digits.open:
                self.open_digits.add(row)
            return
        if packet.payload_type in (COMFORT_NOISE, leg.parameters.comfort_noise_payload_type):
            self._alive(leg, packet, now)
            self._intake.beside_audio(leg, packet)
            if slots.receiving[row]:
                self._intake.comfort_noise(leg, packet)
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
        if self._intake.fits(leg, packet):
            self._alive(leg, packet, now)
            self._intake.audio(leg, packet, law, now)

    def _offer_known(self, leg: Leg, source: Source, packet: RtpPacket, now: float) -> None:
        """After a new SDP the old source may simply go on, if the new SDP admits it."""
        if leg.latch is not None and (leg.secure or leg.latch.offer(source, packet, now)):
            leg.latch, leg.may_move = None, False
            self._slots.address[leg.row], self._slots.remote_port[leg.row] = source
            self._expect(leg.row, False)

    def _alive(self, leg: Leg, packet: RtpPacket, now: float) -> None:
        row = leg.row
        self._slots.heard_at[row] = now
        if packet.ssrc == int(self._slots.ssrc[row]):
            self._slots.received[row] += 1
