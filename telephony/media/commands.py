"""Commands to the media plane, applied in order; all of one `apply` call take effect in the same sub-tick.

A command whose handle is stale does nothing and is counted (`stats().stale_commands`).
"""

from __future__ import annotations

from telephony.media.errors import BadAudioError, BadDigitsError
from telephony.media.handles import SlotHandle, SourceHandle, VoiceHandle
from telephony.media.parameters import RtpParameters
from telephony.rtp.dtmf import DIGITS
from telephony.values import value


@value(frozen=True, slots=True)
class StartRtp:
    """A reserved slot begins to listen and to send (silence until something is routed to it)."""

    slot: SlotHandle
    parameters: RtpParameters


@value(frozen=True, slots=True)
class ChangeRtp:
    """A new SDP: other address, codec or direction. The peer's source address may be learnt again."""

    slot: SlotHandle
    parameters: RtpParameters


@value(frozen=True, slots=True)
class Remove:
    """Ends a slot or a voice, and every edge from or to it. The handle is stale from then on."""

    handle: SourceHandle


@value(frozen=True, slots=True)
class Route:
    """Replaces everything heard on `destination`: (source, linear gain) each; none = silence.

    Sources that are gone are left out and counted as stale.
    """

    destination: SlotHandle
    sources: tuple[tuple[SourceHandle, float], ...]


@value(frozen=True, slots=True)
class Listen:
    """Frames of this slot go to the audio tap and through voice detection, or no longer."""

    slot: SlotHandle
    on: bool


@value(frozen=True, slots=True)
class Enqueue:
    """Speech for a voice: int16 little-endian mono at the voice's rate.

    `last` closes the utterance (pcm may be empty). Utterances play in the order of their first chunk.

    Raises:
        BadAudioError: odd length, or a WAV header.
    """

    voice: VoiceHandle
    utterance: str
    pcm: bytes
    last: bool

    def __post_init__(self) -> None:
        if len(self.pcm) % 2:
            raise BadAudioError("a chunk of int16 samples has an even length")
        if self.pcm[:4] == b"RIFF":
            raise BadAudioError("a chunk is bare samples, not a WAV file")


@value(frozen=True, slots=True)
class Flush:
    """Drops all that is queued on a voice; each begun utterance is reported with its last sample sent."""

    voice: VoiceHandle


@value(frozen=True, slots=True)
class Duck:
    """-15 dB within 10 ms, still playing."""

    voice: VoiceHandle


@value(frozen=True, slots=True)
class Pause:
    """Silent within 10 ms; the position stays at the exact sample."""

    voice: VoiceHandle


@value(frozen=True, slots=True)
class Resume:
    """Ends a duck or a pause: full level within 10 ms, from the exact sample."""

    voice: VoiceHandle


@value(frozen=True, slots=True)
class SetGain:
    """Linear gain of a voice, reached within 10 ms."""

    voice: VoiceHandle
    gain: float


@value(frozen=True, slots=True)
class Guard:
    """Arms stage 1 of barge-in: speech beginning on `slot` ducks `voice` in the same sub-tick.

    While `voice` sounds, only audio above `echo_gate_dbfs` counts as speech (None: the plane's setting).
    """

    voice: VoiceHandle
    slot: SlotHandle
    echo_gate_dbfs: float | None = None


@value(frozen=True, slots=True)
class Unguard:
    """Disarms the guard on this slot; a duck in force stays until `Resume`."""

    slot: SlotHandle


@value(frozen=True, slots=True)
class SendDigits:
    """RFC 4733 digits (`0-9 * # A-D`), 100 ms each with 60 ms between, in place of audio.

    Counted as refused on slots without telephone-event. Raises: BadDigitsError.
    """

    slot: SlotHandle
    digits: str

    def __post_init__(self) -> None:
        if not set(self.digits.upper()) <= set(DIGITS):
            raise BadDigitsError("digits are 0-9 * # A-D")


@value(frozen=True, slots=True)
class ReportTransport:
    """What the owner of a packet slot's transport knows of it; told at each change and report.

    `sends`: the connection is up, and the peer is to send. `round_trip` in seconds and `remote_loss` (0..1, of what we
    sent) by the peer's last report; None before any.
    """

    slot: SlotHandle
    sends: bool
    round_trip: float | None = None
    remote_loss: float | None = None


Command = (
    StartRtp
    | ChangeRtp
    | Remove
    | Route
    | Listen
    | Enqueue
    | Flush
    | Duck
    | Pause
    | Resume
    | SetGain
    | Guard
    | Unguard
    | SendDigits
    | ReportTransport
)
