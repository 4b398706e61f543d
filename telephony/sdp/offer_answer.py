"""Offer and answer (RFC 3264, RFC 6337) for one audio stream. Every answer is computed, none is replayed."""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from telephony.sdp.description import (
    Description,
    Direction,
    Media,
    Origin,
    RtpMap,
    find_attribute,
    parse,
    write,
)
from telephony.sdp.errors import SdpError

PROTOCOLS: Final = ("RTP/AVP", "RTP/AVPF")
DEFAULT_PTIME_MS: Final = 20
MAX_PTIME_MS: Final = 60
DTMF_NAME: Final = "TELEPHONE-EVENT"
DTMF_TYPE: Final = 101


@dataclass(frozen=True, slots=True)
class Codec:
    """`rate_hz` is the RTP clock; `payload_type` the one we offer."""

    name: str
    rate_hz: int
    payload_type: int

    def is_in(self, entry: RtpMap) -> bool:
        return (self.name, self.rate_hz, 1) == (entry.name, entry.rate_hz, entry.channels)


PCMU: Final = Codec("PCMU", 8000, 0)
PCMA: Final = Codec("PCMA", 8000, 8)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one leg can do now: where it receives, and which codecs, best first."""

    address: str
    port: int
    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    ptime_ms: int = DEFAULT_PTIME_MS
    dtmf: bool = True
    session_id: int = 1
    direction: Direction = Direction.SENDRECV


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of ours, on its way."""

    sdp: bytes
    capabilities: Capabilities
    session_id: int
    version: int
    others: tuple[Media | None, ...]
    dtmf_receive_type: int | None
    direction: Direction


@dataclass(frozen=True, slots=True)
class Agreed:
    """The session as it now is. Payload types may differ by direction; `direction` is ours.

    `others` holds the m= lines besides ours (None stands for ours), which a later offer must repeat.
    """

    sdp: bytes
    remote_address: str
    remote_port: int
    codec: Codec
    send_payload_type: int
    receive_payload_type: int
    dtmf_send_type: int | None
    dtmf_receive_type: int | None
    direction: Direction
    ptime_ms: int
    session_id: int
    version: int
    others: tuple[Media | None, ...]

    @property
    def held(self) -> bool:
        """They do not want to hear us."""
        return not self.direction.sends


@dataclass(frozen=True, slots=True)
class NotAcceptable:
    """Why there can be no session; `warning` is the value of a Warning header (RFC 3261 20.43)."""

    reason: str
    warning: str


Previous = Agreed | Offer | None


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the other side's description says about the stream we take."""

    index: int
    media: Media
    address: str
    codec: Codec
    payload_type: int
    dtmf_type: int | None
    direction: Direction
    ptime_ms: int


def answer(
    offer: bytes, capabilities: Capabilities, previous: Previous = None
) -> Agreed | NotAcceptable:
    """Answer an offer, the first or a later one of a dialog."""
    try:
        theirs = parse(offer)
    except SdpError as error:
        return _refuse(399, str(error), capabilities)
    stream = _choose(theirs, capabilities)
    if isinstance(stream, NotAcceptable):
        return stream
    direction = _meet(stream.direction.mirrored(), capabilities.direction)
    dtmf = stream.dtmf_type if capabilities.dtmf else None
    ours = _audio(capabilities, [(stream.codec, stream.payload_type)], dtmf, direction)
    others = tuple(
        None if index == stream.index else replace(media, port=0, lines=())
        for index, media in enumerate(theirs.media)
    )
    sdp, session_id, version = _compose(capabilities, ours, others, previous)
    return Agreed(
        sdp=sdp,
        remote_address=stream.address,
        remote_port=stream.media.port,
        codec=stream.codec,
        send_payload_type=stream.payload_type,
        receive_payload_type=stream.payload_type,
        dtmf_send_type=dtmf,
        dtmf_receive_type=dtmf,
        direction=direction,
        ptime_ms=stream.ptime_ms,
        session_id=session_id,
        version=version,
        others=others,
    )


def offer(
    capabilities: Capabilities,
    previous: Previous = None,
    direction: Direction | None = None,
) -> Offer:
    """Offer all codecs; a later offer keeps payload types and m= lines of the one before."""
    wanted = direction or capabilities.direction
    dtmf = DTMF_TYPE if capabilities.dtmf else None
    if dtmf and previous is not None and previous.dtmf_receive_type is not None:
        dtmf = previous.dtmf_receive_type  # RFC 3264 8.3.2: a mapping does not change in a session
    codecs = [(codec, codec.payload_type) for codec in capabilities.codecs]
    others = previous.others if previous is not None else (None,)
    ours = _audio(capabilities, codecs, dtmf, wanted)
    sdp, session_id, version = _compose(capabilities, ours, others, previous)
    return Offer(sdp, capabilities, session_id, version, others, dtmf, wanted)


def accept_answer(offer: Offer, answer: bytes) -> Agreed | NotAcceptable:
    """What the answer to our offer makes of the session."""
    try:
        theirs = parse(answer)
    except SdpError as error:
        return _refuse(399, str(error), offer.capabilities)
    stream = _choose(theirs, offer.capabilities, by_their_order=True)
    if isinstance(stream, NotAcceptable):
        return stream
    dtmf = offer.dtmf_receive_type
    return Agreed(
        sdp=offer.sdp,
        remote_address=stream.address,
        remote_port=stream.media.port,
        codec=stream.codec,
        send_payload_type=stream.payload_type,
        receive_payload_type=stream.codec.payload_type,
        dtmf_send_type=stream.dtmf_type if dtmf is not None else None,
        dtmf_receive_type=dtmf if stream.dtmf_type is not None else None,
        direction=_meet(stream.direction.mirrored(), offer.direction),
        ptime_ms=stream.ptime_ms,
        session_id=offer.session_id,
        version=offer.version,
        others=offer.others,
    )


# ---------------------------------------------------------------------- reading theirs


def _choose(
    theirs: Description, capabilities: Capabilities, *, by_their_order: bool = False
) -> _Stream | NotAcceptable:
    """The first audio stream that fits, or why none does."""
    failure = _refuse(304, "no audio offered", capabilities)
    for index, media in enumerate(theirs.media):
        if media.kind != "audio" or media.port == 0:
            continue
        stream = _read_stream(theirs, index, capabilities, by_their_order=by_their_order)
        if isinstance(stream, _Stream):
            return stream
        failure = stream
    return failure


def _read_stream(
    theirs: Description, index: int, capabilities: Capabilities, *, by_their_order: bool
) -> _Stream | NotAcceptable:
    media = theirs.media[index]
    if media.protocol.upper() not in PROTOCOLS:
        return _refuse(302, "transport protocol not available", capabilities)
    address = theirs.address_of(media)
    if address is None or not _same_family(address, capabilities.address):
        return _refuse(301, "network address format not available", capabilities)
    maps = media.rtpmaps()
    pairs = [
        (number, codec)
        for number, entry in maps.items()
        for codec in capabilities.codecs
        if codec.is_in(entry)
    ]
    if not pairs:
        return _refuse(305, "no common codec", capabilities)
    if not by_their_order:
        pairs.sort(key=lambda pair: capabilities.codecs.index(pair[1]))
    payload_type, codec = pairs[0]
    dtmf = [n for n, e in maps.items() if (e.name, e.rate_hz) == (DTMF_NAME, codec.rate_hz)]
    direction = theirs.direction_of(media)
    if _is_zero(address):  # RFC 3264 8.4: hold as RFC 2543 phones do it
        direction = Direction.of(sends=direction.sends, receives=False)
    return _Stream(
        index, media, address, codec, payload_type, dtmf[0] if dtmf else None, direction,
        _read_ptime(theirs, media),
    )  # fmt: skip


def _read_ptime(theirs: Description, media: Media) -> int:
    text = media.attribute("ptime") or find_attribute(theirs.lines, "ptime") or ""
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    return value if 10 <= value <= MAX_PTIME_MS and value % 10 == 0 else DEFAULT_PTIME_MS


def _same_family(address: str, ours: str) -> bool:
    try:
        return ip_address(address).version == ip_address(ours).version
    except ValueError:
        return False  # a host name: nothing here may wait for DNS


def _is_zero(address: str) -> bool:
    return ip_address(address).is_unspecified


# ---------------------------------------------------------------------- writing ours


def _meet(one: Direction, other: Direction) -> Direction:
    return Direction.of(sends=one.sends and other.sends, receives=one.receives and other.receives)


def _audio(
    capabilities: Capabilities,
    codecs: list[tuple[Codec, int]],
    dtmf: int | None,
    direction: Direction,
) -> Media:
    lines = [("a", f"rtpmap:{number} {codec.name}/{codec.rate_hz}") for codec, number in codecs]
    formats = [str(number) for _, number in codecs]
    if dtmf is not None:
        lines += [("a", f"rtpmap:{dtmf} telephone-event/{codecs[0][0].rate_hz}")]
        lines += [("a", f"fmtp:{dtmf} 0-15")]
        formats.append(str(dtmf))
    lines += [("a", f"ptime:{capabilities.ptime_ms}"), ("a", direction.value)]
    return Media("audio", capabilities.port, PROTOCOLS[0], tuple(formats), tuple(lines))


def _compose(
    capabilities: Capabilities,
    ours: Media,
    others: tuple[Media | None, ...],
    previous: Previous,
) -> tuple[bytes, int, int]:
    """The text, its session id and its version, which grows whenever the text changes (RFC 3264 8)."""
    session_id = previous.session_id if previous is not None else capabilities.session_id
    version = previous.version if previous is not None else session_id
    family = "IP6" if ":" in capabilities.address else "IP4"
    lines = (("s", "-"), ("c", f"IN {family} {capabilities.address}"), ("t", "0 0"))
    media = tuple(ours if other is None else other for other in others)
    text = write(Description(_origin(capabilities, session_id, version), lines, media))
    if previous is not None and text != previous.sdp:
        version += 1
        text = write(Description(_origin(capabilities, session_id, version), lines, media))
    return text, session_id, version


def _origin(capabilities: Capabilities, session_id: int, version: int) -> Origin:
    return Origin("-", session_id, version, capabilities.address)


def _refuse(code: int, reason: str, capabilities: Capabilities) -> NotAcceptable:
    address = capabilities.address
    agent = f"[{address}]" if ":" in address else address
    return NotAcceptable(reason, f'{code} {agent} "{reason}"')
