"""Receiving RTP: demultiplex by (local port, source), take what is plain in one go, hand the rest to the slow path."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711, receive_loops
from telephony.media.counters import Counters
from telephony.media.legs import Legs
from telephony.media.ports import Arrivals, Datagrams
from telephony.media.slots import FRAME_SAMPLES, RtpSlots
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.packet import is_rtcp, parse_packet

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

ARRIVAL_ROWS: Final = 4096
SLOW_ROWS_PER_PORT: Final = 200
SLOW_ROWS: Final = 600
"""Of all ports together: about 3 ms of Python, so that a flood on every port leaves the sub-tick its time."""
_REFUSED: Final = -2
"""Instead of a datagram's size: what should be SRTP is not theirs."""


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
        self._table = receive_loops.table_for(slots.rows)
        self._rows: Rows = np.zeros(ARRIVAL_ROWS, np.int64)
        self._taken: Rows = np.zeros(ARRIVAL_ROWS, np.int64)
        self._frames: Rows = np.zeros(ARRIVAL_ROWS, np.int64)
        self._pcm = np.zeros((ARRIVAL_ROWS, FRAME_SAMPLES), np.int16)
        self._left: Rows = np.zeros(ARRIVAL_ROWS, np.int64)
        self._dropped: Rows = np.zeros(2, np.int64)
        self._told: set[str] = set()
        self._muxed_rtcp: list[tuple[int, bytes]] = []

    def receive(self, now: float) -> None:
        """Everything that waits on the ports."""
        arrivals, slots = self._arrivals, self._slots
        count = self._datagrams.receive(arrivals)
        if not count:
            return
        if self._legs.table_changed:
            receive_loops.fill(slots.key, self._table)
            self._legs.table_changed = False
        self._counters.received += count
        receive_loops.look_up(
            count,
            slots.key,
            self._table,
            arrivals.port,
            arrivals.address,
            arrivals.source_port,
            self._rows,
        )
        if slots.srtp:
            self._unprotect(count)
        taken = self._take_plain(count, now)
        if taken < count:
            self._take_rest(count - taken, now)

    def take_rtcp(self) -> list[tuple[int, bytes]]:
        """(row, datagram) of RTCP that came to an RTP port (RFC 5761) since the last call."""
        taken, self._muxed_rtcp = self._muxed_rtcp, []
        return taken

    def _unprotect(self, count: int) -> None:
        """In place, so that what follows sees plain RTP and RTCP."""
        slots, arrivals, rows = self._slots, self._arrivals, self._rows[:count]
        base = arrivals.data.ctypes.data
        secured = (rows >= 0) & slots.secure[rows] & (arrivals.size[:count] > 0)
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

    def _take_plain(self, count: int, now: float) -> int:
        """The fast path; how many it took."""
        slots, arrivals = self._slots, self._arrivals
        taken = receive_loops.take_plain(
            count,
            now,
            self._rows,
            arrivals.data,
            arrivals.size,
            slots.laws,
            slots.ssrc,
            self._legs.relearning,
            slots.last_sequence,
            slots.last_timestamp,
            slots.last_frame,
            slots.received,
            slots.heard_at,
            slots.transit,
            slots.jitter,
            g711.DECODE,
            self._taken,
            self._frames,
            self._pcm,
            self._left,
        )
        if taken:
            self._buffers.place(self._taken[:taken], self._frames[:taken], self._pcm[:taken])
        return taken

    # ------------------------------------------------------------------------------------------------ slow path

    def _take_rest(self, left: int, now: float) -> None:
        arrivals, dropped, rows = self._arrivals, self._dropped, self._rows
        wanted = receive_loops.sift(
            left, self._left, rows, arrivals.size, arrivals.port, self._legs.expecting, dropped
        )
        self._counters.truncated += int(dropped[0])
        self._counters.strays += int(dropped[1])
        if wanted:
            for at in self._within_limit(self._left[:wanted]):
                self._slow(at, int(rows[at]), now)

    def _within_limit(self, wanted: Rows) -> list[int]:
        """In the order of their importance; what is left out is counted."""
        ranked = wanted if len(wanted) == 1 else wanted[self._ranks(wanted).argsort(kind="stable")]
        if len(ranked) <= SLOW_ROWS_PER_PORT:
            return [int(at) for at in ranked]
        ports = self._arrivals.port[ranked]
        order = np.argsort(ports, kind="stable")
        begins = np.searchsorted(ports[order], ports[order])
        place = np.empty(len(ranked), np.int64)
        place[order] = np.arange(len(ranked)) - begins
        kept = ranked[place < SLOW_ROWS_PER_PORT][:SLOW_ROWS]
        self._counters.over_limit += len(ranked) - len(kept)
        return [int(at) for at in kept]

    def _ranks(self, wanted: Rows) -> Rows:
        """0: known sources; 1: the addresses that SDPs promised, so that a flood (2) cannot crowd them out."""
        known = self._rows[wanted] >= 0
        ranks = np.where(known, 0, 2)
        promised = self._legs.promised() if np.count_nonzero(known) < len(wanted) else ()
        if promised:
            arrivals = self._arrivals
            sources = zip(
                arrivals.port[wanted].tolist(),
                arrivals.address[wanted].tolist(),
                arrivals.source_port[wanted].tolist(),
                strict=True,
            )
            ranks[[source in promised for source in sources] & ~known] = 1
        return ranks

    def _slow(self, at: int, row: int, now: float) -> None:
        arrivals, known = self._arrivals, row >= 0
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
