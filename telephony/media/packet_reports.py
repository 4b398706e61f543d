"""Silence and quality of packet slots, once a second each; their RTCP belongs to whoever owns the transport."""

from __future__ import annotations

from telephony.media.handles import SlotHandle
from telephony.media.notices import MediaLost, Notice, Quality
from telephony.media.packet_legs import CLOCK_STEP, PacketLeg, PacketLegs
from telephony.media.parameters import MediaSettings
from telephony.rtp.quality import mos

SUB_TICKS_PER_SECOND = 200
_CLOCK_PER_MS = CLOCK_STEP / 20
_FRAME_MS = 20.0


class PacketReports:
    """All packet slots."""

    def __init__(self, settings: MediaSettings, legs: PacketLegs) -> None:
        self._settings = settings
        self._legs = legs

    def step(self, sub_tick: int, now: float) -> list[Notice]:
        notices: list[Notice] = []
        for row, leg in self._legs.items():
            if row % SUB_TICKS_PER_SECOND == sub_tick % SUB_TICKS_PER_SECOND:
                self._visit(row, leg, now, notices)
        return notices

    def _visit(self, row: int, leg: PacketLeg, now: float, notices: list[Notice]) -> None:
        if leg.received == 0 and leg.heard_at == 0.0:
            leg.heard_at = now
            leg.quality_at = now + self._settings.quality_interval
        settings = self._settings
        limit = settings.media_lost_in_call if leg.received else settings.media_lost_after_start
        silent_for = now - leg.heard_at
        if silent_for < limit:
            leg.lost_told = False
        elif not leg.lost_told:
            leg.lost_told = True
            notices.append(MediaLost(SlotHandle(leg.handle), silent_for, now))
        if now >= leg.quality_at and leg.received:
            leg.quality_at = now + settings.quality_interval
            notices.append(self._quality(row, leg, now))

    def _quality(self, row: int, leg: PacketLeg, now: float) -> Quality:
        received, lost = leg.received - leg.told_received, leg.lost - leg.told_lost
        late = int(self._legs.buffers.late[row])
        fresh_late = late - leg.told_late
        leg.told_received, leg.told_lost, leg.told_late = leg.received, leg.lost, late
        loss = lost / (received + lost) if received + lost else 0.0
        depth_ms = _FRAME_MS * float(self._legs.buffers.target[row])
        return Quality(
            slot=SlotHandle(leg.handle),
            received=received,
            lost=lost,
            late=fresh_late,
            concealed=lost,
            loss=loss,
            jitter_ms=leg.jitter / _CLOCK_PER_MS,
            round_trip_ms=None,
            mos=mos(loss, depth_ms + _FRAME_MS),
            at=now,
        )
