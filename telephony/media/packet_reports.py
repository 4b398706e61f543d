"""Silence, quality and troubles of packet slots, once a second each; their RTCP belongs to whoever owns the transport."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from telephony.media.audio_watch import CHECK_EVERY, AudioWatch
from telephony.media.handles import SlotHandle
from telephony.media.notices import MediaLost, Notice, TroubleKind
from telephony.media.packet_legs import CLOCK_STEP, PacketLeg, PacketLegs
from telephony.media.parameters import MediaSettings
from telephony.media.quality_account import RECENT, Line, QualityAccount, Totals
from telephony.media.reports import deafness
from telephony.media.slots import QUARTERS, rows_of_quarter
from telephony.media.troubles import Troubles
from telephony.media.visits import ONE_WAY_AFTER
from telephony.rtp.quality import OPUS

SUB_TICKS_PER_SECOND = 200
_CLOCK_PER_MS = CLOCK_STEP / 20


class _Account:
    def __init__(self, leg: PacketLeg, now: float, interval: float) -> None:
        self.quality = QualityAccount(now, interval)
        self.troubles = Troubles(SlotHandle(leg.handle))
        # Not the leg itself: a slot that is gone would keep its codec, 60 kB.
        self.handle = leg.handle
        self.recent: deque[Totals] = deque([Totals()], maxlen=RECENT)


class PacketReports:
    """All packet slots."""

    def __init__(self, settings: MediaSettings, legs: PacketLegs) -> None:
        self._settings = settings
        self._legs = legs
        self._watch = AudioWatch(len(legs.active))
        self._unwell: NDArray[np.bool_] = np.zeros(len(legs.active), np.bool_)
        self._accounts: dict[int, _Account] = {}

    def step(self, sub_tick: int, now: float) -> list[Notice]:
        notices: list[Notice] = []
        round_number, quarter = divmod(sub_tick, QUARTERS)
        rows = rows_of_quarter(self._legs.buffers.begun, quarter)
        if sub_tick % 2:
            self._watch.look(self._legs.buffers, sub_tick)
        if round_number % CHECK_EVERY == 0 and len(rows):
            self._check(rows, now, notices)
        first = sub_tick % SUB_TICKS_PER_SECOND
        for row in range(first, len(self._legs.active), SUB_TICKS_PER_SECOND):
            leg = self._legs.at(row)
            if leg is not None:
                self._visit(row, leg, now, notices)
        return notices

    def _check(self, rows: NDArray[np.int64], now: float, notices: list[Notice]) -> None:
        """Asks those streams that sound odd, or did so far."""
        asked = {*self._watch.suspects(rows).tolist(), *rows[self._unwell[rows]].tolist()}
        for row in asked & self._accounts.keys():
            troubles = self._accounts[row].troubles
            garbled = self._watch.judge(row, None, None)
            notices += troubles.tell_sound(self._watch, row, garbled, now)
            self._unwell[row] = troubles.audible

    def _account(self, row: int, leg: PacketLeg, now: float) -> _Account:
        account = self._accounts.get(row)
        if account is None or account.handle != leg.handle:
            # The slot before in this row is gone, and all that was known of it.
            account = self._accounts[row] = _Account(leg, now, self._settings.quality_interval)
            self._watch.forget(row)
            self._unwell[row] = False
            leg.heard_at = max(leg.heard_at, now) if leg.received == 0 else leg.heard_at
        return account

    def _visit(self, row: int, leg: PacketLeg, now: float, notices: list[Notice]) -> None:
        account = self._account(row, leg, now)
        settings = self._settings
        limit = settings.media_lost_in_call if leg.received else settings.media_lost_after_start
        silent_for = now - leg.heard_at
        if silent_for < limit:
            leg.lost_told = False
        elif not leg.lost_told:
            leg.lost_told = True
            notices.append(MediaLost(SlotHandle(leg.handle), silent_for, now))
        line, totals = self._line(row, leg), self._totals(row, leg)
        account.recent.append(totals)
        if now >= account.quality.due:
            quality = account.quality.measure(SlotHandle(leg.handle), totals, line, now)
            if quality is not None:
                notices.append(quality)
        one_way = self._one_way(leg, now)
        notices += account.troubles.tell(TroubleKind.ONE_WAY, one_way, now)
        poor = account.quality.poor(account.recent[0], totals, line)
        notices += account.troubles.tell(TroubleKind.POOR, poor, now)

    def _one_way(self, leg: PacketLeg, now: float) -> str | None:
        since = max(leg.heard_at, leg.expected_since)
        if now - since >= ONE_WAY_AFTER:
            return "nothing arrives"
        return deafness(leg.remote_loss)

    def _totals(self, row: int, leg: PacketLeg) -> Totals:
        return Totals(
            expected=leg.received + leg.lost,
            received=leg.received,
            late=int(self._legs.buffers.late[row]),
            concealed=leg.lost,
            lost=leg.lost,
            holes=leg.decoder.holes,
        )

    def _line(self, row: int, leg: PacketLeg) -> Line:
        return Line(
            jitter_ms=leg.jitter / _CLOCK_PER_MS,
            depth=float(self._legs.buffers.target[row]),
            round_trip=leg.round_trip,
            remote_loss=leg.remote_loss,
            codec=OPUS,
        )
