"""Playing out RTP: a quarter of the legs per sub-tick, silence included, in one batch sorted by local port."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.counters import Counters
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.ports import Datagrams
from telephony.media.slots import RtpSlots, rows_of_quarter
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

    def send_digits(self, row: int, digits: str, payload_type: int, rate_hz: int) -> None:
        """Replaces digits that are still being sent; durations count `rate_hz`. Raises: ValueError."""
        self._digits[row] = DigitSender(digits, rate_hz), payload_type
        self._slots.digits_out[row] = True

    def stop(self, row: int) -> None:
        self._digits.pop(row, None)
        self._slots.digits_out[row] = False

    def play_out(self, quarter: int) -> None:
        slots = self._slots
        rows = rows_of_quarter(slots.active, quarter)
        if not len(rows):
            return
        if slots.coders:
            coded = slots.coded[rows]
            self._write_plain(rows[~coded])
            self._write_coded(rows[coded])
        else:
            self._write_plain(rows)
        audio = slots.sending[rows]
        if self._digits:
            for at in slots.digits_out[rows].nonzero()[0].tolist():
                audio[at] &= not self._send_digit(int(rows[at]))
        sent = rows[audio]
        self._send(sent)
        slots.sequence[sent] += 1
        slots.timestamp[rows] += slots.clock_step[rows]

    def _write_plain(self, rows: Rows) -> None:
        """G.711 of all narrow legs at once."""
        if not len(rows):
            return
        slots = self._slots
        frames = self._floor.heard(rows, wide=False)
        self._meters.sent(rows, frames)
        alaw = slots.law[rows] == g711.ALAW
        count = np.count_nonzero(alaw)
        if 0 < count < len(rows):
            slots.payloads[rows[alaw]] = g711.encode(frames[alaw], g711.ALAW)
            slots.payloads[rows[~alaw]] = g711.encode(frames[~alaw], g711.ULAW)
        else:
            slots.payloads[rows] = g711.encode(frames, g711.ALAW if count else g711.ULAW)
        self._write_heads(rows)

    def _write_coded(self, rows: Rows) -> None:
        """One leg after the other, each by its own codec."""
        slots = self._slots
        for wide in (False, True):
            chosen = rows[slots.wide[rows] == wide]
            if not len(chosen):
                continue
            frames = self._floor.heard(chosen, wide=wide)
            self._meters.sent(chosen, frames)
            for row, frame in zip(chosen.tolist(), frames, strict=True):
                payload = slots.coders[row].encode(frame)
                end = HEADER_BYTES + len(payload)
                slots.packets[row, HEADER_BYTES:end] = np.frombuffer(payload, np.uint8)
                slots.size[row] = end
        self._write_heads(rows)

    def _write_heads(self, rows: Rows) -> None:
        slots = self._slots
        slots.sequences_sent[rows] = slots.sequence[rows]
        slots.timestamps_sent[rows] = slots.timestamp[rows]

    def _send(self, rows: Rows) -> None:
        if not len(rows):
            return
        slots = self._slots
        rows = rows[slots.port[rows].argsort(kind="stable")]
        sizes = slots.size
        if slots.srtp:
            sizes = self._protect(rows)
        self._datagrams.send_rows(
            slots.packets,
            sizes,
            rows,
            slots.port[rows],
            slots.address[rows],
            slots.remote_port[rows],
        )
        self._counters.sent += len(rows)

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
            self._datagrams.send_one(int(slots.port[row]), data, address, remote_port, rtcp=False)
            slots.sequence[row] += 1
        return True
