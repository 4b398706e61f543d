"""Playing out RTP: a quarter of the legs per sub-tick, silence included, in one batch sorted by local port."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.counters import Counters
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.ports import Datagrams
from telephony.media.slots import FRAME_SAMPLES, RtpSlots, rows_of_quarter
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

    def send_digits(self, row: int, digits: str, payload_type: int) -> None:
        """Replaces digits that are still being sent. Raises: ValueError."""
        self._digits[row] = DigitSender(digits), payload_type
        self._slots.digits_out[row] = True

    def stop(self, row: int) -> None:
        self._digits.pop(row, None)
        self._slots.digits_out[row] = False

    def play_out(self, quarter: int) -> None:
        slots = self._slots
        rows = rows_of_quarter(slots.active, quarter)
        if not len(rows):
            return
        frames = self._floor.heard(rows, wide=False)
        self._meters.sent(rows, frames)
        self._write(rows, frames)
        audio = slots.sending[rows]
        if slots.digits_out[rows].any():
            for at in np.flatnonzero(slots.digits_out[rows]).tolist():
                audio[at] &= not self._send_digit(int(rows[at]))
        self._send(rows[audio])
        slots.sequence[rows[audio]] += 1
        slots.sent[rows[audio]] += 1
        slots.timestamp[rows] += FRAME_SAMPLES

    def _write(self, rows: Rows, frames: NDArray[np.int16]) -> None:
        slots = self._slots
        laws = slots.law[rows]
        for law in (g711.ULAW, g711.ALAW):
            chosen = laws == law
            if chosen.all():
                slots.packets[rows, HEADER_BYTES:] = g711.encode(frames, law)
            elif chosen.any():
                slots.packets[rows[chosen], HEADER_BYTES:] = g711.encode(frames[chosen], law)
        head = np.empty((len(rows), 6), np.uint8)
        head[:, :2] = slots.sequence[rows].astype(">u2")[:, None].view(np.uint8)
        head[:, 2:] = slots.timestamp[rows].astype(">u4")[:, None].view(np.uint8)
        slots.packets[rows, 2:8] = head

    def _send(self, rows: Rows) -> None:
        if not len(rows):
            return
        slots = self._slots
        rows = rows[np.argsort(slots.port[rows], kind="stable")]
        self._datagrams.send_rows(
            slots.packets, rows, slots.port[rows], slots.address[rows], slots.remote_port[rows]
        )
        self._counters.sent += len(rows)

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
            self._datagrams.send_one(
                int(slots.port[row]), build_packet(packet), address, remote_port, rtcp=False
            )
            slots.sequence[row] += 1
            slots.sent[row] += 1
        return True
