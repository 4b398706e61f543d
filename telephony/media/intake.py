"""Audio of one leg that the fast path did not take: where a stream begins, what belongs to it, and into which frames.

Runs in the plane's thread, packet by packet.
"""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from telephony.media import g711
from telephony.media.comfort import ComfortNoise
from telephony.media.counters import Counters
from telephony.media.leg import Leg
from telephony.media.ordered import OrderedDecoder, place_together
from telephony.media.slots import CODED, FRAME_SAMPLES, RtpSlots
from telephony.rtp.jitter_buffer import JitterBuffers
from telephony.rtp.lengths import Fit
from telephony.rtp.packet import RtpPacket, sequence_step, timestamp_step

log = logging.getLogger(__name__)

_RESYNC_AFTER: Final = 3
_MAX_JUMP: Final = 3000
"""Packets (a minute) a stream may skip and still be the same stream."""
_MAX_PAUSE: Final = 8000 * 3600
"""An hour of G.711, ten minutes on the clock of Opus."""


class Intake:
    """A wide slot's audio lies in `wide_buffers`, in the same row; a narrow one's in `buffers`."""

    def __init__(
        self,
        slots: RtpSlots,
        buffers: JitterBuffers,
        wide_buffers: JitterBuffers,
        counters: Counters,
    ) -> None:
        self._slots = slots
        self._buffers = buffers
        self._wide_buffers = wide_buffers
        self._counters = counters
        self.noise = ComfortNoise(slots.rows)
        self._decoding: dict[int, OrderedDecoder] = {}
        self._told: set[str] = set()

    def clear(self, row: int) -> None:
        """The row's audio so far belongs to nobody."""
        self._decoding.pop(row, None)
        self.noise.clear(row)
        self._table(row).clear(row)

    def _table(self, row: int) -> JitterBuffers:
        return self._wide_buffers if self._slots.wide[row] else self._buffers

    def equip(self, leg: Leg) -> None:
        """The objects that the leg's slot has now."""
        leg.secure = self._slots.srtp.get(leg.row)
        coder = self._slots.coders.get(leg.row)
        if coder is None:
            leg.decoder = None
            self._decoding.pop(leg.row, None)
        elif leg.decoder is None:
            malformed = self._counters.malformed
            leg.decoder = OrderedDecoder(self._table(leg.row), leg.row, coder.receiving, malformed)
            leg.decoded = -1

    # ------------------------------------------------------------------------------------------- beginnings

    def fits(self, leg: Leg, packet: RtpPacket) -> bool:
        """Whether the packet goes on where the stream stands; else it is on probation until the third in order."""
        slots, row = self._slots, leg.row
        if packet.ssrc == int(slots.ssrc[row]):
            ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
            step = timestamp_step(packet.timestamp, int(slots.last_timestamp[row]))
            if self._plausible(row, ahead, step):
                return True
        ssrc, sequence, timestamp, count = leg.probation
        in_order = ssrc == packet.ssrc and sequence == packet.sequence
        count = count + 1 if in_order and packet.timestamp != timestamp else 1
        following = (packet.sequence + 1) & 0xFFFF
        leg.probation = (packet.ssrc, following, packet.timestamp, count)
        if count < _RESYNC_AFTER:
            return False
        leg.probation = (0, 0, 0, 0)
        self.begin(leg, packet)
        return True

    def _plausible(self, row: int, ahead: int, step: int) -> bool:
        if ahead > 0:
            return ahead <= _MAX_JUMP and 0 < step <= _MAX_PAUSE
        return ahead > -_MAX_JUMP and -_MAX_PAUSE < step <= 0

    def begin(self, leg: Leg, packet: RtpPacket) -> None:
        """This packet is the stream's reference: at the first, after a jump, with a new SSRC."""
        slots, row = self._slots, leg.row
        buffers = self._table(row)
        leg.decoded = -1
        frame = 0
        if buffers.begun[row]:
            frame = int(max(buffers.top[row] + 1, buffers.play[row] + buffers.target[row]))
            buffers.expect(row, frame)
        else:
            frames = -(-leg.parameters.ptime_ms // 20)
            buffers.begin(row, frame, depth=frames + 1 if frames > 1 else 0)
        same = slots.received[row] > 0 and packet.ssrc == int(slots.ssrc[row])
        if not same:
            slots.received[row] = 0
            slots.first_extended[row] = packet.sequence
        slots.ssrc[row] = packet.ssrc
        # The packet itself is about to be taken as the next one.
        slots.last_sequence[row] = packet.sequence
        slots.last_timestamp[row] = packet.timestamp
        slots.last_frame[row] = frame

    # ------------------------------------------------------------------------------------------------ packets

    def beside_audio(self, leg: Leg, packet: RtpPacket) -> None:
        """A packet of the same stream that is no audio: what it left out of the audio is not lost."""
        slots, row = self._slots, leg.row
        ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
        if packet.ssrc != int(slots.ssrc[row]) or ahead != 1:
            return
        followed = leg.decoded == int(slots.last_sequence[row])
        slots.last_sequence[row] += 1
        if leg.decoder is not None and followed and leg.decoder.skip(packet.sequence):
            leg.decoded = int(slots.last_sequence[row])

    def comfort_noise(self, leg: Leg, packet: RtpPacket) -> None:
        """The sender falls silent on purpose, or tells another level."""
        self._slots.pauses[leg.row] = True
        self.noise.begin(leg.row, int(self._table(leg.row).top[leg.row]) + 1, packet.payload)

    def audio(self, leg: Leg, packet: RtpPacket, law: int, now: float) -> None:
        """A packet that `fits`."""
        slots, row = self._slots, leg.row
        if law == CODED and leg.decoder is not None:
            self._coded(leg, packet, leg.decoder, now)
            return
        payload = np.frombuffer(packet.payload, np.uint8)[None]
        pcm = g711.decode(payload, np.array([law]))[0]
        step = timestamp_step(packet.timestamp, int(slots.last_timestamp[row]))
        offset = int(slots.last_frame[row]) * FRAME_SAMPLES + step
        ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
        if offset < 0:
            return
        self.noise.end(row, offset // FRAME_SAMPLES)
        self._note_length(leg, packet, len(pcm), step - FRAME_SAMPLES * ahead)
        if ahead == 1:
            self._buffers.expect(row, offset // FRAME_SAMPLES)
        if len(pcm) == FRAME_SAMPLES and offset % FRAME_SAMPLES == 0:
            frames = [(offset // FRAME_SAMPLES, pcm)]
        else:
            frames = leg.recutter.add(offset, pcm)
        for frame, samples in frames:
            self._buffers.place(np.array([row]), np.array([frame]), samples[None])
        if ahead > 0:
            slots.last_sequence[row] += ahead
            whole = step // FRAME_SAMPLES
            slots.last_frame[row] += whole
            slots.last_timestamp[row] += whole * FRAME_SAMPLES

    def _note_length(self, leg: Leg, packet: RtpPacket, samples: int, skipped: int) -> None:
        fit = leg.lengths.note(packet.sequence, packet.timestamp, samples, skipped)
        self._slots.pauses[leg.row] |= fit is Fit.PAUSE
        self._slots.unusable[leg.row] += fit is Fit.MISFIT

    def _coded(self, leg: Leg, packet: RtpPacket, decoder: OrderedDecoder, now: float) -> None:
        slots, row = self._slots, leg.row
        clock_step = slots.coders[row].receiving(packet.payload_type).clock_step
        ahead = sequence_step(packet.sequence, int(slots.last_sequence[row]) & 0xFFFF)
        step = timestamp_step(packet.timestamp, int(slots.last_timestamp[row]))
        whole = step // clock_step
        if leg.decoded != int(slots.last_sequence[row]):
            # The first, or the fast path has taken some since.
            decoder.begin(packet, int(slots.last_frame[row]) + whole)
        self.noise.end(row, int(slots.last_frame[row]) + whole)
        self._note_jitter(row, packet, 50 * clock_step, now)
        leg.newest_payload = packet.payload
        if decoder.take(packet, now):
            self._decoding[row] = decoder
        if ahead > 0:
            slots.last_sequence[row] += ahead
            slots.last_frame[row] += whole
            slots.last_timestamp[row] += whole * clock_step
        leg.decoded = int(slots.last_sequence[row])

    def _note_jitter(self, row: int, packet: RtpPacket, clock_hz: int, now: float) -> None:
        """RFC 3550 A.8, in clock units."""
        slots = self._slots
        transit = now * clock_hz - packet.timestamp
        change = abs(transit - float(slots.transit[row]))
        slots.transit[row] = transit
        if change < clock_hz:
            slots.jitter[row] += (change - slots.jitter[row]) / 16

    def _failed(self, error: Exception) -> None:
        self._counters.handler_errors += 1
        kind = type(error).__name__
        if kind not in self._told:
            self._told.add(kind)
            log.error("decoder_failed", extra={"kind": kind}, exc_info=error)

    def decode(self, now: float) -> None:
        """What the decoders have got since, and what they have waited for long enough."""
        if not self._decoding:
            return
        wide = self._slots.wide
        for decoder in self._decoding.values():
            try:
                decoder.decode(now)
            except Exception as error:  # noqa: BLE001 - whatever a packet does to a decoder, the thread lives
                self._failed(error)
        for buffers, chosen in ((self._buffers, False), (self._wide_buffers, True)):
            of_rate = (d for row, d in self._decoding.items() if bool(wide[row]) is chosen)
            place_together(buffers, of_rate)
        self._decoding = {row: d for row, d in self._decoding.items() if d.waiting}
