"""The codecs of one leg that are more than a table look-up: chosen by payload type, fitted to the rate of its slot.

Only legs that need them have one: G.722 or Opus, or G.711 on a slot that began wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from telephony.media import g711
from telephony.media.codec import Codec
from telephony.media.concealment import Repetition
from telephony.media.g722 import G722Codec
from telephony.media.opus import OpusCodec, OpusWishes
from telephony.media.parameters import MediaCodec, RtpParameters
from telephony.media.resample import NARROW, WIDE, RateConverter
from telephony.rtp.errors import RtpError

Pcm = NDArray[np.int16]

_ROW: Final = np.zeros(1, np.int64)


class G711Codec:
    """For a leg off the fast path."""

    def __init__(self, law: int) -> None:
        self._law = law
        self._repetition = Repetition(NARROW)

    def decode(self, payload: bytes) -> Pcm:
        octets = np.frombuffer(payload, np.uint8)[None]
        pcm: Pcm = g711.decode(octets, np.array([self._law]))[0]
        self._repetition.heard(pcm)
        return pcm

    def recover(self, following: bytes) -> Pcm:
        """A packet tells nothing of the one before."""
        return self.conceal()

    def conceal(self) -> Pcm:
        return self._repetition.conceal()

    def encode(self, pcm: Pcm) -> bytes:
        return g711.encode(np.ascontiguousarray(pcm), self._law).tobytes()


class Coding:
    """One codec as one leg uses it. `samples` and `clock_step` are those of 20 ms."""

    def __init__(self, kind: MediaCodec, codec: Codec, *, wide: bool) -> None:
        self.codec = codec
        self.samples = kind.rate_hz // 50
        self.clock_step = kind.clock_hz // 50
        self._converts = (kind.rate_hz == 16000) is not wide
        self._converter = RateConverter(1)

    def fit(self, frame: Pcm) -> Pcm:
        """A decoded frame at the slot's rate."""
        return self._convert(frame) if self._converts else frame

    def unfit(self, frame: Pcm) -> Pcm:
        """A frame of the slot's rate, for the codec. Not for the same object that decodes: it has a memory."""
        return self._convert(frame) if self._converts else frame

    def _convert(self, frame: Pcm) -> Pcm:
        convert = self._converter.narrow if len(frame) == WIDE else self._converter.widen
        converted: Pcm = convert(_ROW, frame[None])[0]
        return converted


@dataclass(frozen=True, slots=True)
class _Sending:
    kind: MediaCodec
    wishes: OpusWishes
    coding: Coding


class Coder:
    """`wide`: the slot is heard at 16 kHz. Raises: CodecUnavailableError."""

    def __init__(self, parameters: RtpParameters, *, wide: bool) -> None:
        self._wide = wide
        self._received: dict[MediaCodec, Coding] = {}
        self._kinds: dict[int, MediaCodec] = {}
        self._sending = self._send_by(parameters)
        self.configure(parameters)

    def configure(self, parameters: RtpParameters) -> None:
        """A new SDP. Codecs that stay keep their memory."""
        self._kinds = dict(parameters.accepted)
        self._kinds[parameters.payload_type] = parameters.codec
        now = self._sending
        if (now.kind, now.wishes) != (parameters.codec, _wishes(parameters)):
            self._sending = self._send_by(parameters)

    def _send_by(self, parameters: RtpParameters) -> _Sending:
        kind, wishes = parameters.codec, _wishes(parameters)
        return _Sending(kind, wishes, Coding(kind, _new_codec(kind, wishes), wide=self._wide))

    def receiving(self, payload_type: int) -> Coding:
        """By what this payload type is decoded. Raises: RtpError (`payload_type`), if a new SDP took it away."""
        kind = self._kinds.get(payload_type)
        if kind is None:
            raise RtpError("payload_type")
        coding = self._received.get(kind)
        if coding is None:
            coding = Coding(kind, _new_codec(kind, OpusWishes()), wide=self._wide)
            self._received[kind] = coding
        return coding

    @property
    def clock_step(self) -> int:
        """RTP clock of 20 ms of what is sent."""
        return self._sending.coding.clock_step

    def encode(self, frame: Pcm) -> bytes:
        """One frame at the slot's rate -> a payload."""
        coding = self._sending.coding
        return coding.codec.encode(coding.unfit(frame))


def needs_coder(parameters: RtpParameters, *, wide: bool) -> bool:
    """Whether the fast path cannot do it all."""
    kinds = {parameters.codec, *(kind for _, kind in parameters.accepted)}
    return wide or any(kind not in g711.LAW_NUMBER for kind in kinds)


def _wishes(parameters: RtpParameters) -> OpusWishes:
    return OpusWishes(parameters.fec, parameters.max_bitrate)


def _new_codec(kind: MediaCodec, wishes: OpusWishes) -> Codec:
    if kind is MediaCodec.OPUS:
        return OpusCodec(wishes)
    if kind is MediaCodec.G722:
        return G722Codec()
    return G711Codec(g711.LAW_NUMBER[kind])
