"""RTP slots as arrays: what the fast path of receiving and sending reads and writes, one row per leg."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.coder import Coder, needs_coder
from telephony.media.g711 import LAW_NUMBER
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.rtp.srtp import SrtpSession
from telephony.sdp.crypto import Crypto

Rows = NDArray[np.int64]

FRAME_SAMPLES: Final = 160
PACKET_BYTES: Final = 172
ROW_BYTES: Final = 256
"""Of a packet that is sent, with room for what SRTP adds."""
CODED: Final = 2
"""In `RtpSlots.laws`, beside the numbers of the two laws: the leg's coder decodes it."""
NOT_ACCEPTED: Final = 3
QUARTERS: Final = 4


class RtpSlots:
    """`rows` legs; a row is used between `start` and `stop`.

    `coders` and `srtp` hold objects for the few rows that need one: `coded` and `secure` say which.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.active = np.zeros(rows, np.bool_)
        self.sending = np.zeros(rows, np.bool_)
        self.receiving = np.zeros(rows, np.bool_)
        self.port = np.zeros(rows, np.int64)
        self.laws = np.full((rows, 128), NOT_ACCEPTED, np.uint8)
        self.wide = np.zeros(rows, np.bool_)
        self.coded = np.zeros(rows, np.bool_)
        self.coders: dict[int, Coder] = {}
        self.secure = np.zeros(rows, np.bool_)
        self.srtp: dict[int, SrtpSession] = {}
        # Receiving: the packet that is furthest, and what the one after it must look like.
        self.key = np.zeros(rows, np.uint64)
        self.ssrc = np.zeros(rows, np.uint32)
        self.last_sequence = np.zeros(rows, np.int64)
        self.last_timestamp = np.zeros(rows, np.int64)
        self.last_frame = np.zeros(rows, np.int64)
        self.heard_at = np.zeros(rows)
        self.received = np.zeros(rows, np.int64)
        self.first_extended = np.zeros(rows, np.int64)
        self.transit = np.zeros(rows)
        self.jitter = np.zeros(rows)
        self.unusable = np.zeros(rows, np.int64)
        self.pauses = np.zeros(rows, np.bool_)
        # Sending.
        self.packets = np.zeros((rows, ROW_BYTES), np.uint8)
        self.size = np.full(rows, PACKET_BYTES, np.int64)
        self.address = np.zeros(rows, np.uint32)
        self.remote_port = np.zeros(rows, np.uint16)
        self.law = np.zeros(rows, np.int64)
        self.sequence = np.zeros(rows, np.int64)
        self.timestamp = np.zeros(rows, np.int64)
        self.clock_step = np.full(rows, FRAME_SAMPLES, np.int64)
        self._first_sent = np.zeros(rows, np.int64)
        self.digits_out = np.zeros(rows, np.bool_)

    def start(self, row: int, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """A fresh stream with random beginnings (RFC 3550 5.1)."""
        self.active[row] = True
        self.key[row] = 0
        self.received[row] = self.unusable[row] = 0
        self.jitter[row] = 0
        self.pauses[row] = False
        self.heard_at[row] = now
        self.sequence[row] = self._first_sent[row] = sequence
        self.timestamp[row] = timestamp
        header = self.packets[row]
        header[0] = 0x80
        header[8:12] = np.frombuffer(ssrc.to_bytes(4, "big"), np.uint8)
        self.digits_out[row] = False

    def sent(self, row: int) -> int:
        """Packets since the start."""
        return int(self.sequence[row] - self._first_sent[row])

    def take_keys(self, row: int, crypto: Crypto | None) -> None:
        """SRTP from the next packet on, or plain RTP. Raises: RtpError, with nothing changed."""
        session = self.srtp.get(row)
        if crypto is None:
            self.srtp.pop(row, None)
        elif session is None:
            self.srtp[row] = SrtpSession(crypto)
        else:
            session.rekey(crypto)
        self.secure[row] = crypto is not None

    def take_codecs(self, row: int, parameters: RtpParameters) -> None:
        """A coder for the row if it needs one. Raises: CodecUnavailableError, with nothing changed."""
        wide = bool(self.wide[row])
        coder = self.coders.get(row)
        if not needs_coder(parameters, wide=wide):
            self.coders.pop(row, None)
        elif coder is None:
            self.coders[row] = Coder(parameters, wide=wide)
        else:
            coder.configure(parameters)
        self.coded[row] = self._law(row, parameters.codec) == CODED
        self.clock_step[row] = parameters.codec.clock_hz // 50
        self.size[row] = PACKET_BYTES
        self.law[row] = LAW_NUMBER.get(parameters.codec, 0)
        self.packets[row, 1] = parameters.payload_type

    def configure(self, row: int, parameters: RtpParameters, address: int) -> None:
        """Takes over what an SDP says of address and direction, without touching what was learnt from packets."""
        self.laws[row] = NOT_ACCEPTED
        self.sending[row] = parameters.sending and parameters.remote[1] > 0 and address > 0
        self.receiving[row] = parameters.receiving
        self.address[row] = address
        self.remote_port[row] = parameters.remote[1]
        if not parameters.receiving:
            return
        for payload_type, codec in parameters.accepted:
            self.laws[row, payload_type] = self._law(row, codec)
        self.laws[row, parameters.payload_type] = self._law(row, parameters.codec)

    def _law(self, row: int, codec: MediaCodec) -> int:
        return CODED if self.wide[row] else LAW_NUMBER.get(codec, CODED)

    def stop(self, row: int) -> None:
        self.active[row] = self.sending[row] = self.receiving[row] = False
        self.coded[row] = self.secure[row] = False
        self.coders.pop(row, None)
        self.srtp.pop(row, None)
        self.key[row] = 0
        self.laws[row] = NOT_ACCEPTED


def quarter_of(row: int, rows: int) -> int:
    """The sub-tick in which this row plays out."""
    return row * QUARTERS // rows


def bounds_of_quarter(rows: int, quarter: int) -> tuple[int, int]:
    """The first row whose turn this sub-tick is, and the row after the last."""
    return -(-quarter * rows // QUARTERS), -(-(quarter + 1) * rows // QUARTERS)


def rows_of_quarter(used: NDArray[np.bool_], quarter: int) -> Rows:
    """The used rows whose turn this sub-tick is."""
    first, end = bounds_of_quarter(len(used), quarter)
    return used[first:end].nonzero()[0] + first
