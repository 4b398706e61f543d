"""Receiving RTP: demultiplex by (local port, source), take what is plain in one go, hand the rest to the slow path."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.counters import Counters
from telephony.media.legs import Legs
from telephony.media.ports import TRUNCATED, Arrivals, Datagrams
from telephony.media.slots import CODED, FRAME_SAMPLES, PACKET_BYTES, RtpSlots
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.packet import HEADER_BYTES, is_rtcp, parse_packet

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

ARRIVAL_ROWS: Final = 4096
SLOW_ROWS_PER_PORT: Final = 200
SLOW_ROWS: Final = 600
"""Of all ports together: about 3 ms of Python, so that a flood on every port leaves the sub-tick its time."""
_MAX_STEP: Final = 12
_REFUSED: Final = -2
"""Instead of a datagram's size: what should be SRTP is not theirs."""
_NO_KEY: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_PORT_SHIFT: Final = np.uint64(48)
_ADDRESS_SHIFT: Final = np.uint64(16)


class Receiver:
    """One per plane."""

    def __init__(
        self,
        slots: RtpSlots,
        buffers: JitterBuffers,
        legs: Legs,
        datagrams: Datagrams,
        counters: Counters,
    ) -> None:
        self._slots = slots
        self._buffers = buffers
        self._legs = legs
        self._datagrams = datagrams
        self._counters = counters
        self._arrivals = Arrivals(ARRIVAL_ROWS)
        self._keys = np.array([_NO_KEY])
        self._rows: Rows = np.zeros(1, np.int64)
        self._told: set[str] = set()
        self._muxed_rtcp: list[tuple[int, bytes]] = []

    def receive(self, now: float) -> None:
        """Everything that waits on the ports."""
        count = self._datagrams.receive(self._arrivals)
        if not count:
            return
        if self._legs.table_changed:
            self._rebuild()
        self._counters.received += count
        arrivals = self._arrivals
        keys = arrivals.port[:count].view(np.uint64) << _PORT_SHIFT
        keys |= arrivals.address[:count] << _ADDRESS_SHIFT
        keys |= arrivals.source_port[:count]
        at = self._keys.searchsorted(keys)
        known: NDArray[np.bool_] = self._keys[at] == keys
        rows = self._rows[at]
        if self._slots.srtp:
            self._unprotect(rows, known, count)
        fast = self._take_plain(rows, known, count, now)
        if np.count_nonzero(fast) < count:
            self._take_rest(rows, known, (~fast).nonzero()[0], keys, now)

    def take_rtcp(self) -> list[tuple[int, bytes]]:
        """(row, datagram) of RTCP that came to an RTP port (RFC 5761) since the last call."""
        taken, self._muxed_rtcp = self._muxed_rtcp, []
        return taken

    def _unprotect(self, rows: Rows, known: NDArray[np.bool_], count: int) -> None:
        """In place, so that what follows sees plain RTP and RTCP."""
        slots, arrivals = self._slots, self._arrivals
        base = arrivals.data.ctypes.data
        secured = known & slots.secure[rows] & (arrivals.size[:count] > 0)
        for at in secured.nonzero()[0].tolist():
            row, size = int(rows[at]), int(arrivals.size[at])
            session, packet = slots.srtp[row], base + at * arrivals.ROW_BYTES
            rtcp = is_rtcp(arrivals.data[at, :2].tobytes())
            open_it = session.unprotect_rtcp_at if rtcp else session.unprotect_at
            clear = open_it(packet, size)
            arrivals.size[at] = clear or _REFUSED
            if not clear:
                kind = "srtp_replayed" if session.replayed else "srtp"
                self._counters.malformed[kind] += 1
                slots.unusable[row] += not session.replayed

    def _rebuild(self) -> None:
        rows = self._slots.key.nonzero()[0]
        keys = self._slots.key[rows]
        order = keys.argsort()
        self._keys = np.append(keys[order], _NO_KEY)
        self._rows = np.append(rows[order], 0)
        self._legs.table_changed = False

    def _take_plain(
        self, rows: Rows, known: NDArray[np.bool_], count: int, now: float
    ) -> NDArray[np.bool_]:
        """The fast path; returns which datagrams it took."""
        slots, arrivals = self._slots, self._arrivals
        head = arrivals.data[:count, :HEADER_BYTES]
        words = arrivals.words[:count].astype(np.int64)
        timestamp = words[:, 1]
        last = slots.last_sequence[rows]
        # Differences modulo 2^16 and 2^32: a cast keeps the low bits, and their sign.
        ahead = (words[:, 0] - last).astype(np.int16).astype(np.int64)
        step = (timestamp - slots.last_timestamp[rows]).astype(np.int32)
        law = slots.laws[rows, head[:, 1] & 0x7F]
        plain: NDArray[np.bool_] = known & (head[:, 0] == 0x80)
        plain &= arrivals.size[:count] == PACKET_BYTES
        plain &= law < CODED
        plain &= words[:, 2] == slots.ssrc[rows]
        plain &= step == ahead * FRAME_SAMPLES
        plain &= np.abs(ahead) <= _MAX_STEP
        # While a new SDP's source is still to be learnt, the slow path watches the old one.
        plain &= ~self._legs.relearning[rows]
        # Almost always all of them are plain: then nothing has to be picked out.
        every = np.count_nonzero(plain) == count
        taken: slice | Rows = slice(count) if every else plain.nonzero()[0]
        chosen = rows[taken]
        if len(chosen):
            payload = arrivals.data[taken, HEADER_BYTES:PACKET_BYTES]
            pcm = g711.decode(payload, law[taken])
            self._note_arrivals(chosen, timestamp[taken], now)
            self._buffers.place(chosen, slots.last_frame[chosen] + ahead[taken], pcm)
            self._move_reference(chosen, last[taken], ahead[taken])
        return plain

    def _note_arrivals(self, rows: Rows, timestamp: Rows, now: float) -> None:
        """Counts, and interarrival jitter (RFC 3550 A.8) in samples; arrival is as fine as the sub-tick."""
        slots = self._slots
        np.add.at(slots.received, rows, 1)
        slots.heard_at[rows] = now
        transit = now * 8000 - timestamp
        change = np.abs(transit - slots.transit[rows])
        # A wrap of the timestamp, or the first packet, says nothing about the network.
        change[change >= 8000] = 0.0
        slots.transit[rows] = transit
        jitter = slots.jitter[rows]
        slots.jitter[rows] = jitter + (change - jitter) / 16

    def _move_reference(self, rows: Rows, last: Rows, ahead: Rows) -> None:
        slots = self._slots
        np.maximum.at(slots.last_sequence, rows, last + ahead)
        # `last` is where each row stood before, also where a row occurs twice: plain assignment counts it once.
        moved = slots.last_sequence[rows] - last
        slots.last_frame[rows] += moved
        slots.last_timestamp[rows] += moved * FRAME_SAMPLES

    # ------------------------------------------------------------------------------------------------ slow path

    def _take_rest(
        self, rows: Rows, known: NDArray[np.bool_], rest: Rows, keys: NDArray[np.uint64], now: float
    ) -> None:
        size = self._arrivals.size[rest]
        self._counters.truncated += int((size == TRUNCATED).sum())
        ours = known[rest]
        waiting = self._legs.expecting[self._arrivals.port[rest]]
        wanted = (size >= 0) & (ours | waiting)
        self._counters.strays += int(((size >= 0) & ~wanted).sum())
        chosen = rest[wanted]
        # Known sources first, then the addresses that SDPs promised, so that a flood cannot crowd them out.
        promised = np.isin(keys[chosen], self._legs.promised_keys())
        rank = np.where(known[chosen], 0, np.where(promised, 1, 2))
        for at in self._within_limit(chosen[np.argsort(rank, kind="stable")]):
            self._slow(at, int(rows[at]), bool(known[at]), now)

    def _within_limit(self, chosen: Rows) -> list[int]:
        """`chosen` comes in order of importance; what is left out is counted."""
        if len(chosen) <= SLOW_ROWS_PER_PORT:
            return [int(row) for row in chosen]
        ports = self._arrivals.port[chosen]
        order = np.argsort(ports, kind="stable")
        begins = np.searchsorted(ports[order], ports[order])
        place = np.empty(len(chosen), np.int64)
        place[order] = np.arange(len(chosen)) - begins
        kept = chosen[place < SLOW_ROWS_PER_PORT][:SLOW_ROWS]
        self._counters.over_limit += len(chosen) - len(kept)
        return [int(row) for row in kept]

    def _slow(self, at: int, row: int, known: bool, now: float) -> None:
        arrivals = self._arrivals
        data = arrivals.data[at, : arrivals.size[at]].tobytes()
        source = int(arrivals.address[at]), int(arrivals.source_port[at])
        try:
            if known and is_rtcp(data):
                self._muxed_rtcp.append((row, data))
            elif known:
                self._legs.known(row, source, parse_packet(data), now)
            else:
                self._legs.stranger(int(arrivals.port[at]), source, data, now)
        except RtpError as error:
            self._counters.malformed[error.kind] += 1
            if known:
                self._slots.unusable[row] += 1
        except Exception as error:  # noqa: BLE001 - whatever a datagram does to a handler, the thread lives
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._counters.handler_errors += 1
        kind = type(error).__name__
        if kind not in self._told:
            self._told.add(kind)
            log.error("rtp_handler_failed", extra={"kind": kind}, exc_info=error)
