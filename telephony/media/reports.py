"""What is looked at once a second per leg: silence of the peer, digits without an end, RTCP, and quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.counters import Counters
from telephony.media.garbling import PAUSE, GarblingWatch
from telephony.media.leg import Leg
from telephony.media.legs import RELATCH_SILENCE, Legs
from telephony.media.notices import AudioTroubled, Digit, MediaLost, Notice, Quality, TroubleKind
from telephony.media.parameters import MediaSettings
from telephony.media.ports import Datagrams
from telephony.media.slots import FRAME_SAMPLES, NOT_ACCEPTED, RtpSlots
from telephony.rtp.errors import RtpError
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.quality import mos
from telephony.rtp.rtcp import (
    Report,
    ReportBlock,
    build_compound,
    compact_ntp,
    ntp_time,
    parse_compound,
)

Counts = NDArray[np.int64]

SUB_TICKS_PER_SECOND: Final = 200
RTCP_INTERVAL: Final = 5.0
_CNAME: Final = "media"
_CLOCK_HZ: Final = 8000
_DIGITS_EVERY: Final = 10
_NO_DELAY_KNOWN_MS: Final = 0.0


@dataclass(slots=True)
class _Account:
    """One leg's last reports: (extended sequence, received, late, concealed) when quality was last told."""

    rtcp_at: float
    interval: float
    quality_at: float
    extended: int = 0
    received: int = 0
    late: int = 0
    concealed: int = 0
    reported_extended: int = 0
    reported_received: int = 0
    sender_report: int = 0
    sender_report_at: float = 0.0
    round_trip: float | None = None
    garbling: GarblingWatch = field(default_factory=GarblingWatch)
    garbled_told: float = float("-inf")


class Reports:
    """All RTP legs; each is visited once a second, spread over the sub-ticks."""

    def __init__(
        self,
        settings: MediaSettings,
        slots: RtpSlots,
        buffers: JitterBuffers,
        legs: Legs,
        concealed: Counts,
        datagrams: Datagrams,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._slots = slots
        self._buffers = buffers
        self._legs = legs
        self._concealed = concealed
        self._datagrams = datagrams
        self._counters = counters
        self._accounts: dict[int, _Account] = {}

    def start(self, row: int, now: float, chance: float) -> None:
        """`chance` (0..1) spreads the reports: each 5 s +-50 % (RFC 3550 6.2)."""
        interval = RTCP_INTERVAL * (0.5 + chance)
        quality_at = now + self._settings.quality_interval
        self._accounts[row] = _Account(now + interval, interval, quality_at)

    def stop(self, row: int) -> None:
        del self._accounts[row]

    def step(self, sub_tick: int, muxed: list[tuple[int, bytes]], now: float) -> list[Notice]:
        for row, datagram in muxed:
            self._arrived(row, datagram, now)
        if sub_tick % 4 == 0:
            self._receive(now)
        notices: list[Notice] = []
        if sub_tick % _DIGITS_EVERY == 0:
            self._finish_digits(now, notices)
        for row in range(sub_tick % SUB_TICKS_PER_SECOND, self._slots.rows, SUB_TICKS_PER_SECOND):
            if row in self._accounts:
                self._visit(self._legs.by_row[row], self._accounts[row], now, notices)
        return notices

    def _finish_digits(self, now: float, notices: list[Notice]) -> None:
        for row in list(self._legs.open_digits):
            leg = self._legs.by_row[row]
            digit = leg.digits.silent(now)
            if digit is not None:
                notices.append(Digit(leg.handle, digit, now))
            if not leg.digits.open:
                self._legs.open_digits.discard(row)

    def _visit(self, leg: Leg, account: _Account, now: float, notices: list[Notice]) -> None:
        silent_for = now - float(self._slots.heard_at[leg.row])
        if silent_for > RELATCH_SILENCE:
            self._legs.expect_again(leg.row)
        limit = self._settings.media_lost_after_start
        if leg.ever_latched:
            limit = self._settings.media_lost_in_call
        if silent_for < limit:
            leg.lost_told = False
        elif leg.parameters.receiving and not leg.lost_told:
            leg.lost_told = True
            notices.append(MediaLost(leg.handle, silent_for, now))
        if now >= account.rtcp_at:
            account.rtcp_at = now + account.interval
            self._send(leg, account, now)
        if now >= account.quality_at and leg.ever_latched:
            account.quality_at = now + self._settings.quality_interval
            notices.append(self._quality(leg, account, now))
        self._watch(leg, account, now, notices)

    def _watch(self, leg: Leg, account: _Account, now: float, notices: list[Notice]) -> None:
        slots, row = self._slots, leg.row
        watch = account.garbling
        kind = watch.packets(int(slots.received[row]), int(slots.unusable[row]))
        if kind is None:
            pcm = self._buffers.latest(row)
            law = int(slots.laws[row, leg.parameters.payload_type])
            if pcm is not None and law != NOT_ACCEPTED:
                kind = watch.look(pcm, law, now)
        if kind is not None and now - account.garbled_told >= PAUSE:
            account.garbled_told = now
            notices.append(AudioTroubled(leg.handle, TroubleKind.GARBLED, kind.value, now))

    # --------------------------------------------------------------------------------------------------- quality

    def _quality(self, leg: Leg, account: _Account, now: float) -> Quality:
        slots, row = self._slots, leg.row
        extended = int(slots.last_sequence[row] - slots.first_extended[row]) + 1
        totals = int(slots.received[row]), int(self._buffers.late[row]), int(self._concealed[row])
        received, late, concealed = (
            total - before
            for total, before in zip(
                totals, (account.received, account.late, account.concealed), strict=True
            )
        )
        expected = max(extended - account.extended, 0)
        lost = max(expected - received, 0)
        account.extended = extended
        account.received, account.late, account.concealed = totals
        loss = lost / expected if expected else 0.0
        trip = account.round_trip
        one_way = trip * 500 if trip is not None else _NO_DELAY_KNOWN_MS
        depth_ms = 20.0 * float(self._buffers.target[row])
        jitter_ms = float(slots.jitter[row]) * 1000 / _CLOCK_HZ
        return Quality(
            slot=leg.handle,
            received=received,
            lost=lost,
            late=late,
            concealed=concealed,
            loss=loss,
            jitter_ms=jitter_ms,
            round_trip_ms=trip * 1000 if trip is not None else None,
            mos=mos(loss, one_way + depth_ms + 20),
            at=now,
        )

    # ------------------------------------------------------------------------------------------------------ RTCP

    def _receive(self, now: float) -> None:
        for port, datagram, address, _ in self._datagrams.receive_rtcp():
            ssrc = int.from_bytes(datagram[4:8], "big")
            slots = self._slots
            match = slots.active & (slots.ssrc == ssrc) & (slots.port == port) & (slots.key > 0)
            rows = np.flatnonzero(match & (slots.address == address))
            if len(rows):
                self._arrived(int(rows[0]), datagram, now)
            else:
                self._counters.strays += 1

    def _arrived(self, row: int, datagram: bytes, now: float) -> None:
        account = self._accounts.get(row)
        if account is None:
            return
        try:
            reports = parse_compound(datagram).reports
        except RtpError as error:
            self._counters.malformed[error.kind] += 1
            return
        ours = int.from_bytes(self._slots.packets[row, 8:12].tobytes(), "big")
        for report in reports:
            if report.ntp is not None:
                account.sender_report = compact_ntp(report.ntp)
                account.sender_report_at = now
            for block in report.blocks:
                if block.ssrc == ours and block.last_report:
                    self._measure(account, block, now)

    def _measure(self, account: _Account, block: ReportBlock, now: float) -> None:
        """Round trip (RFC 3550 6.4.1); our NTP time is the monotonic clock."""
        elapsed = compact_ntp(ntp_time(now)) - block.last_report - block.since_last_report
        trip = (elapsed & 0xFFFFFFFF) / 65536
        if trip < 10:
            account.round_trip = trip

    def _send(self, leg: Leg, account: _Account, now: float) -> None:
        slots, row = self._slots, leg.row
        if not slots.remote_port[row] or not slots.address[row]:
            return
        ssrc = int.from_bytes(slots.packets[row, 8:12].tobytes(), "big")
        sent = int(slots.sent[row])
        report = Report(
            ssrc=ssrc,
            blocks=(self._block(row, account, now),) if leg.ever_latched else (),
            ntp=ntp_time(now) if sent else None,
            rtp_timestamp=int(slots.timestamp[row]),
            packets=sent,
            octets=sent * FRAME_SAMPLES,
        )
        mux = leg.parameters.rtcp_mux
        self._datagrams.send_one(
            int(slots.port[row]),
            build_compound(report, _CNAME),
            int(slots.address[row]),
            int(slots.remote_port[row]) + (0 if mux else 1),
            rtcp=not mux,
        )

    def _block(self, row: int, account: _Account, now: float) -> ReportBlock:
        slots = self._slots
        expected = int(slots.last_sequence[row] - slots.first_extended[row]) + 1
        received = int(slots.received[row])
        fresh = expected - account.reported_extended
        lost = fresh - (received - account.reported_received)
        fraction = max(0, min(255, lost * 256 // fresh)) if fresh > 0 else 0
        account.reported_extended, account.reported_received = expected, received
        since = int((now - account.sender_report_at) * 65536) if account.sender_report else 0
        return ReportBlock(
            ssrc=int(slots.ssrc[row]),
            fraction_lost=fraction,
            lost=expected - received,
            highest=int(slots.last_sequence[row]),
            jitter=int(slots.jitter[row]),
            last_report=account.sender_report,
            since_last_report=since,
        )
