"""One sub-tick after another: the order in which received audio is heard, decided upon, mixed and sent.

Everything here runs in one thread, or in a test, under `step(now)`; nothing here waits or reads a clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from telephony.media.addresses import AddressBook
from telephony.media.comfort import ComfortNoise
from telephony.media.counters import Counters
from telephony.media.ears import Ears
from telephony.media.intake import Intake
from telephony.media.legs import Legs
from telephony.media.meters import Meters
from telephony.media.mixer import Floor
from telephony.media.notices import Notice
from telephony.media.packet_legs import PacketLegs
from telephony.media.packet_reports import PacketReports
from telephony.media.parameters import MediaSettings
from telephony.media.playback import StreamPlayback, VoicePlayback
from telephony.media.playout import Voices
from telephony.media.ports import AudioTap, Datagrams
from telephony.media.receiver import Receiver
from telephony.media.registry import PortLedger, Registry
from telephony.media.reports import Reports
from telephony.media.resample import WIDE
from telephony.media.sender import Sender
from telephony.media.slots import FRAME_SAMPLES, QUARTERS, RtpSlots, rows_of_quarter
from telephony.media.visits import Heard
from telephony.rtp.jitter_buffer import JitterBuffers

ADAPT_EVERY: Final = 50
"""Rounds of 20 ms: each second."""
LEVELS_EVERY: Final = 40
"""Sub-ticks: all slots five times a second, in one notice."""


class Engine:
    """The tables of a plane and their order of work."""

    def __init__(
        self,
        settings: MediaSettings,
        datagrams: Datagrams,
        tap: AudioTap | None,
        addresses: AddressBook,
    ) -> None:
        rtp, packet = settings.rtp_capacity, settings.packet_capacity
        slots = rtp + packet
        self.settings = settings
        self.counters = Counters()
        self.registry = Registry(rtp, packet, settings.voice_capacity)
        handles = self.registry.handles
        self.voices = Voices(settings.voice_capacity)
        self.meters = Meters(slots)
        self.floor = Floor(slots + settings.voice_capacity, slots)
        self.floor.wide[rtp:slots] = True
        self.ears = Ears(slots, self.voices, self.meters, self.counters, handles[:slots], tap)
        self.slots = RtpSlots(rtp)
        self.buffers = JitterBuffers(rtp, FRAME_SAMPLES)
        self.ledger = PortLedger(len(datagrams.local_ports), datagrams.first_v6)
        self.wide_buffers = JitterBuffers(rtp, WIDE)
        self.intake = Intake(self.slots, self.buffers, self.wide_buffers, self.counters)
        self.legs = Legs(self.slots, self.intake, self.counters, self.ledger, addresses)
        self.receiver = Receiver(self.slots, self.buffers, self.legs, datagrams, self.counters)
        noise = self.intake.noise
        self.stream_playback = StreamPlayback(self.buffers, self.floor, 0, noise)
        self.wide_playback = StreamPlayback(self.wide_buffers, self.floor, 0, noise)
        self.sender = Sender(self.slots, self.floor, self.meters, datagrams, self.counters)
        self.packet_legs = PacketLegs(packet, rtp, self.floor, self.meters, self.counters)
        self.packet_playback = StreamPlayback(
            self.packet_legs.buffers, self.floor, rtp, ComfortNoise(packet)
        )
        self.voice_playback = VoicePlayback(self.voices, self.floor, slots)
        self.reports = Reports(
            settings,
            self.slots,
            Heard(self.buffers, self.stream_playback.concealed),
            Heard(self.wide_buffers, self.wide_playback.concealed),
            self.legs,
            datagrams,
            self.counters,
        )
        self.packet_reports = PacketReports(settings, self.packet_legs)
        self._sub_tick = 0

    def step(self, now: float) -> list[Notice]:
        """One sub-tick, commands already applied."""
        quarter = self._sub_tick % QUARTERS
        self.receiver.receive(now)
        self.intake.decode(now)
        if self.packet_legs.in_use:
            self.packet_legs.receive(now)
        notices = self.ears.hear(self.buffers, 0, now)
        if self.slots.coders:
            notices += self.ears.hear(self.wide_buffers, 0, now)
        if self.packet_legs.in_use:
            notices += self.ears.hear(self.packet_legs.buffers, self.slots.rows, now)
        notices += self.ears.end_silent(now)
        notices += self._play_out(quarter, now)
        notices += self.reports.step(self._sub_tick, self.receiver.take_rtcp(), now)
        if self.packet_legs.in_use:
            notices += self.packet_reports.step(self._sub_tick, now)
        notices += self.legs.take_notices()
        self._sub_tick += 1
        self.counters.sub_ticks += 1
        return notices

    def _play_out(self, quarter: int, now: float) -> list[Notice]:
        round_number = self._sub_tick // QUARTERS
        adapt = round_number % ADAPT_EVERY == ADAPT_EVERY - 1
        self._play_streams(self.stream_playback, self.buffers, quarter, adapt=adapt)
        if self.slots.coders:
            self._play_streams(self.wide_playback, self.wide_buffers, quarter, adapt=adapt)
        packets = self.packet_legs
        if packets.in_use:
            self._play_streams(self.packet_playback, packets.buffers, quarter, adapt=adapt)
        notices = self.voice_playback.play(quarter, now)
        self.sender.play_out(quarter)
        if packets.in_use:
            packets.play_out(quarter)
        if self._sub_tick % LEVELS_EVERY == LEVELS_EVERY - 1:
            notices += self._levels(now)
        return notices

    def _play_streams(
        self,
        playback: StreamPlayback,
        buffers: JitterBuffers,
        quarter: int,
        *,
        adapt: bool,
    ) -> None:
        rows = rows_of_quarter(buffers.begun, quarter)
        if len(rows):
            playback.play(rows, self.ears.detectors.speech, adapt=adapt)

    def _levels(self, now: float) -> list[Notice]:
        rtp = self.slots.active.nonzero()[0]
        packet = self.packet_legs.active.nonzero()[0] + self.slots.rows
        rows = np.concatenate((rtp, packet))
        if not len(rows):
            return []
        return [self.meters.read(rows, self.registry.handles[rows], now)]
