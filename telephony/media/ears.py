"""The detect path: each frame in the sub-tick it arrives, through voice detection and on to the audio tap.

An onset ducks the guarded voice here, before this sub-tick plays out.
"""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import hearing_loops
from telephony.media.counters import Counters
from telephony.media.handles import SlotHandle
from telephony.media.hearing_loops import GAP, HEARD, STARTED, UNGUARDED
from telephony.media.inband import InbandKeys
from telephony.media.meters import Meters
from telephony.media.notices import Digit, Gap, Notice, SpeechStarted, SpeechStopped
from telephony.media.playout import Voices
from telephony.media.ports import AudioTap, FrameBatch
from telephony.media.vad import VoiceDetectors
from telephony.rtp.jitter_buffer import Due, JitterBuffers

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

FRAME_SECONDS: Final = 0.020
_WIDE_SAMPLES: Final = 320
_Block = tuple[NDArray[np.void], NDArray[np.int16]]


class Ears:
    """`rows`: all slots, RTP first. `handles` (rows,) int64 is kept by the plane."""

    def __init__(
        self,
        rows: int,
        voices: Voices,
        meters: Meters,
        counters: Counters,
        handles: Rows,
        tap: AudioTap | None,
    ) -> None:
        self._counters = counters
        self._told: set[str] = set()
        self._meters = meters
        self.detectors = VoiceDetectors(rows)
        self.listening = np.zeros(rows, np.bool_)
        self._voices = voices
        self._handles = handles
        self._tap = tap
        self._states = self.detectors.states
        self._guarded: Rows = self._states["guarded"]
        self._events = np.zeros((2 * rows, 3), np.int64)
        self._ended = np.zeros(rows, np.int64)
        self._keys = {rate_hz // 50: InbandKeys(rows, rate_hz) for rate_hz in (8000, 16000)}

    def listen(self, row: int, on: bool) -> None:
        self.listening[row] = on
        self._enable(row)

    def want_keys(self, row: int, on: bool, *, wide: bool) -> None:
        """Keys of this slot are told by their tones as well."""
        for samples, keys in self._keys.items():
            keys.enable(row, on and (samples == _WIDE_SAMPLES) == wide)

    def guard(self, row: int, voice: int, gate_dbfs: float) -> None:
        """Speech on slot `row` ducks the voice of row `voice`."""
        self._guarded[row] = voice
        self._states[row]["gate"] = gate_dbfs
        self._enable(row)

    def unguard(self, row: int) -> None:
        self._guarded[row] = UNGUARDED
        self._enable(row)

    def forget(self, row: int) -> None:
        """A slot that ends."""
        self.listen(row, False)
        self.unguard(row)
        self.want_keys(row, False, wide=False)

    def forget_voice(self, voice: int) -> None:
        for row in (self._guarded == voice).nonzero()[0].tolist():
            self.unguard(row)

    def _enable(self, row: int) -> None:
        on = self.listening[row] or self._guarded[row] != UNGUARDED
        self.detectors.enable(row, bool(on))

    def hear(self, buffers: JitterBuffers, first_row: int, now: float) -> list[Notice]:
        """All frames due in `buffers`, whose row 0 is slot `first_row`."""
        notices: list[Notice] = []
        blocks: list[_Block] = []
        while (due := buffers.due(now)) is not None:
            self._tell_keys(buffers, due, first_row, now, notices)
            block = self._hear(buffers, due, first_row, now, notices)
            if len(block[0]):
                blocks.append(block)
        if blocks and self._tap is not None:
            self._pass_on(self._tap, *(blocks[0] if len(blocks) == 1 else _together(blocks)))
        return notices

    def _hear(
        self, buffers: JitterBuffers, due: Due, first_row: int, now: float, notices: list[Notice]
    ) -> _Block:
        """Frames that are listened to."""
        frames = np.empty(len(due.rows), HEARD)
        pcm = np.empty((len(due.rows), buffers.pcm.shape[2]), np.int16)
        count, told = hearing_loops.hear(
            due.rows,
            due.frames,
            due.missing,
            first_row,
            now,
            buffers.pcm,
            buffers.first,
            self._states,
            self.detectors.enabled,
            self.detectors.speech,
            self.listening,
            self._handles,
            self._voices.last_sound,
            self._meters.received_peaks,
            self._events,
            frames,
            pcm,
        )
        for kind, row, value in self._events[:told].tolist():
            notices.append(self._notice(kind, row, value, now))
        return frames[:count], pcm[:count]

    def _notice(self, kind: int, row: int, value: int, now: float) -> Notice:
        handle = SlotHandle(int(self._handles[row]))
        if kind == GAP:
            return Gap(handle, value, now)
        if kind == STARTED:
            return self._started(row, handle, value, now)
        return self._stopped(row, now)

    def _tell_keys(
        self, buffers: JitterBuffers, due: Due, first_row: int, now: float, notices: list[Notice]
    ) -> None:
        keys = self._keys[buffers.pcm.shape[2]]
        if not keys.streams:
            return
        chosen = keys.wanted[due.rows + first_row]
        if not np.count_nonzero(chosen):
            return
        rows, frames = due.rows[chosen], due.frames[chosen]
        pcm = buffers.pcm[rows, frames & (buffers.pcm.shape[1] - 1)]
        for row, key, began_at, ended_at in keys.hear(rows + first_row, pcm, now):
            handle = SlotHandle(int(self._handles[row]))
            notices.append(Digit(handle, key, ended_at, began_at, "inband"))

    def end_silent(self, now: float) -> list[Notice]:
        """Speech of slots from which no frame has come for a while ends where the last loud one was."""
        count = hearing_loops.end_silent(self.detectors.speech, self._states, now, self._ended)
        return [self._stopped(row, now) for row in self._ended[:count].tolist()]

    def _started(self, row: int, handle: SlotHandle, frame: int, now: float) -> SpeechStarted:
        state = self._states[row]
        ducked = self._duck(int(state["guarded"]))
        # The voiced ones of the last four frames, 3 or 4 of them, decided it.
        voiced_at = now - int(state["history"]).bit_length() * FRAME_SECONDS
        return SpeechStarted(handle, now, voiced_at, frame * int(state["samples"]), ducked)

    def _stopped(self, row: int, now: float) -> SpeechStopped:
        state, handle = self._states[row], SlotHandle(int(self._handles[row]))
        last = int(state["last_loud"])
        ago = (int(state["last_frame"]) - last) * FRAME_SECONDS
        voiced_at = float(state["frame_at"]) - ago
        return SpeechStopped(handle, now, voiced_at, (last + 1) * int(state["samples"]))

    def _duck(self, voice: int) -> bool:
        if voice == UNGUARDED or not self._voices.talking[voice] or self._voices.paused[voice]:
            return False
        self._voices.duck(voice)
        return True

    def _pass_on(self, tap: AudioTap, frames: NDArray[np.void], pcm: NDArray[np.int16]) -> None:
        batch = FrameBatch(
            rate_hz=pcm.shape[1] * 50,
            handles=frames["handle"],
            frames=frames["number"],
            gaps=frames["gap"],
            speech=frames["speech"],
            level_dbfs=frames["level_dbfs"],
            pcm=pcm,
        )
        try:
            tap.frames(batch)
        except Exception as error:
            # The brain's side must not end the calls' audio; these frames are lost to it.
            self._counters.handler_errors += 1
            kind = type(error).__name__
            if kind not in self._told:
                self._told.add(kind)
                log.exception("audio_tap_failed", extra={"kind": kind})


def _together(blocks: list[_Block]) -> _Block:
    """One block of all."""
    frames, pcm = zip(*blocks, strict=True)
    return np.concatenate(frames), np.concatenate(pcm)
