"""RTCP of the RTP slots (RFC 3550 6): reports out each 5 s +-50 %, what the peers' reports say of both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from telephony.media import receive_loops
from telephony.media.counters import Counters
from telephony.media.leg import Leg
from telephony.media.legs import Legs
from telephony.media.ports import Datagrams
from telephony.media.slots import RtpSlots
from telephony.rtp.errors import RtpError
from telephony.rtp.packet import HEADER_BYTES
from telephony.rtp.rtcp import (
    Compound,
    Report,
    ReportBlock,
    build_compound,
    compact_ntp,
    ntp_time,
    parse_compound,
    round_trip,
)

INTERVAL: Final = 5.0
DEAF_LOSS: Final = 0.9
"""Of our packets, by the peer's report: it hears next to nothing of us."""
_CNAME: Final = "media"


@dataclass(slots=True)
class Exchange:
    """What is known by reports of one leg. `remote_loss`: of our packets, by the peer's last word; `gone`: its BYE."""

    interval: float
    round_trip: float | None = None
    remote_loss: float | None = None
    gone: bool = False
    reported_expected: int = 0
    reported_received: int = 0
    sender_report: int = 0
    sender_report_at: float = 0.0


class RtcpExchange:
    """All RTP legs. Datagrams come from the legs' own sources only; muxed ones are unprotected already."""

    def __init__(
        self, slots: RtpSlots, legs: Legs, datagrams: Datagrams, counters: Counters
    ) -> None:
        self._slots = slots
        self._legs = legs
        self._datagrams = datagrams
        self._counters = counters
        self._exchanges: dict[int, Exchange] = {}
        self.due = np.full(slots.rows, np.inf)
        """When each row's next report leaves."""
        self.deaf = np.zeros(slots.rows, np.bool_)
        """The peer says that it hears nothing of us."""

    def start(self, row: int, now: float, chance: float) -> None:
        """`chance` (0..1) spreads the reports (RFC 3550 6.2)."""
        interval = INTERVAL * (0.5 + chance)
        self._exchanges[row] = Exchange(interval)
        self.due[row] = now + interval
        self.deaf[row] = False

    def stop(self, leg: Leg, now: float) -> None:
        """The leg ends: says so to its peer."""
        self._send(leg, now, goodbye=True)
        del self._exchanges[leg.row]
        self.due[leg.row] = np.inf

    def of(self, row: int) -> Exchange:
        return self._exchanges[row]

    # -------------------------------------------------------------------------------------------------- receiving

    def receive(self, now: float) -> None:
        """What came to the ports above those of RTP."""
        for port, datagram, address, _ in self._datagrams.receive_rtcp():
            ssrc = int.from_bytes(datagram[4:8], "big")
            slots = self._slots
            row = receive_loops.reporter(
                ssrc, port, address,
                slots.active, slots.key, slots.ssrc, slots.port, slots.address,
            )  # fmt: skip
            if row < 0:
                self._counters.strays += 1
                continue
            secure = self._legs.by_row[row].secure
            clear = datagram if secure is None else secure.unprotect_rtcp(datagram)
            if clear is None:
                self._counters.malformed["srtcp"] += 1
            else:
                self.arrived(row, clear, now)

    def arrived(self, row: int, datagram: bytes, now: float) -> None:
        """A compound of this leg's peer, in clear; a malformed one is dropped whole."""
        exchange = self._exchanges.get(row)
        if exchange is None:
            return
        try:
            compound = parse_compound(datagram)
        except RtpError as error:
            self._counters.malformed[error.kind] += 1
            return
        self._take(row, exchange, compound, now)

    def _take(self, row: int, exchange: Exchange, compound: Compound, now: float) -> None:
        ours = self._own_ssrc(row)
        for report in compound.reports:
            if report.ntp is not None:
                exchange.sender_report = compact_ntp(report.ntp)
                exchange.sender_report_at = now
            for block in report.blocks:
                if block.ssrc == ours:
                    exchange.remote_loss = block.fraction_lost / 256
                    self.deaf[row] = exchange.remote_loss >= DEAF_LOSS
                    trip = round_trip(block, now)
                    exchange.round_trip = exchange.round_trip if trip is None else trip
        if int(self._slots.ssrc[row]) in compound.goodbyes:
            exchange.gone = True

    # ---------------------------------------------------------------------------------------------------- sending

    def send(self, leg: Leg, now: float) -> None:
        """The report that is due."""
        self.due[leg.row] = now + self._exchanges[leg.row].interval
        self._send(leg, now)

    def _send(self, leg: Leg, now: float, *, goodbye: bool = False) -> None:
        slots, row = self._slots, leg.row
        if not slots.remote_port[row] or not slots.address[row]:
            return
        sent = slots.sent(row)
        block = (self._block(row, now),) if leg.ever_latched else ()
        report = Report(
            ssrc=self._own_ssrc(row),
            blocks=block,
            ntp=ntp_time(now) if sent else None,
            rtp_timestamp=int(slots.timestamp[row]),
            packets=sent,
            octets=sent * (int(slots.size[row]) - HEADER_BYTES),
        )
        compound = build_compound(report, _CNAME, goodbye=goodbye)
        if leg.secure is not None:
            compound = leg.secure.protect_rtcp(compound)
        address, port = self._destination(leg)
        mux = leg.parameters.rtcp_mux
        self._datagrams.send_one(int(slots.port[row]), compound, address, port, rtcp=not mux)

    def _destination(self, leg: Leg) -> tuple[int, int]:
        """Muxed: where RTP goes. Else the port of the SDP, or the one above that of RTP (RFC 3605)."""
        row, told = leg.row, leg.parameters.remote_rtcp
        address, port = int(self._slots.address[row]), int(self._slots.remote_port[row])
        if leg.parameters.rtcp_mux:
            return address, port
        if told is not None and leg.signalled == (address, port):
            return self._legs.addresses.number(told[0]), told[1]
        return address, port + 1

    def _own_ssrc(self, row: int) -> int:
        return int.from_bytes(self._slots.packets[row, 8:12].tobytes(), "big")

    def _block(self, row: int, now: float) -> ReportBlock:
        slots, exchange = self._slots, self._exchanges[row]
        expected = int(slots.last_sequence[row] - slots.first_extended[row]) + 1
        received = int(slots.received[row])
        fresh = expected - exchange.reported_expected
        lost = fresh - (received - exchange.reported_received)
        fraction = max(0, min(255, lost * 256 // fresh)) if fresh > 0 else 0
        exchange.reported_expected, exchange.reported_received = expected, received
        known = exchange.sender_report
        return ReportBlock(
            ssrc=int(slots.ssrc[row]),
            fraction_lost=fraction,
            lost=expected - received,
            highest=int(slots.last_sequence[row]),
            jitter=int(slots.jitter[row]),
            last_report=known,
            since_last_report=int((now - exchange.sender_report_at) * 65536) if known else 0,
        )
