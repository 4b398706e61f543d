"""What a person hears who waits: ringing, or a soft sign that nobody has gone away.

A tone is a voice of the plane that is fed again each time a round of it is over; it lives while an edge names it.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from functools import cache
from itertools import count
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from telephony.call.ids import COMFORT, RINGBACK, LegId
from telephony.legs.plane_port import Plane
from telephony.media.commands import Enqueue, Remove
from telephony.media.errors import MediaError
from telephony.media.handles import SourceHandle, VoiceHandle
from telephony.media.notices import PlayoutProgress, PlayoutState

log = logging.getLogger(__name__)

TONES: Final = frozenset({RINGBACK, COMFORT})
_AHEAD: Final = 2
"""Rounds in line, so that none ends in a gap."""
_LEVEL: Final = 3000.0
_RINGING_HZ: Final = (440.0, 480.0)
_RINGING_S: Final = 2.0
_RINGING_ROUND_S: Final = 6.0
"""ITU-T E.180 leaves the cadence to countries: this is North America's, which the most networks copy."""
_CHIME_HZ: Final = (523.25, 659.25)
_CHIME_S: Final = 0.35
_CHIME_ROUND_S: Final = 5.0
_EDGE_S: Final = 0.02


class WaitingTones:
    """The tones of one call. `directory`: where notices about their voices are to find their owner."""

    def __init__(
        self,
        plane: Plane,
        rate_hz: int,
        directory: MutableMapping[SourceHandle, Any],
    ) -> None:
        self._plane = plane
        self._rate_hz = rate_hz
        self._directory = directory
        self._voices: dict[LegId, VoiceHandle] = {}
        self._rounds = count(1)

    def source(self, tone: LegId, owner: object) -> VoiceHandle | None:
        """The voice that sounds it; None if the plane has none left: then the wait is silent."""
        voice = self._voices.get(tone)
        if voice is not None:
            return voice
        try:
            voice = self._plane.add_voice(self._rate_hz)
        except MediaError:
            log.warning("waiting_tone_unavailable", extra={"tone": tone})
            return None
        self._voices[tone] = voice
        self._directory[voice] = owner
        for _ in range(_AHEAD):
            self._feed(tone, voice)
        return voice

    def keep(self, wanted: frozenset[LegId]) -> None:
        """Those that no edge names any more are given back."""
        for tone in [tone for tone in self._voices if tone not in wanted]:
            voice = self._voices.pop(tone)
            self._directory.pop(voice, None)
            self._plane.apply(Remove(voice))

    def moved(self, notice: PlayoutProgress) -> None:
        if notice.state is not PlayoutState.DONE:
            return
        for tone, voice in self._voices.items():
            if voice == notice.voice:
                self._feed(tone, voice)

    def _feed(self, tone: LegId, voice: VoiceHandle) -> None:
        pcm = _round(tone, self._rate_hz)
        self._plane.apply(Enqueue(voice, f"{tone}.{next(self._rounds)}", pcm, last=True))


@cache
def _round(tone: LegId, rate_hz: int) -> bytes:
    """One round of a tone, silence included: int16 little-endian mono."""
    if tone == RINGBACK:
        sounds = sum(_sine(hz, _RINGING_S, rate_hz) for hz in _RINGING_HZ) / 2
        return _padded(np.asarray(sounds), _RINGING_ROUND_S, rate_hz)
    notes = [_sine(hz, _CHIME_S, rate_hz) for hz in _CHIME_HZ]
    return _padded(np.concatenate(notes) / 2, _CHIME_ROUND_S, rate_hz)


def _sine(hz: float, seconds: float, rate_hz: int) -> NDArray[np.float64]:
    """With soft edges: a tone that begins at full level is a click."""
    at_s = np.arange(int(seconds * rate_hz)) / rate_hz
    edges = np.minimum(1.0, np.minimum(at_s, seconds - at_s) / _EDGE_S)
    return np.asarray(np.sin(2 * np.pi * hz * at_s) * edges * _LEVEL)


def _padded(sound: NDArray[np.float64], seconds: float, rate_hz: int) -> bytes:
    whole = np.zeros(int(seconds * rate_hz), np.dtype("<i2"))
    whole[: len(sound)] = sound.astype(np.dtype("<i2"))
    return whole.tobytes()
