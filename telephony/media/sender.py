"""Playing out RTP: a quarter of the legs per sub-tick, silence included, in one batch sorted by local port."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media.counters import Counters
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.ports import Datagrams
from telephony.media.send_loops import take_turn, write_audio
from telephony.media.slots import RtpSlots, bounds_of_quarter
from telephony.rtp.dtmf import DigitSender
from telephony.rtp.packet import HEADER_BYTES, RtpPacket, build_packet

Rows = NDArray[np.int64]


class Sender:
    """Sends what each leg hears; a leg in the middle of a digit sends that instead."""

    def __init__(
        self,
        slots: RtpSlots,
        floor: Floor,
        meters: Meters,
        datagrams: Datagrams,
        counters: Counters,
    ) -> None:
        self._meters = meters
        self._slots = slots
        self._floor = floor
        self._datagrams = datagrams
        self._counters = counters
        self._digits: dict[int, tuple[DigitSender, int]] = {}
        # Legs whose digit has left in place of audio in this sub-tick.
        self._held = np.zeros(slots.rows, np.bool_)
        # Who sends in this sub-tick, sorted by local port; see `take_turn`.
        self._places = np.zeros(len(datagrams.local_ports) + 1, np.int64)
        self._rows = np.zeros(slots.rows, np.int64)
        self._ports = np.zeros(slots.rows, np.int64)
        self._addresses = np.zeros(slots.rows, np.uint32)
        self._remote_ports = np.zeros(slots.rows, np.uint16)

    def send_digits(self, row: int, digits: str, payload_type: int, rate_hz: int) -> None:
        """Replaces digits that are still being sent; durations count `rate_hz`. Raises: ValueError."""
        self._digits[row] = DigitSender(digits, rate_hz), payload_type
        self._slots.digits_out[row] = True

    def stop(self, row: int) -> None:
        self._digits.pop(row, None)
        self._slots.digits_out[row] = self._held[row] = False

    def play_out(self, quarter: int) -> None:
        slots = self._slots
        first, end = bounds_of_quarter(slots.rows, quarter)
        self._floor.mix(first, end)
        write_audio(
            first, end, slots.active, slots.coded, slots.law, self._floor.direct,
            self._floor.narrow_frames, slots.packets, self._meters.sent_peaks,
        )  # fmt: skip
        if slots.coders:
            self._write_coded(first, end)
        if self._digits:
            self._send_digits(first, end)
        count = take_turn(
            first, end, slots.active, slots.sending, self._held, slots.sequence,
            slots.timestamp, slots.clock_step, slots.packets, slots.port, slots.address,
            slots.remote_port, self._places, self._rows, self._ports, self._addresses,
            self._remote_ports,
        )  # fmt: skip
        if count:
            self._send(count)

    def _write_coded(self, first: int, end: int) -> None:
        """One leg after the other, each by its own codec."""
        slots, floor = self._slots, self._floor
        coded = slots.active[first:end] & slots.coded[first:end]
        for row in (coded.nonzero()[0] + first).tolist():
            one = np.array([row])
            frames = floor.heard(one, wide=bool(slots.wide[row]))
            self._meters.sent(one, frames)
            payload = slots.coders[row].encode(frames[0])
            size = HEADER_BYTES + len(payload)
            slots.packets[row, HEADER_BYTES:size] = np.frombuffer(payload, np.uint8)
            slots.size[row] = size

    def _send_digits(self, first: int, end: int) -> None:
        self._held[first:end] = False
        chosen = self._slots.active[first:end] & self._slots.digits_out[first:end]
        for row in (chosen.nonzero()[0] + first).tolist():
            self._held[row] = self._send_digit(row)

    def _send(self, count: int) -> None:
        slots = self._slots
        rows = self._rows[:count]
        sizes = self._protect(rows) if slots.srtp else slots.size
        dropped = self._datagrams.send_rows(
            slots.packets,
            sizes,
            rows,
            self._ports[:count],
            self._addresses[:count],
            self._remote_ports[:count],
        )
        self._counters.sent += count - dropped
        self._counters.unsent += dropped

    def _protect(self, rows: Rows) -> NDArray[np.int64]:
        """In place; the sizes that result. A packet that cannot be protected is sent empty: never in clear."""
        slots = self._slots
        sizes = slots.size.copy()
        base, stride = slots.packets.ctypes.data, slots.packets.strides[0]
        for row in rows[slots.secure[rows]].tolist():
            sizes[row] = slots.srtp[row].protect_at(base + row * stride, int(sizes[row]))
        return sizes

    def _send_digit(self, row: int) -> bool:
        """True: an event packet was sent in place of audio."""
        slots = self._slots
        digits, payload_type = self._digits[row]
        event = digits.next(int(slots.timestamp[row]) & 0xFFFFFFFF)
        if event is None:
            if digits.done:
                self.stop(row)
            return False
        ssrc = int.from_bytes(slots.packets[row, 8:12].tobytes(), "big")
        sequence = int(slots.sequence[row]) & 0xFFFF
        packet = RtpPacket(
            payload_type, sequence, event.timestamp, ssrc, event.payload, event.marker
        )
        if slots.sending[row]:
            address, remote_port = int(slots.address[row]), int(slots.remote_port[row])
            data = build_packet(packet)
            if slots.secure[row]:
                data = slots.srtp[row].protect(data)
            port = int(slots.port[row])
            if not self._datagrams.send_one(port, data, address, remote_port, rtcp=False):
                self._counters.unsent += 1
            slots.sequence[row] += 1
        return True
