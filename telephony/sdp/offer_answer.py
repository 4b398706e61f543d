"""Offer and answer (RFC 3264, RFC 6337) for one audio stream. Every answer is computed, none is replayed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from telephony.sdp.capabilities import MISCELLANEOUS, Capabilities, NotAcceptable, refuse
from telephony.sdp.codecs import (
    CODECS,
    COMFORT_NOISE,
    EVENT_NAME,
    EVENT_TYPES,
    G722,
    OPUS,
    PCMA,
    PCMU,
    Codec,
)
from telephony.sdp.crypto import Crypto, CryptoLine, SrtpPolicy, write_crypto
from telephony.sdp.description import Description, Direction, Media, Origin, RtpMap, parse, write
from telephony.sdp.errors import SdpError
from telephony.sdp.stream import PLAIN, SECURE, Stream, choose_stream

__all__ = [
    "CODECS", "G722", "OPUS", "PCMA", "PCMU", "Agreed", "Capabilities", "Codec", "Crypto", "Heard", "NotAcceptable",
    "Offer", "SrtpPolicy", "accept_answer", "answer", "hear", "offer", "reply",
]  # fmt: skip

_FIRST_DYNAMIC: Final = 96
_LAST_DYNAMIC: Final = 127
_EVENT: Final = EVENT_NAME.lower()

Numbers = tuple[tuple[str, int], ...]
"""Which payload type each encoding has in this session; RFC 3264 8.3.2: it never means another one."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of ours, on its way. `event_types` are its (payload type, clock) of RFC 4733."""

    sdp: bytes = field(repr=False)
    capabilities: Capabilities
    session_id: int
    version: int
    others: tuple[Media | None, ...]
    codecs: tuple[tuple[int, Codec], ...]
    event_types: tuple[tuple[int, int], ...]
    direction: Direction
    protocol: str
    crypto: tuple[CryptoLine, ...]
    numbers: Numbers
    rtcp_mux: bool


@dataclass(frozen=True, slots=True)
class Agreed:
    """The session as it now is. Payload types may differ by direction; `direction` is ours.

    `accepted`: (payload type, codec) of all that may come. `crypto`: keys of SRTP, None is plain RTP. `remote_rtcp`:
    where their RTCP is, None is the port above RTP. `fec`, `max_bitrate`: what they want of our Opus. `others` holds
    the m= lines besides ours (None stands for ours), which a later offer must repeat.
    """

    sdp: bytes = field(repr=False)
    remote_address: str
    remote_port: int
    codec: Codec
    send_payload_type: int
    receive_payload_type: int
    accepted: tuple[tuple[int, Codec], ...]
    dtmf_send_type: int | None
    dtmf_receive_type: int | None
    dtmf_rate_hz: int
    comfort_noise: bool
    comfort_noise_type: int | None
    direction: Direction
    ptime_ms: int
    rtcp_mux: bool
    remote_rtcp: tuple[str, int] | None
    crypto: Crypto | None
    fec: bool
    max_bitrate: int | None
    protocol: str
    numbers: Numbers
    session_id: int
    version: int
    others: tuple[Media | None, ...]

    @property
    def held(self) -> bool:
        """They do not want to hear us."""
        return not self.direction.sends


Previous = Agreed | Offer | None


@dataclass(frozen=True, slots=True)
class Heard:
    """An offer of theirs that we can answer: judged once, before the port of ours is known."""

    stream: Stream
    others: tuple[Media | None, ...]
    previous: Previous

    @property
    def remote(self) -> tuple[str, int]:
        """Where their audio wants to be."""
        return self.stream.address, self.stream.media.port


def hear(
    offer: bytes, capabilities: Capabilities, previous: Previous = None
) -> Heard | NotAcceptable:
    """Judge an offer, the first or a later one of a dialog; the port of `capabilities` does not matter yet."""
    try:
        theirs = parse(offer)
    except SdpError as error:
        return refuse(MISCELLANEOUS, str(error), capabilities)
    kept = previous.others.index(None) if previous is not None else None
    stream = choose_stream(theirs, capabilities, kept=kept)
    if isinstance(stream, NotAcceptable):
        return stream
    others = tuple(
        None if index == stream.index else replace(media, port=0, lines=())
        for index, media in enumerate(theirs.media)
    )
    return Heard(stream, others, previous)


def reply(heard: Heard, capabilities: Capabilities) -> Agreed:
    """Answer what was heard, with the port of `capabilities` and else the same ones."""
    stream, previous = heard.stream, heard.previous
    capabilities = capabilities.towards(stream.address)
    event = stream.event if capabilities.dtmf else None
    events = ((event.payload_type, event.rate_hz),) if event is not None else ()
    crypto = _answered_crypto(stream, capabilities, previous)
    draft = _Draft(
        codecs=((stream.payload_type, stream.codec),),
        events=events,
        comfort_noise=stream.comfort_noise,
        direction=_meet(stream.direction.mirrored(), capabilities.direction),
        protocol=stream.media.protocol,
        crypto=() if crypto is None else (CryptoLine(crypto.tag, crypto.suite, crypto.send_key),),
        rtcp_mux=stream.rtcp_mux,
        others=heard.others,
    )
    sdp, session_id, version = _compose(capabilities, draft, previous)
    number = event.payload_type if event is not None else None
    return _agree(stream, draft, crypto, sdp, (session_id, version), (number, number), previous)


def answer(
    offer: bytes, capabilities: Capabilities, previous: Previous = None
) -> Agreed | NotAcceptable:
    """Answer an offer, the first or a later one of a dialog."""
    heard = hear(offer, capabilities, previous)
    return heard if isinstance(heard, NotAcceptable) else reply(heard, capabilities)


def offer(
    capabilities: Capabilities,
    previous: Previous = None,
    direction: Direction | None = None,
) -> Offer:
    """Offer all codecs; a later offer keeps payload types, keys and m= lines of the one before."""
    numbers = _assign(capabilities, previous)
    known = dict(numbers)
    codecs = tuple((known[codec.rtpmap], codec) for codec in capabilities.codecs)
    clocks = sorted({codec.rate_hz for codec in capabilities.codecs})
    events = tuple((known[f"{_EVENT}/{clock}"], clock) for clock in clocks if capabilities.dtmf)
    lines = _offered_crypto(capabilities, previous)
    draft = _Draft(
        codecs=codecs,
        events=events,
        comfort_noise=None,
        direction=direction or capabilities.direction,
        protocol=_offered_protocol(capabilities, previous),
        crypto=lines,
        rtcp_mux=previous is not None and previous.rtcp_mux,
        others=previous.others if previous is not None else (None,),
    )
    sdp, session_id, version = _compose(capabilities, draft, previous)
    return Offer(
        sdp, capabilities, session_id, version, draft.others, codecs, events, draft.direction,
        draft.protocol, lines, numbers, draft.rtcp_mux,
    )  # fmt: skip


def accept_answer(offer: Offer, answer: bytes) -> Agreed | NotAcceptable:
    """What the answer to our offer makes of the session."""
    capabilities = offer.capabilities
    try:
        theirs = parse(answer)
    except SdpError as error:
        return refuse(MISCELLANEOUS, str(error), capabilities)
    ours = {number: _map_of(codec) for number, codec in offer.codecs}
    ours |= {number: RtpMap(EVENT_NAME, clock) for number, clock in offer.event_types}
    stream = choose_stream(theirs, capabilities, kept=offer.others.index(None), numbers=ours)
    if isinstance(stream, NotAcceptable):
        return stream
    crypto = _accepted_crypto(offer, stream)
    if isinstance(crypto, NotAcceptable):
        return crypto
    event = stream.event
    receive = None
    if event is not None:
        receive = next((n for n, clock in offer.event_types if clock == event.rate_hz), None)
    send = event.payload_type if event is not None and receive is not None else None
    draft = _Draft(
        codecs=offer.codecs,
        events=offer.event_types,
        comfort_noise=None,
        direction=_meet(stream.direction.mirrored(), offer.direction),
        protocol=offer.protocol,
        crypto=offer.crypto,
        rtcp_mux=offer.rtcp_mux and stream.rtcp_mux,
        others=offer.others,
    )
    place = offer.session_id, offer.version
    return _agree(stream, draft, crypto, offer.sdp, place, (send, receive), offer)


# ---------------------------------------------------------------------- what both make of it


@dataclass(frozen=True, slots=True)
class _Draft:
    """Our m= section before it is text."""

    codecs: tuple[tuple[int, Codec], ...]
    events: tuple[tuple[int, int], ...]
    comfort_noise: int | None
    direction: Direction
    protocol: str
    crypto: tuple[CryptoLine, ...]
    rtcp_mux: bool
    others: tuple[Media | None, ...]


def _agree(
    stream: Stream,
    draft: _Draft,
    crypto: Crypto | None,
    sdp: bytes,
    place: tuple[int, int],
    dtmf: tuple[int | None, int | None],
    previous: Previous,
) -> Agreed:
    """`place`: session id and version; `dtmf`: payload types that we send and receive."""
    ours = {codec: number for number, codec in draft.codecs}
    # They send by our numbers; some by their own.
    accepted = {number: codec for number, codec in stream.codecs if codec in ours}
    accepted |= {ours[codec]: codec for codec in accepted.values()}
    answered = {codec.rtpmap: number for number, codec in draft.codecs}
    answered |= {f"{_EVENT}/{clock}": number for number, clock in draft.events}
    taken = set(answered.values())  # also from what they meant before, against the rule
    before = previous.numbers if previous is not None else ()
    numbers = {label: number for label, number in before if number not in taken}
    return Agreed(
        sdp=sdp,
        remote_address=stream.address,
        remote_port=stream.media.port,
        codec=stream.codec,
        send_payload_type=stream.payload_type,
        receive_payload_type=ours[stream.codec],
        accepted=tuple(accepted.items()),
        dtmf_send_type=dtmf[0],
        dtmf_receive_type=dtmf[1],
        dtmf_rate_hz=stream.event.rate_hz if stream.event is not None else 8000,
        comfort_noise=stream.comfort_noise is not None,
        comfort_noise_type=stream.comfort_noise,
        direction=draft.direction,
        ptime_ms=stream.ptime_ms,
        rtcp_mux=draft.rtcp_mux,
        remote_rtcp=stream.rtcp,
        crypto=crypto,
        fec=stream.fec,
        max_bitrate=stream.max_bitrate,
        protocol=draft.protocol,
        numbers=tuple((numbers | answered).items()),
        session_id=place[0],
        version=place[1],
        others=draft.others,
    )


def _meet(one: Direction, other: Direction) -> Direction:
    return Direction.of(sends=one.sends and other.sends, receives=one.receives and other.receives)


def _map_of(codec: Codec) -> RtpMap:
    return RtpMap(codec.name, codec.rate_hz, codec.channels)


# ---------------------------------------------------------------------- keys


def _answered_crypto(
    stream: Stream, capabilities: Capabilities, previous: Previous
) -> Crypto | None:
    """Their first usable line. While their key stays, ours does: the packet counters of both go on (RFC 4568 7.1.4)."""
    if not stream.crypto:
        return None
    line = stream.crypto[0]
    before = previous.crypto if isinstance(previous, Agreed) else None
    same = before is not None and (before.suite, before.receive_key) == (line.suite, line.key)
    key = before.send_key if same and before is not None else capabilities.make_key(line.suite)
    return Crypto(line.suite, key, line.key, line.tag, line.mki_octets)


def _offered_crypto(capabilities: Capabilities, previous: Previous) -> tuple[CryptoLine, ...]:
    if capabilities.srtp is SrtpPolicy.OFF:
        return ()
    if isinstance(previous, Offer):
        return previous.crypto
    if previous is not None:
        now = previous.crypto
        return () if now is None else (CryptoLine(now.tag, now.suite, now.send_key),)
    return tuple(
        CryptoLine(tag, suite, capabilities.make_key(suite))
        for tag, suite in enumerate(capabilities.suites, 1)
    )


def _offered_protocol(capabilities: Capabilities, previous: Previous) -> str:
    """With optional SRTP keys stand beside RTP/AVP, which those who know nothing of them answer without."""
    if previous is not None:
        return previous.protocol
    return SECURE[0] if capabilities.srtp is SrtpPolicy.REQUIRED else PLAIN[0]


def _accepted_crypto(offer: Offer, stream: Stream) -> Crypto | NotAcceptable | None:
    ours = {(line.tag, line.suite): line for line in offer.crypto}
    for line in stream.crypto:
        mine = ours.get((line.tag, line.suite))
        if mine is not None:
            return Crypto(line.suite, mine.key, line.key, line.tag, line.mki_octets)
    if stream.media.attributes("crypto") or offer.protocol.upper() in SECURE:
        return refuse(302, "no key of ours was answered", offer.capabilities)
    return None


# ---------------------------------------------------------------------- writing ours


def _assign(capabilities: Capabilities, previous: Previous) -> Numbers:
    """Payload types: what they were, else what we like best, else one that never meant anything in this session."""
    numbers = dict(previous.numbers) if previous is not None else {}
    wanted = [(codec.rtpmap, codec.payload_type) for codec in capabilities.codecs]
    wanted += [(f"{_EVENT}/{clock}", number) for clock, number in EVENT_TYPES.items()]
    for label, liked in wanted:
        if label in numbers:
            continue
        taken = set(numbers.values())
        free = (n for n in range(_FIRST_DYNAMIC, _LAST_DYNAMIC + 1) if n not in taken)
        numbers[label] = liked if liked not in taken else next(free)
    return tuple(numbers.items())


def _section(capabilities: Capabilities, draft: _Draft) -> Media:
    lines = [("a", f"rtpmap:{number} {codec.rtpmap}") for number, codec in draft.codecs]
    lines += [("a", f"fmtp:{number} {codec.fmtp}") for number, codec in draft.codecs if codec.fmtp]
    formats = [str(number) for number, _ in draft.codecs]
    if draft.comfort_noise is not None:
        lines.append(("a", f"rtpmap:{draft.comfort_noise} {COMFORT_NOISE.rtpmap}"))
        formats.append(str(draft.comfort_noise))
    for number, clock in draft.events:
        lines += [("a", f"rtpmap:{number} {_EVENT}/{clock}"), ("a", f"fmtp:{number} 0-15")]
        formats.append(str(number))
    lines += [("a", f"crypto:{write_crypto(line)}") for line in draft.crypto]
    if draft.rtcp_mux:
        lines.append(("a", "rtcp-mux"))
    lines += [("a", f"ptime:{capabilities.ptime_ms}"), ("a", draft.direction.value)]
    return Media("audio", capabilities.port, draft.protocol, tuple(formats), tuple(lines))


def _compose(
    capabilities: Capabilities, draft: _Draft, previous: Previous
) -> tuple[bytes, int, int]:
    """The text, its session id and its version, which grows whenever the text changes (RFC 3264 8)."""
    session_id = previous.session_id if previous is not None else capabilities.session_id
    version = previous.version if previous is not None else session_id
    family = "IP6" if ":" in capabilities.address else "IP4"
    lines = (("s", "-"), ("c", f"IN {family} {capabilities.address}"), ("t", "0 0"))
    ours = _section(capabilities, draft)
    media = tuple(ours if other is None else other for other in draft.others)
    text = write(Description(_origin(capabilities, session_id, version), lines, media))
    if previous is not None and text != previous.sdp:
        version += 1
        text = write(Description(_origin(capabilities, session_id, version), lines, media))
    return text, session_id, version


def _origin(capabilities: Capabilities, session_id: int, version: int) -> Origin:
    return Origin("-", session_id, version, capabilities.address)
