"""The detect path: each frame in the sub-tick it arrives, through voice detection and on to the audio tap.

An onset ducks the guarded voice here, before this sub-tick plays out.
"""

from __future__ import annotations

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media.counters import Counters
from telephony.media.handles import SlotHandle
from telephony.media.inband import InbandKeys
from telephony.media.meters import Meters
from telephony.media.notices import Digit, Gap, Notice, SpeechStarted, SpeechStopped
from telephony.media.playout import Voices
from telephony.media.ports import AudioTap, FrameBatch
from telephony.media.vad import SILENCE_DBFS, Heard, VoiceDetectors
from telephony.rtp.jitter_buffer import Due, JitterBuffers

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

FRAME_SECONDS: Final = 0.020
ECHO_TAIL: Final = 0.4
"""Echo of a voice is heard up to 400 ms after it stopped: network both ways and the far room."""
NO_FRAMES: Final = 0.16
"""A sender that suppresses silence sends nothing at the end of speech; jitter makes shorter holes than this."""
_GAP_FRAMES: Final = 3
_UNGUARDED: Final = -1
_WIDE_SAMPLES: Final = 320
_Block = tuple[Due, NDArray[np.int16], Heard]


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
        self._frame_at = np.zeros(rows)
        self._last_frame = np.zeros(rows, np.int64)
        self._samples = np.zeros(rows, np.int64)
        self._guarded = np.full(rows, _UNGUARDED, np.int64)
        self._gate = np.full(rows, SILENCE_DBFS, np.float32)
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
        self._gate[row] = gate_dbfs
        self._enable(row)

    def unguard(self, row: int) -> None:
        self._guarded[row] = _UNGUARDED
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
        on = self.listening[row] or self._guarded[row] != _UNGUARDED
        self.detectors.enable(row, bool(on))

    def hear(self, buffers: JitterBuffers, first_row: int, now: float) -> list[Notice]:
        """All frames due in `buffers`, whose row 0 is slot `first_row`."""
        notices: list[Notice] = []
        blocks: list[_Block] = []
        while (due := buffers.due(now)) is not None:
            self._tell_gaps(due, first_row, now, notices)
            self._tell_keys(buffers, due, first_row, now, notices)
            enabled = self.detectors.enabled[due.rows + first_row]
            wanted = np.count_nonzero(enabled)
            if not wanted:
                continue
            if wanted < len(enabled):
                due = Due(due.rows[enabled], due.frames[enabled], due.missing[enabled])
            pcm = buffers.pcm[due.rows, due.frames & (buffers.pcm.shape[1] - 1)]
            due = Due(due.rows + first_row, due.frames - buffers.first[due.rows], due.missing)
            heard = self.detectors.hear(due.rows, due.frames, pcm, self._gates(due.rows, now))
            self._frame_at[due.rows] = now
            self._last_frame[due.rows] = due.frames
            self._samples[due.rows] = pcm.shape[1]
            self._tell_speech(due, heard, now, notices)
            self._meters.received(due.rows, pcm)
            blocks.append((due, pcm, heard))
        if blocks:
            self._pass_on(blocks)
        return notices

    def _gates(self, rows: Rows, now: float) -> NDArray[np.float32]:
        # Who guards nothing reads the last row, of a voice that never sounds.
        silent = self._voices.last_sound[self._guarded[rows]] <= now - ECHO_TAIL
        gates = self._gate[rows]
        gates[silent] = SILENCE_DBFS
        return gates

    def _tell_gaps(self, due: Due, first_row: int, now: float, notices: list[Notice]) -> None:
        if not np.count_nonzero(due.missing):
            return
        for at in (due.missing > _GAP_FRAMES).nonzero()[0].tolist():
            handle = SlotHandle(int(self._handles[due.rows[at] + first_row]))
            notices.append(Gap(handle, int(due.missing[at]), now))

    def _tell_keys(
        self, buffers: JitterBuffers, due: Due, first_row: int, now: float, notices: list[Notice]
    ) -> None:
        keys = self._keys[buffers.pcm.shape[2]]
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
        speaking = self.detectors.speech.nonzero()[0]
        rows = speaking[now - self._frame_at[speaking] > NO_FRAMES]
        if not len(rows):
            return []
        self.detectors.interrupt(rows)
        return [self._stopped(row, now) for row in rows.tolist()]

    def _tell_speech(self, due: Due, heard: Heard, now: float, notices: list[Notice]) -> None:
        for at in heard.started.tolist():
            row, frame = int(due.rows[at]), int(due.frames[at])
            ducked = self._duck(int(self._guarded[row]))
            handle = SlotHandle(int(self._handles[row]))
            at_samples = frame * int(self._samples[row])
            voiced_at = now - self.detectors.onset_frames(row) * FRAME_SECONDS
            notices.append(SpeechStarted(handle, now, voiced_at, at_samples, ducked))
        notices += [self._stopped(int(due.rows[at]), now) for at in heard.stopped.tolist()]

    def _stopped(self, row: int, now: float) -> SpeechStopped:
        last = int(self.detectors.last_loud[row])
        ago = (int(self._last_frame[row]) - last) * FRAME_SECONDS
        handle = SlotHandle(int(self._handles[row]))
        voiced_at = float(self._frame_at[row]) - ago
        return SpeechStopped(handle, now, voiced_at, (last + 1) * int(self._samples[row]))

    def _duck(self, voice: int) -> bool:
        if voice == _UNGUARDED or not self._voices.talking[voice] or self._voices.paused[voice]:
            return False
        self._voices.duck(voice)
        return True

    def _pass_on(self, blocks: list[_Block]) -> None:
        if self._tap is None:
            return
        due, pcm, heard = blocks[0] if len(blocks) == 1 else _together(blocks)
        listening = self.listening[due.rows]
        count = np.count_nonzero(listening)
        if not count:
            return
        # Nearly always all of them are listened to: then nothing has to be picked out.
        kept: slice | NDArray[np.bool_] = slice(None) if count == len(listening) else listening
        batch = FrameBatch(
            rate_hz=pcm.shape[1] * 50,
            handles=self._handles[due.rows[kept]],
            frames=due.frames[kept],
            gaps=due.missing[kept] > 0,
            speech=heard.speech[kept],
            level_dbfs=heard.level_dbfs[kept],
            pcm=pcm[kept],
        )
        try:
            self._tap.frames(batch)
        except Exception as error:
            # The brain's side must not end the calls' audio; these frames are lost to it.
            self._counters.handler_errors += 1
            kind = type(error).__name__
            if kind not in self._told:
                self._told.add(kind)
                log.exception("audio_tap_failed", extra={"kind": kind})


def _together(blocks: list[_Block]) -> _Block:
    """One block of all; speech that started or stopped is told already."""
    dues, pcm, heard = zip(*blocks, strict=True)
    due = Due(
        np.concatenate([each.rows for each in dues]),
        np.concatenate([each.frames for each in dues]),
        np.concatenate([each.missing for each in dues]),
    )
    nobody = np.zeros(0, np.int64)
    speech = np.concatenate([each.speech for each in heard])
    level = np.concatenate([each.level_dbfs for each in heard])
    return due, np.concatenate(pcm), Heard(level, speech, nobody, nobody)
