"""What the plane tells the asyncio side; `at` is the plane's monotonic clock in seconds."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from telephony.media.handles import SlotHandle, VoiceHandle
from telephony.values import value


@value(frozen=True, slots=True)
class SpeechStarted:
    """Stage 1 onset.

    `at`: arrival of the frame that decided it; `at_samples`: its place in the slot's audio, at the
    slot's rate. `ducked`: the guarded voice was ducked in this sub-tick. `voiced_at`: beginning of the
    first of the voiced frames that decided it.
    """

    slot: SlotHandle
    at: float
    voiced_at: float
    at_samples: int
    ducked: bool


@value(frozen=True, slots=True)
class SpeechStopped:
    """Told 80 ms after the last frame that was loud enough, or 160 ms after the last frame at all.

    `last_voiced_at` is the end of that frame, by level and
    not by the detector's hang-over, `last_voiced_samples` the same in the slot's audio.
    """

    slot: SlotHandle
    at: float
    last_voiced_at: float
    last_voiced_samples: int


@value(frozen=True, slots=True)
class Digit:
    """One key press by RFC 4733, or by the tones themselves (`source`). The digit is personal data.

    `began_at`: when the key went down, as far as it could be seen; `at`: when it was up again.
    """

    slot: SlotHandle
    digit: str
    at: float
    began_at: float | None = None
    source: Literal["rtp", "inband"] = "rtp"


@value(frozen=True, slots=True)
class Latched:
    """The slot's audio comes from this address from now on. The address is personal data."""

    slot: SlotHandle
    source: tuple[str, int]
    at: float


@value(frozen=True, slots=True)
class MediaLost:
    """No RTP for `silent_for` seconds, not on hold: told once per silence. The session decides."""

    slot: SlotHandle
    silent_for: float
    at: float


@value(frozen=True, slots=True)
class Gap:
    """`frames` 20 ms frames of received audio were missing in a row (more than 60 ms)."""

    slot: SlotHandle
    frames: int
    at: float


class PlayoutState(StrEnum):
    """Where an utterance stands."""

    PLAYING = "playing"
    DONE = "done"
    FLUSHED = "flushed"


@value(frozen=True, slots=True)
class PlayoutProgress:
    """`samples_sent` of `utterance` left, at the voice's rate: each 200 ms, and once at its end or flush."""

    voice: VoiceHandle
    utterance: str
    samples_sent: int
    state: PlayoutState
    at: float


@value(frozen=True, slots=True)
class PlayoutRefused:
    """A chunk was dropped whole: more than 30 s would be queued."""

    voice: VoiceHandle
    utterance: str
    at: float


@value(frozen=True, slots=True)
class Levels:
    """Peaks of the last 200 ms of many slots, in dBFS (-96 = silence). Lossy. Arrays of one length."""

    slots: NDArray[np.int64]
    received_dbfs: NDArray[np.float32]
    sent_dbfs: NDArray[np.float32]
    at: float


@value(frozen=True, slots=True)
class Quality:
    """Counts since the last one: first within 3 s of the slot's first packet, then each 5 s.

    `loss`: share 0..1 of what the peer sent. `mos`: G.107 E-model estimate, 1..4.5, of what we hear.
    `round_trip_ms` is None before the peer's first RTCP report that refers to one of ours, `remote_loss` before any:
    the share of our packets that it says it lost lately.
    """

    slot: SlotHandle
    received: int
    lost: int
    late: int
    concealed: int
    loss: float
    jitter_ms: float
    round_trip_ms: float | None
    mos: float
    at: float
    remote_loss: float | None = None


class TroubleKind(StrEnum):
    """What may be wrong with received audio for longer than a moment."""

    GARBLED = "garbled"
    ONE_WAY = "one_way"
    SILENT = "silent"
    CLIPPING = "clipping"
    POOR = "poor"


class Garbling(StrEnum):
    """How garbled audio is wrong: the `detail` of `AudioTroubled(GARBLED)`."""

    WRONG_LAW = "wrong_law"
    LINEAR_PCM = "linear_pcm"
    WRONG_CODEC = "wrong_codec"
    CONSTANT = "constant"
    BAD_PACKETS = "bad_packets"


@value(frozen=True, slots=True)
class AudioTroubled:
    """Told within 3 s of the onset, once until `AudioRecovered`; never repaired silently."""

    slot: SlotHandle
    kind: TroubleKind
    detail: str
    at: float


@value(frozen=True, slots=True)
class AudioRecovered:
    """A trouble of this slot is over."""

    slot: SlotHandle
    kind: TroubleKind
    at: float


Notice = (
    SpeechStarted
    | SpeechStopped
    | Digit
    | Latched
    | MediaLost
    | Gap
    | PlayoutProgress
    | PlayoutRefused
    | Levels
    | Quality
    | AudioTroubled
    | AudioRecovered
)
