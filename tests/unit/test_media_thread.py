from __future__ import annotations

import asyncio
import threading

from telephony.media.commands import StartRtp
from telephony.media.notices import Levels, Notice
from telephony.media.parameters import MediaSettings, RtpParameters
from telephony.media.plane import MediaPlane
from tests.fakes.datagrams import MemoryDatagrams
from tests.unit.media_line import PHONE

SMALL = MediaSettings(rtp_capacity=4, packet_capacity=4, voice_capacity=4)


class ClockBrokenError(Exception):
    """Ends the thread, as any fault inside it would."""


class ScriptedClock:
    """Arrives at each deadline without waiting; is `late_by` late once, and ends the thread after `sub_ticks`."""

    def __init__(self, sub_ticks: int, *, late_at: int = -1, late_by: float = 0.0) -> None:
        self._left = sub_ticks
        self._late_at = sub_ticks - late_at
        self._late_by = late_by
        self._now = 500.0
        self.ended = threading.Event()

    def now(self) -> float:
        return self._now

    def sleep_until(self, deadline: float) -> None:
        if self._left == 0:
            self.ended.set()
            raise ClockBrokenError
        self._now = max(self._now, deadline)
        if self._left == self._late_at:
            self._now += self._late_by
        self._left -= 1

    def thread_cpu(self) -> float:
        return 0.0


async def run(clock: ScriptedClock) -> tuple[MediaPlane, MemoryDatagrams, list[Notice]]:
    datagrams = MemoryDatagrams()
    plane = MediaPlane(SMALL, datagrams=datagrams, clock=clock)
    slot, _ = plane.reserve_rtp(PHONE)
    plane.apply(StartRtp(slot, RtpParameters(PHONE)))
    told: list[Notice] = []
    plane.start(asyncio.get_running_loop(), told.extend)
    await asyncio.to_thread(clock.ended.wait, 5)
    plane.stop()
    return plane, datagrams, told


async def test_a_thread_that_is_200_ms_late_drops_the_past_and_sends_no_burst():
    plane, datagrams, _ = await run(ScriptedClock(400, late_at=200, late_by=1.0))
    assert plane.stats().counters.overruns == 1
    assert len(datagrams.sent) == 100


async def test_a_thread_that_is_a_little_late_catches_up_without_an_overrun():
    plane, datagrams, _ = await run(ScriptedClock(400, late_at=200, late_by=0.1))
    assert plane.stats().counters.overruns == 0
    assert len(datagrams.sent) == 100


async def test_notices_reach_the_loop():
    _, _, told = await run(ScriptedClock(200))
    assert [type(notice) for notice in told] == [Levels] * 5


async def test_a_plane_whose_thread_ended_is_not_alive_and_closes_its_ports():
    plane, datagrams, _ = await run(ScriptedClock(4))
    assert not plane.alive
    assert datagrams.closed
