"""Reading their description: the one audio stream of it that we can take, and all that it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from telephony.sdp.capabilities import (
    DEFAULT_PTIME_MS,
    INCOMPATIBLE_ADDRESS,
    INCOMPATIBLE_FORMAT,
    INCOMPATIBLE_TRANSPORT,
    NO_MEDIA,
    Capabilities,
    NotAcceptable,
    refuse,
)
from telephony.sdp.codecs import COMFORT_NOISE, EVENT_NAME, Codec, read_parameters
from telephony.sdp.crypto import CryptoLine, SrtpPolicy, parse_crypto
from telephony.sdp.description import Description, Direction, Media, RtpMap, find_attribute

PLAIN: Final = ("RTP/AVP", "RTP/AVPF")
SECURE: Final = ("RTP/SAVP", "RTP/SAVPF")
MAX_PTIME_MS: Final = 60
_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_UNSPECIFIED: Final = "0.0.0.0"
_GROUPS: Final = 224  # and above: multicast, reserved, broadcast (RFC 5735 4)
_V4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")  # a tenth of what `ip_address` costs


@dataclass(frozen=True, slots=True)
class Event:
    """Their payload type for telephone-event, and its clock."""

    payload_type: int
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Stream:
    """`codecs` holds (their payload type, codec), the one to use first; `crypto` their usable lines."""

    index: int
    media: Media
    address: str
    rtcp: tuple[str, int] | None
    codecs: tuple[tuple[int, Codec], ...]
    event: Event | None
    comfort_noise: int | None
    direction: Direction
    ptime_ms: int
    crypto: tuple[CryptoLine, ...]

    @property
    def codec(self) -> Codec:
        return self.codecs[0][1]

    @property
    def payload_type(self) -> int:
        return self.codecs[0][0]

    @property
    def rtcp_mux(self) -> bool:
        return self.media.attribute("rtcp-mux") is not None

    @property
    def fec(self) -> bool:
        """They want forward error correction in what we send (RFC 7587 6.1)."""
        return self._parameter("useinbandfec") == "1"

    @property
    def max_bitrate(self) -> int | None:
        """The bit rate they want at most (RFC 7587 6.1)."""
        text = self._parameter("maxaveragebitrate")
        return max(int(text), 6000) if text.isascii() and text.isdigit() and len(text) < 8 else None

    def _parameter(self, name: str) -> str:
        said = self.media.parameters_of(self.payload_type)
        return read_parameters(said).get(name, "") if said else ""


def choose_stream(
    theirs: Description,
    capabilities: Capabilities,
    *,
    kept: int | None = None,
    numbers: Mapping[int, RtpMap] | None = None,
) -> Stream | NotAcceptable:
    """The audio stream that fits best, or why none does.

    Best is the one in the place of ours so far (`kept`), then one with SRTP, then the first. `numbers`: payload types
    of our offer, which their answer need not explain again; its order decides.
    """
    failure: NotAcceptable | None = None
    found: list[Stream] = []
    for index, media in enumerate(theirs.media):
        if media.kind != "audio" or media.port == 0:
            continue
        stream = _read(theirs, index, capabilities, numbers)
        if isinstance(stream, Stream):
            found.append(stream)
        else:
            failure = stream
    if not found:
        return failure or refuse(NO_MEDIA, "no audio offered", capabilities)
    if len(found) == 1:
        return found[0]
    return min(found, key=lambda one: (one.index != kept, not one.crypto))


def _read(
    theirs: Description,
    index: int,
    capabilities: Capabilities,
    numbers: Mapping[int, RtpMap] | None,
) -> Stream | NotAcceptable:
    media = theirs.media[index]
    lines = _crypto_of(media, capabilities)
    if isinstance(lines, NotAcceptable):
        return lines
    address = _usable(theirs.address_of(media), capabilities)
    if address is None:
        reason = "network address format not available"
        return refuse(INCOMPATIBLE_ADDRESS, reason, capabilities)
    maps = media.rtpmaps(numbers or {})
    pairs = [
        (number, codec)
        for number, entry in maps.items()
        for codec in capabilities.codecs
        if codec.is_in(entry)
    ]
    if not pairs:
        return refuse(INCOMPATIBLE_FORMAT, "no common codec", capabilities)
    if numbers is None and not capabilities.their_order:
        pairs.sort(key=lambda pair: capabilities.codecs.index(pair[1]))
    direction = theirs.direction_of(media)
    if _is_unspecified(address):  # RFC 3264 8.4: hold as RFC 2543 phones do it
        direction = Direction.of(sends=direction.sends, receives=False)
    return Stream(
        index=index,
        media=media,
        address=address,
        rtcp=_rtcp_of(media, address, capabilities),
        codecs=tuple(pairs),
        event=_event_of(maps, pairs[0][1]),
        comfort_noise=next((n for n, entry in maps.items() if COMFORT_NOISE.is_in(entry)), None),
        direction=direction,
        ptime_ms=_ptime_of(theirs, media),
        crypto=lines,
    )


def _crypto_of(media: Media, capabilities: Capabilities) -> tuple[CryptoLine, ...] | NotAcceptable:
    """Usable lines; none for plain RTP. Keys beside RTP/AVP are an offer of both (as Cisco, Snom, baresip do it)."""
    protocol, policy = media.protocol.upper(), capabilities.srtp
    if protocol not in PLAIN + SECURE:
        return refuse(INCOMPATIBLE_TRANSPORT, "transport protocol not available", capabilities)
    if policy is SrtpPolicy.OFF:
        if protocol in SECURE:
            return refuse(INCOMPATIBLE_TRANSPORT, "SRTP is not available", capabilities)
        return ()
    read = [parse_crypto(value) for value in media.attributes("crypto")]
    lines = tuple(line for line in read if line is not None)
    if not lines and protocol in SECURE:
        return refuse(INCOMPATIBLE_TRANSPORT, "no usable key for SRTP", capabilities)
    if not lines and policy is SrtpPolicy.REQUIRED:
        return refuse(INCOMPATIBLE_TRANSPORT, "SRTP is required", capabilities)
    return lines


def _event_of(maps: Mapping[int, RtpMap], codec: Codec) -> Event | None:
    """On the codec's clock; else at 8000, which phones with Opus but without 48000 mean to work all the same."""
    events = {
        entry.rate_hz: number
        for number, entry in reversed(list(maps.items()))
        if entry.name == EVENT_NAME
    }
    for rate_hz in (codec.rate_hz, 8000):
        if rate_hz in events:
            return Event(events[rate_hz], rate_hz)
    return None


def _rtcp_of(media: Media, address: str, capabilities: Capabilities) -> tuple[str, int] | None:
    """RFC 3605: `port`, or `port IN IP4 address`; None where the port above RTP is meant, or nothing sensible."""
    words = (media.attribute("rtcp") or "").split()
    if not words or not (words[0].isascii() and words[0].isdigit() and 0 < int(words[0]) < 65536):
        return None
    host = _usable(words[3], capabilities) if len(words) == 4 else None
    same_family = host is not None and (":" in host) is (":" in address)
    return host if host is not None and same_family else address, int(words[0])


def _ptime_of(theirs: Description, media: Media) -> int:
    """Of the packets that will come: a=ptime, never over a=maxptime; odd values are 20."""
    longest = _milliseconds(theirs, media, "maxptime") or MAX_PTIME_MS
    value = _milliseconds(theirs, media, "ptime") or DEFAULT_PTIME_MS
    value = min(value, longest)
    return value if 10 <= value <= MAX_PTIME_MS and value % 10 == 0 else DEFAULT_PTIME_MS


def _milliseconds(theirs: Description, media: Media, name: str) -> int:
    text = media.attribute(name) or find_attribute(theirs.lines, name) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0


def _usable(address: str | None, capabilities: Capabilities) -> str | None:
    """Their address, if we have one of its family. A host name is of none: nothing here may wait for DNS.

    Loopback is for signalling of this machine, whatever our own address is: that says nothing of who calls.
    """
    found = _normal(address) if address is not None else None
    if found is None:
        return None
    ours = (capabilities.address, capabilities.other_address)
    if not any(one and (":" in one) is (":" in found) for one in ours):
        return None
    return found if _is_of_one_machine(found, local=capabilities.local) else None


def is_loopback(address: str) -> bool:
    """Whether an address, as `_normal` spells it, is one of this machine alone."""
    return address.startswith("127.") or address == "::1"


def _is_of_one_machine(address: str, *, local: bool) -> bool:
    """No group, no broadcast and no range that no host has: audio is for one machine, and not for us unless it is `local`."""
    if is_loopback(address):
        return local
    if ":" in address:
        sixth = IPv6Address(address)
        # What needs a link (RFC 4007 6) cannot be sent to: neither SDP (RFC 8866 9) nor our ports name one.
        return not (sixth.is_multicast or sixth.is_link_local or sixth.scope_id)
    first = int(address.partition(".")[0])
    return address == _UNSPECIFIED if first == 0 else first < _GROUPS


def _normal(address: str) -> str | None:
    """One spelling for each; an IPv4-mapped address (RFC 5118 4.9) is the IPv4 address that it maps."""
    if _V4.fullmatch(address):
        return address
    try:
        found = ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def _is_unspecified(address: str) -> bool:
    return address == _UNSPECIFIED if _V4.fullmatch(address) else ip_address(address).is_unspecified
