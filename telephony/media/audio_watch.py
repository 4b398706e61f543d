"""Does what arrives sound like what was negotiated, like anything at all, and not overdriven? Never repaired silently.

All streams of one table at once: ten times a second 10 ms of each are looked at, and fading sums of about 1.5 s are
kept. Read by the wrong law audio moves more from sample to sample than read by the right one: measured on four voices
at three levels, music, tones and noise of four colours, the other reading had 0.3 to 0.8 of the variation of a wrong
one, and 1.3 to 7 times that of a right one. Linear PCM and G.722 read as G.711 are rougher than white noise.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.notices import Garbling
from telephony.rtp.jitter_buffer import JitterBuffers

Rows = NDArray[np.int64]
Samples = NDArray[np.int16]
Sums = NDArray[np.float32]

LOOK_EVERY: Final = 5
CHECK_EVERY: Final = 25
"""Rounds of 20 ms: looks ten times, questions twice a second."""
_FADE: Final = np.float32(0.93)
_ENOUGH: Final = 5.0
"""Weight of about six looks with sound in them."""
_SOUND: Final = 150.0
"""Mean amplitude under which there is nothing to judge."""
_DIGITAL_SILENCE: Final = 16
_SILENT_LOOKS: Final = 24
_STEADY_LOOKS: Final = 100
"""A line that has been without digital silence so long has noise of its own: then its lack is a fault."""
_GATE_LOOKS: Final = 2
_CONSTANT_LOOKS: Final = 5
_CONSTANT_LEVEL: Final = 300
_FULL_SCALE: Final = 31_000
_CLIPPED: Final = 0.02
_CLEAN_LOOKS: Final = 10
_OTHER_LAW: Final = 0.95
_ROUGH: Final = 1.45
_DOUBTFUL: Final = 0.9
_AS_LINEAR: Final = 0.8
_SPREAD: Final = 1.75
_G722_LEVEL: Final = 1200.0
_SMOOTH: Final = 0.8
_LOUD: Final = 6000.0
"""G.711 octets taken for G.722 are louder than any voice."""
_OTHER: Final = tuple(
    g711.decode(
        g711.encode(np.arange(65536, dtype=np.uint16).view(np.int16), law)[None],
        np.array([1 - law]),
    )[0].astype(np.float32)
    for law in (g711.ULAW, g711.ALAW)
)
"""By law: each sample read by that law, as the other law would have read its octet."""


class AudioWatch:
    """`rows` streams. `judge`, `silent` and `clipping` answer for one of them, twice a second."""

    def __init__(self, rows: int) -> None:
        self._seen = np.full(rows, -1, np.int64)
        self._steps = np.zeros(rows, np.float32)
        self._other_steps = np.zeros(rows, np.float32)
        self._size = np.zeros(rows, np.float32)
        self._top = np.zeros(rows, np.float32)
        self._weight = np.zeros(rows, np.float32)
        self._quiet = np.zeros(rows, np.int64)
        self._steady = np.zeros(rows, np.int64)
        self._constant = np.zeros(rows, np.int64)
        self._clean = np.zeros(rows, np.int64)
        self._heard = np.zeros(rows, np.bool_)
        self._suspected = np.zeros(rows, np.bool_)
        self._gated = np.zeros(rows, np.bool_)
        self._clipped = np.zeros(rows, np.bool_)

    def forget(self, row: int) -> None:
        """Another stream begins in this row, or the same one with another codec."""
        for column in (self._steps, self._other_steps, self._size, self._top, self._weight):
            column[row] = 0
        for counter in (self._quiet, self._steady, self._constant, self._clean):
            counter[row] = 0
        for flag in (self._heard, self._gated, self._clipped, self._suspected):
            flag[row] = False
        self._seen[row] = -1

    def look(self, buffers: JitterBuffers, rows: Rows, laws: Rows | None = None) -> None:
        """At the newest frame of `rows`, where one has come since the last look. `laws`: of each, for G.711."""
        newest = buffers.top[rows]
        fresh = (newest != self._seen[rows]) & (
            buffers.tag[rows, newest & (buffers.tag.shape[1] - 1)] == newest
        )
        rows, newest = rows[fresh], newest[fresh]
        if not len(rows):
            return
        self._seen[rows] = newest
        half = buffers.pcm.shape[2] // 2
        pcm = buffers.pcm[rows, newest & (buffers.tag.shape[1] - 1), :half]
        self._note(rows, pcm, None if laws is None else laws[fresh])

    def _note(self, rows: Rows, pcm: Samples, laws: Rows | None) -> None:
        samples = pcm.astype(np.float32)
        amplitude = np.abs(samples)
        peak = amplitude.max(axis=1)
        size = _mean(amplitude)
        at = (size > _SOUND).nonzero()[0]
        if len(at):
            heard = rows[at]
            steps = _variation(samples[at])
            other = steps if laws is None else _other_variation(pcm[at], laws[at], steps)
            top = self._at_full_scale(amplitude, peak, at)
            for column, fresh in (
                (self._steps, steps),
                (self._other_steps, other),
                (self._size, size[at]),
                (self._top, top),
                (self._weight, np.float32(1.0)),
            ):
                column[heard] = column[heard] * _FADE + fresh
            self._clean[heard] = np.where(top > 0, 0, self._clean[heard] + 1)
        # All alike: then the first two are.
        flat = pcm[:, 0] == pcm[:, 1]
        alike = flat.nonzero()[0]
        if len(alike):
            flat[alike] = (pcm[alike] == pcm[alike, :1]).all(axis=1)
        self._note_silence(rows, flat & (peak <= _DIGITAL_SILENCE))
        constant = flat & (peak > _CONSTANT_LEVEL)
        self._constant[rows] = np.where(constant, self._constant[rows] + 1, 0)

    def _at_full_scale(self, amplitude: Sums, peak: Sums, at: Rows) -> Sums:
        """Share of the samples, of those frames; most have none."""
        top = np.zeros(len(at), np.float32)
        loud = (peak[at] >= _FULL_SCALE).nonzero()[0]
        if len(loud):
            top[loud] = (amplitude[at[loud]] >= _FULL_SCALE).mean(axis=1)
        return top

    def _note_silence(self, rows: Rows, silent: NDArray[np.bool_]) -> None:
        sounding = rows[~silent]
        self._gated[sounding] |= self._heard[sounding] & (self._quiet[sounding] >= _GATE_LOOKS)
        self._heard[sounding] = True
        self._steady[sounding] += 1
        self._quiet[rows] = np.where(silent, self._quiet[rows] + 1, 0)

    def suspects(self, rows: Rows) -> Rows:
        """Those of `rows` of which the questions below may be answered by yes."""
        weight, steps = self._weight[rows], self._steps[rows]
        odd = self._doubtful(steps, self._other_steps[rows], self._size[rows])
        odd |= self._top[rows] > _CLIPPED * weight
        odd &= weight >= _ENOUGH
        odd |= (self._constant[rows] >= _CONSTANT_LOOKS) | (self._quiet[rows] >= _SILENT_LOOKS)
        return rows[odd]

    @staticmethod
    def _doubtful(steps: Sums, other_steps: Sums, size: Sums) -> NDArray[np.bool_]:
        doubtful: NDArray[np.bool_] = (steps > _DOUBTFUL * size) | (
            other_steps < _OTHER_LAW * steps
        )
        return doubtful

    # -------------------------------------------------------------------------------------------------- one stream

    def silent(self, row: int) -> bool:
        """Packets come, but for 2.5 s without the least sound: from the start, or on a line that has noise of its own."""
        never = not self._heard[row]
        odd = self._steady[row] >= _STEADY_LOOKS and not self._gated[row]
        return bool(self._quiet[row] >= _SILENT_LOOKS and (never or odd))

    def clipping(self, row: int) -> bool:
        """More of the sound at full scale than any clean voice or music; ends when hardly any is."""
        if self._weight[row] >= _ENOUGH:
            over = self._top[row] > _CLIPPED * self._weight[row]
            self._clipped[row] = self._clean[row] < _CLEAN_LOOKS and (self._clipped[row] or over)
        return bool(self._clipped[row])

    def judge(self, row: int, law: int | None, octets: NDArray[np.uint8] | None) -> Garbling | None:
        """`law`: of a G.711 stream, whose last octets are then known; `octets` of a G.722 stream, 160 or more."""
        if self._constant[row] >= _CONSTANT_LOOKS:
            return Garbling.CONSTANT
        if self._weight[row] < _ENOUGH:
            return None
        size = float(self._size[row])
        if law is None:
            loud = size > _LOUD * float(self._weight[row])
            return (
                Garbling.WRONG_CODEC if loud and octets is not None and _is_g711(octets) else None
            )
        found = _linear_or_g722(octets, law) if octets is not None else None
        if found is None and self._other_law(row):
            found = Garbling.WRONG_LAW if self._suspected[row] else None
            self._suspected[row] = True
        else:
            self._suspected[row] = False
        return found

    def _other_law(self, row: int) -> bool:
        return float(self._other_steps[row]) < _OTHER_LAW * float(self._steps[row])


def _mean(rows: Sums) -> Sums:
    """Of each row; numpy's own takes six times as long."""
    mean: Sums = rows @ np.full(rows.shape[1], 1 / rows.shape[1], np.float32)
    return mean


def _variation(samples: Sums) -> Sums:
    """Mean step from sample to sample of each row."""
    steps = samples[:, 1:] - samples[:, :-1]
    return _mean(np.abs(steps, out=steps))


def _other_variation(pcm: Samples, laws: Rows, steps: Sums) -> Sums:
    """The same as the other law would have read the octets; `steps` where the law is neither."""
    other = steps.copy()
    for law in (g711.ULAW, g711.ALAW):
        chosen = (laws == law).nonzero()[0]
        if len(chosen):
            octets = pcm[chosen].view(np.uint16)
            other[chosen] = _variation(_OTHER[law].take(octets))
    return other


def _roughness(pcm: NDArray[Any]) -> float:
    """Mean step over mean amplitude: 0.1 to 0.7 for speech, 1.41 for white noise."""
    wide = pcm.astype(np.float64)
    return float(np.abs(np.diff(wide)).sum() / max(np.abs(wide).sum(), 1.0))


def _is_g711(octets: NDArray[np.uint8]) -> bool:
    readings = (g711.decode(octets[None], np.array([law]))[0] for law in (g711.ULAW, g711.ALAW))
    return min(map(_roughness, readings)) < _SMOOTH


def _linear_or_g722(octets: NDArray[np.uint8], law: int) -> Garbling | None:
    """Both are rougher than white noise when read as G.711, and G.722 is spread over all sizes, as noise is not."""
    pcm = g711.decode(octets[None], np.array([law]))[0]
    mine = _roughness(pcm)
    if mine < _ROUGH:
        return None
    even = octets[: len(octets) // 2 * 2]
    if min(_roughness(even.view(">i2")), _roughness(even.view("<i2"))) < _AS_LINEAR:
        return Garbling.LINEAR_PCM
    amplitude = np.abs(pcm.astype(np.float64))
    mean = float(amplitude.mean())
    spread = float(np.sqrt((amplitude**2).mean())) / max(mean, 1.0)
    return Garbling.WRONG_CODEC if spread > _SPREAD and mean > _G722_LEVEL else None
