"""RTP slots as arrays: what the fast path of receiving and sending reads and writes, one row per leg."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.g711 import LAW_NUMBER
from telephony.media.parameters import RtpParameters

Rows = NDArray[np.int64]

FRAME_SAMPLES: Final = 160
PACKET_BYTES: Final = 172
NOT_ACCEPTED: Final = -1
QUARTERS: Final = 4


class RtpSlots:
    """`rows` legs; a row is used between `start` and `stop`."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.active = np.zeros(rows, np.bool_)
        self.sending = np.zeros(rows, np.bool_)
        self.receiving = np.zeros(rows, np.bool_)
        self.port = np.zeros(rows, np.int64)
        self.laws = np.full((rows, 128), NOT_ACCEPTED, np.int64)
        # Receiving: the packet that is furthest, and what the one after it must look like.
        self.key = np.zeros(rows, np.uint64)
        self.ssrc = np.zeros(rows, np.uint32)
        self.last_sequence = np.zeros(rows, np.int64)
        self.last_timestamp = np.zeros(rows, np.int64)
        self.last_frame = np.zeros(rows, np.int64)
        self.heard_at = np.zeros(rows)
        self.received = np.zeros(rows, np.int64)
        self.first_extended = np.zeros(rows, np.int64)
        self.extended = np.zeros(rows, np.int64)
        self.transit = np.zeros(rows)
        self.jitter = np.zeros(rows)
        self.unusable = np.zeros(rows, np.int64)
        # Sending.
        self.packets = np.zeros((rows, PACKET_BYTES), np.uint8)
        self.address = np.zeros(rows, np.uint32)
        self.remote_port = np.zeros(rows, np.uint16)
        self.law = np.zeros(rows, np.int64)
        self.sequence = np.zeros(rows, np.int64)
        self.timestamp = np.zeros(rows, np.int64)
        self.sent = np.zeros(rows, np.int64)
        self.digits_out = np.zeros(rows, np.bool_)

    def start(self, row: int, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """A fresh stream with random beginnings (RFC 3550 5.1)."""
        self.active[row] = True
        self.key[row] = 0
        for column in (self.received, self.unusable, self.sent):
            column[row] = 0
        self.jitter[row] = 0
        self.heard_at[row] = now
        self.sequence[row], self.timestamp[row] = sequence, timestamp
        header = self.packets[row]
        header[0] = 0x80
        header[8:12] = np.frombuffer(ssrc.to_bytes(4, "big"), np.uint8)
        self.digits_out[row] = False

    def configure(self, row: int, parameters: RtpParameters, address: int) -> None:
        """Takes over what an SDP says, without touching what was learnt from packets."""
        self.laws[row] = NOT_ACCEPTED
        self.law[row] = LAW_NUMBER[parameters.codec]
        self.packets[row, 1] = parameters.payload_type
        self.sending[row] = parameters.sending and parameters.remote[1] > 0 and address > 0
        self.receiving[row] = parameters.receiving
        self.address[row] = address
        self.remote_port[row] = parameters.remote[1]
        if not parameters.receiving:
            return
        for payload_type, law in parameters.accepted:
            self.laws[row, payload_type] = LAW_NUMBER[law]
        self.laws[row, parameters.payload_type] = LAW_NUMBER[parameters.codec]

    def stop(self, row: int) -> None:
        self.active[row] = self.sending[row] = self.receiving[row] = False
        self.key[row] = 0
        self.laws[row] = NOT_ACCEPTED


def quarter_of(row: int, rows: int) -> int:
    """The sub-tick in which this row plays out."""
    return row * QUARTERS // rows


def rows_of_quarter(used: NDArray[np.bool_], quarter: int) -> Rows:
    """The used rows whose turn this sub-tick is."""
    first, end = (-(-at * len(used) // QUARTERS) for at in (quarter, quarter + 1))
    return np.flatnonzero(used[first:end]) + first
