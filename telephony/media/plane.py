"""The media plane as its users see it: reservations, commands in, notices out, and the thread between.

The thread applies commands and steps the engine each 5 ms. Over 200 ms late it takes the present as its deadline and
counts an overrun: it never sends a burst to catch up. The process's main sets `sys.setswitchinterval(0.0005)`;
without it a CPU-bound thread beside this one delays it by 5 ms at a time.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from telephony.media import opus, udp
from telephony.media.addresses import AddressBook, is_v6
from telephony.media.clock import MediaClock, MonotonicClock
from telephony.media.commands import Command
from telephony.media.counters import Counters
from telephony.media.dispatch import Dispatcher
from telephony.media.engine import Engine
from telephony.media.handles import SlotHandle, VoiceHandle, index_of
from telephony.media.joined import JoinedDatagrams
from telephony.media.notices import Notice
from telephony.media.packet_legs import PacketLeg
from telephony.media.parameters import MediaSettings
from telephony.media.ports import AudioTap, Datagrams
from telephony.media.udp_plain import PlainDatagrams

log = logging.getLogger(__name__)

SUB_TICK: Final = 0.005
_TOO_LATE: Final = 0.200
_PRIORITY: Final = 10
_LATENESS_KEPT: Final = 4096
_VOICE_RATES: Final = (8000, 16000)

Send = Callable[[bytes], None]
OnNotices = Callable[[list[Notice]], None]


@dataclass(frozen=True, slots=True)
class PlaneStats:
    """Lateness of the last 20 s of sub-ticks in milliseconds, their work, and totals since start.

    `cpu_seconds`: all CPU of the plane's thread. `late_chunks`: speech of utterances that were over already.
    """

    late_p50_ms: float
    late_p99_ms: float
    busy_p50_ms: float
    cpu_seconds: float
    late_chunks: int
    rtp_slots: int
    packet_slots: int
    voices: int
    counters: Counters


def open_datagrams(settings: MediaSettings, addresses: AddressBook) -> Datagrams:
    """The pool of ports of these settings. Raises: OSError if none of them is free."""
    ports, buffer = settings.rtp_ports, settings.receive_buffer_bytes
    if is_v6(settings.bind_address):
        return PlainDatagrams(settings.bind_address, ports, buffer, addresses)
    kind = udp.MmsgDatagrams if udp.available() else PlainDatagrams
    fourth = kind(settings.bind_address, ports, buffer)
    if not settings.bind_v6:
        return fourth
    try:
        sixth = PlainDatagrams(settings.bind_v6, ports, buffer, addresses)
    except OSError:
        fourth.close()
        raise
    return JoinedDatagrams(fourth, sixth)


class MediaPlane:
    """One per media node. All public methods but `step` are for the asyncio thread (`apply`: any thread)."""

    def __init__(
        self,
        settings: MediaSettings,
        *,
        datagrams: Datagrams | None = None,
        tap: AudioTap | None = None,
        clock: MediaClock | None = None,
        entropy: random.Random | None = None,
        addresses: AddressBook | None = None,
    ) -> None:
        addresses = addresses or AddressBook()
        self._datagrams = datagrams or open_datagrams(settings, addresses)
        self._clock = clock or MonotonicClock()
        self._entropy = entropy or random.SystemRandom()
        self._engine = Engine(settings, self._datagrams, tap, addresses)
        self._ledger = self._engine.ledger
        self._dispatcher = Dispatcher(self._engine, self._entropy)
        self._commands: deque[tuple[Command, ...]] = deque()
        self._first_voice = settings.rtp_capacity + settings.packet_capacity
        self._lateness: deque[float] = deque(maxlen=_LATENESS_KEPT)
        self._busy: deque[float] = deque(maxlen=_LATENESS_KEPT)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._loop: AbstractEventLoop | None = None
        self._on_notices: OnNotices = lambda notices: None
        self._cpu_seconds = 0.0
        self.prioritised = False

    # ----------------------------------------------------------------------------------------------- reservations

    def reserve_rtp(
        self, remote: tuple[str, int] | None = None, *, nat: bool = False, v6: bool = False
    ) -> tuple[SlotHandle, int]:
        """A slot and the local port to write into the SDP; `StartRtp` follows, or `Remove`.

        Give the peer's SDP address if it is known, else whether it will be of IPv6 (`v6`), and whether other addresses
        may send (`media_networks`).
        Raises: NoMediaCapacityError, with nothing allocated.
        """
        registry = self._engine.registry
        handle = SlotHandle(registry.take(registry.rtp))
        try:
            port = self._ledger.take(handle, remote, nat=nat, v6=v6)
        except Exception:
            registry.give_back(handle)
            raise
        self._engine.slots.port[index_of(handle)] = port
        return handle, self._datagrams.local_ports[port]

    def add_packet_slot(self, send: Send, *, payload_type: int = 111) -> SlotHandle:
        """A slot for Opus packets over another transport; `send` is called in the loop with each RTP packet.

        Raises: NoMediaCapacityError, CodecUnavailableError.
        """
        codec = opus.OpusCodec()
        registry = self._engine.registry
        handle = SlotHandle(registry.take(registry.packet))
        bits = self._entropy.getrandbits
        leg = PacketLeg(codec, send, payload_type, bits(32), bits(16), bits(32), handle=handle)
        self._engine.packet_legs.prepare(self._packet_row(handle), leg)
        return handle

    def add_voice(self, rate_hz: int) -> VoiceHandle:
        """A playout queue of int16 mono at 8000 or 16000 Hz. Raises: NoMediaCapacityError, ValueError."""
        if rate_hz not in _VOICE_RATES:
            raise ValueError(f"a voice is one of {_VOICE_RATES} Hz")
        registry = self._engine.registry
        handle = VoiceHandle(registry.take(registry.voice))
        index = index_of(handle)
        self._engine.floor.wide[index] = rate_hz == 16000
        self._engine.voices.add(index - self._first_voice, handle, rate_hz)
        return handle

    def _packet_row(self, handle: SlotHandle) -> int:
        return index_of(handle) - self._engine.slots.rows

    # --------------------------------------------------------------------------------------------------- commands

    def apply(self, *commands: Command) -> None:
        """Queues commands that take effect together in the next sub-tick, in this order."""
        self._commands.append(commands)

    def packet_arrived(self, slot: SlotHandle, packet: bytes) -> bool:
        """A received RTP packet of a packet slot; False if it was dropped (slot gone, 100 waiting)."""
        if not self._engine.registry.live(slot):
            self._engine.counters.inbox_dropped += 1
            return False
        return self._engine.packet_legs.arrived(self._packet_row(slot), packet)

    # ------------------------------------------------------------------------------------------------------- life

    def start(self, loop: AbstractEventLoop, on_notices: OnNotices) -> None:
        """Starts the thread; `on_notices` runs in `loop`."""
        self._loop, self._on_notices = loop, on_notices
        self._thread = threading.Thread(target=self._run, name="media-plane", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread within a sub-tick and closes the ports. Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._datagrams.close()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def late_ms(self, sub_ticks: int) -> float:
        """Lateness of the last sub-ticks, 99th percentile: what admission goes by."""
        newest = list(self._lateness)[-sub_ticks:]
        return float(np.percentile(newest, 99)) * 1000 if newest else 0.0

    @property
    def overruns(self) -> int:
        """Sub-ticks since the start that began too late to keep the pace."""
        return self._engine.counters.overruns

    @property
    def free_rtp_slots(self) -> int:
        """RTP legs that still find a place."""
        return self._engine.registry.rtp.free

    def reset_stats(self) -> None:
        """Forgets past lateness; the counters go on."""
        self._lateness.clear()
        self._busy.clear()

    def stats(self) -> PlaneStats:
        late = np.array(list(self._lateness) or [0.0]) * 1000
        busy = np.array(list(self._busy) or [0.0]) * 1000
        engine = self._engine
        return PlaneStats(
            late_p50_ms=float(np.percentile(late, 50)),
            late_p99_ms=float(np.percentile(late, 99)),
            busy_p50_ms=float(np.percentile(busy, 50)),
            cpu_seconds=self._cpu_seconds,
            late_chunks=engine.voices.late_chunks,
            rtp_slots=int(engine.slots.active.sum()),
            packet_slots=int(engine.packet_legs.active.sum()),
            voices=int(engine.voices.active.sum()),
            counters=engine.counters,
        )

    # -------------------------------------------------------------------------------------------------- sub-ticks

    def step(self, now: float) -> list[Notice]:
        """One sub-tick. For tests, without `start`: packets of packet slots are sent before it returns."""
        notices, packets = self._work(now)
        self._send_all(packets)
        return notices

    def _work(self, now: float) -> tuple[list[Notice], list[tuple[Send, bytes]]]:
        notices: list[Notice] = []
        self._engine.packet_legs.adopt()
        for _ in range(len(self._commands)):
            notices += self._dispatcher.apply(self._commands.popleft(), now)
        notices += self._engine.step(now)
        return notices, self._engine.packet_legs.take_outbox()

    def _run(self) -> None:
        try:
            self._tick()
        except Exception:
            log.exception("media_plane_died")

    def _tick(self) -> None:
        self.prioritised = _prioritise()
        if not self.prioritised:
            log.warning("media_not_prioritised")
        deadline = self._clock.now()
        while not self._stopping.is_set():
            deadline += SUB_TICK
            self._clock.sleep_until(deadline)
            now = self._clock.now()
            late = now - deadline
            self._lateness.append(late)
            if late > _TOO_LATE:
                deadline = now
                self._engine.counters.overruns += 1
            self._deliver(*self._work(now))
            self._busy.append(self._clock.now() - now)
            self._cpu_seconds = self._clock.thread_cpu()

    def _deliver(self, notices: list[Notice], packets: list[tuple[Send, bytes]]) -> None:
        if self._loop is None or not (notices or packets):
            return
        try:
            self._loop.call_soon_threadsafe(self._delivered, notices, packets)
        except RuntimeError:
            # The loop is closed: nobody is left to be told. `stop` follows.
            self._stopping.set()

    def _delivered(self, notices: list[Notice], packets: list[tuple[Send, bytes]]) -> None:
        self._send_all(packets)
        if notices:
            self._on_notices(notices)

    def _send_all(self, packets: Iterable[tuple[Send, bytes]]) -> None:
        for send, packet in packets:
            try:
                send(packet)
            except Exception:
                # One closed connection must not silence the others of this sub-tick.
                self._engine.counters.handler_errors += 1
                log.exception("packet_send_failed")


def _prioritise() -> bool:
    """SCHED_FIFO for this thread alone: what it starts does not inherit it."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True
