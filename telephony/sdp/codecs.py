"""The audio encodings that can be agreed upon, and those that go beside them (RFC 3551, 7587, 3389, 4733)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from telephony.sdp.description import RtpMap


@dataclass(frozen=True, slots=True)
class Codec:
    """`name` in upper case; `rate_hz` is the RTP clock; `payload_type` the one we offer; `fmtp` what we say of it."""

    name: str
    rate_hz: int
    payload_type: int
    channels: int = 1
    fmtp: str = ""

    def is_in(self, entry: RtpMap) -> bool:
        """Whether an entry of theirs means this codec. Opus is `/48000/2` always; some leave the 2 out."""
        if self.name != entry.name or self.rate_hz != entry.rate_hz:
            return False
        return entry.channels in (1, self.channels)

    @property
    def rtpmap(self) -> str:
        """What stands after the number in a=rtpmap."""
        if self.channels == 1:
            return f"{self.name}/{self.rate_hz}"
        return f"{self.name.lower()}/{self.rate_hz}/{self.channels}"


PCMU: Final = Codec("PCMU", 8000, 0)
PCMA: Final = Codec("PCMA", 8000, 8)
G722: Final = Codec("G722", 8000, 9)
"""Wideband, although its clock says 8000 (RFC 3551 4.5.2)."""
OPUS: Final = Codec(
    "OPUS",
    48000,
    111,
    channels=2,
    fmtp="maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1",
)
CODECS: Final = {codec.name: codec for codec in (PCMU, PCMA, G722, OPUS)}

COMFORT_NOISE: Final = Codec("CN", 8000, 13)
EVENT_NAME: Final = "TELEPHONE-EVENT"
EVENT_TYPES: Final = {8000: 101, 48000: 110}
"""The payload type we offer for each clock (RFC 4733 2.1: events run on the clock of the audio beside them)."""


def read_parameters(fmtp: str) -> dict[str, str]:
    """`a=1; b=2` as a mapping, names in lower case."""
    pairs = (part.partition("=") for part in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}
