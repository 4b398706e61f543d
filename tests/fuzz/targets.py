"""What hostile input is thrown at. Each check takes any octets; what it raises is a find."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from telephony.rtp.dtmf import DigitReceiver
from telephony.rtp.errors import RtpError
from telephony.rtp.packet import RtpPacket, build_packet, is_rtcp, parse_packet
from telephony.rtp.rtcp import Report, ReportBlock, build_compound, parse_compound
from telephony.sdp.capabilities import Capabilities
from telephony.sdp.crypto import SrtpPolicy, parse_crypto
from telephony.sdp.description import parse as parse_sdp
from telephony.sdp.description import write as write_sdp
from telephony.sdp.errors import SdpError
from telephony.sdp.offer_answer import Agreed, accept_answer, answer, offer
from telephony.sip import digest, extensions, headers
from telephony.sip.errors import SipSyntaxError, TlsError
from telephony.sip.message import write
from telephony.sip.oversize import LargeRequests
from telephony.sip.parser import Drop, Parsed, Refuse, parse
from telephony.sip.stream import StreamFramer
from telephony.sip.tls import TlsContexts, TlsLayer
from telephony.sip.uri import parse_uri
from telephony.sip.websocket import WebSocketFramer
from tests.fakes.certificates import Authority
from tests.fuzz.dialogs import FLOW, Called, Calling
from tests.fuzz.seeds import HEADER_VALUES, SDPS, WEBSOCKET_FRAMES, WEBSOCKET_UPGRADE
from tests.fuzz.sip_corpus import own_messages, rfc4475_messages
from tests.unit.media_line import Line, silence

Check = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    """`share` of all inputs, in parts; `make` gives a fresh check with its state."""

    share: int
    seeds: Sequence[bytes]
    make: Callable[[], Check]


@cache
def messages() -> list[bytes]:
    return [message.data for message in own_messages() + rfc4475_messages()]


def parser(data: bytes) -> None:
    verdict = parse(data)
    assert isinstance(verdict, Parsed | Refuse | Drop)
    if isinstance(verdict, Parsed):
        assert parse(write(verdict.message)) == verdict


def framer(data: bytes) -> None:
    whole, pieces = StreamFramer(), StreamFramer()
    found = [item for at in range(0, len(data), 7) for item in pieces.feed(data[at : at + 7])]
    assert found == whole.feed(data)
    assert len(whole._buffer) <= 65536 + 8192


_READERS: list[Callable[[str], object]] = [
    parse_uri, headers.parse_name_addrs, headers.parse_via, headers.parse_cseq, headers.parse_params,
    digest.parse_challenge, digest.parse_answer, extensions.parse_session_expires, extensions.parse_min_se,
    extensions.parse_expires, extensions.parse_rseq, extensions.parse_rack, extensions.parse_replaces,
    extensions.parse_subscription_state, extensions.parse_refer_to, extensions.uri_headers,
]  # fmt: skip


def header_values(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for read in _READERS:
        with suppress(SipSyntaxError):
            read(text)
    with suppress(SdpError):
        parse_crypto(text)
    LargeRequests().reroute(FLOW, data, 0.0)


def sdp() -> Check:
    ours = Capabilities(
        "192.0.2.1", 12000, srtp=SrtpPolicy.OPTIONAL, new_key=random.Random(1).randbytes
    )
    offered = offer(ours)

    def check(data: bytes) -> None:
        with suppress(SdpError):
            found = parse_sdp(data)
            assert parse_sdp(write_sdp(found)) == found
        first = answer(data, ours)
        if isinstance(first, Agreed):
            parse_sdp(first.sdp)
            answer(data, ours, first)
        accept_answer(offered, data)

    return check


def rtp(data: bytes) -> None:
    is_rtcp(data)
    with suppress(RtpError):
        packet = parse_packet(data)
        assert len(packet.payload) <= len(data)
        DigitReceiver().receive(packet.timestamp, packet.payload, 0.0)


def rtcp(data: bytes) -> None:
    with suppress(RtpError):
        parse_compound(data)


def plane() -> Check:
    """Packets from a call's own source into the media plane, one each frame."""
    line = Line()
    _, phone = line.latched()
    count = 0

    def check(data: bytes) -> None:
        nonlocal count
        phone.send_raw(data)
        line.frame()
        assert line.plane.stats().counters.handler_errors == 0
        count += 1
        if count % 50 == 0:  # it still is a call
            line.talk(phone, silence(1))
            line.told.clear()
            line.tap.batches.clear()
            line.datagrams.sent.clear()

    return check


def websocket(data: bytes) -> None:
    for upgraded in (False, True):
        framer = WebSocketFramer(["https://desk.test"])
        if upgraded:
            framer.feed(WEBSOCKET_UPGRADE)
        framer.feed(data)
        framer.wrap(b"OPTIONS")
        framer.outgoing()


@cache
def tls_contexts() -> TlsContexts:
    """With a certificate for `gw.test`, whose files are read once."""
    with tempfile.TemporaryDirectory() as folder:
        contexts = TlsContexts(Authority(Path(folder)).settings("gw.test"))
        contexts.client("gw.test")
        return contexts


@cache
def tls_records() -> list[bytes]:
    """What a client says: its hello, the end of its handshake, a request, its goodbye."""
    client, server = TlsLayer(tls_contexts(), "gw.test"), TlsLayer(tls_contexts(), None)
    client.start()
    hello = client.outgoing()
    server.feed(hello)
    return [
        hello,
        server.outgoing(),
        b"\x17\x03\x03\x00\x40" + bytes(64),
        b"\x15\x03\x03\x00\x02\x01\x00",
    ]


def tls(data: bytes) -> None:
    server = TlsLayer(tls_contexts(), None)
    with suppress(TlsError):
        for at in range(0, len(data), 500):
            assert server.feed(data[at : at + 500]) == b""
    server.outgoing()
    client = TlsLayer(tls_contexts(), "gw.test")
    client.start()
    with suppress(TlsError):
        client.feed(data)
    assert not client.established


def stateless(check: Check) -> Callable[[], Check]:
    return lambda: check


def rtp_packets() -> list[bytes]:
    event = struct.pack("!BBH", 5, 0x8A, 800)
    extension = b"\x90\x00" + bytes(10) + b"\xbe\xde\x00\x01" + bytes(4) + b"x" * 160
    return [
        build_packet(RtpPacket(0, 7, 160, 1, bytes(160))),
        build_packet(RtpPacket(101, 8, 320, 1, event)),
        build_packet(RtpPacket(13, 8, 320, 1, b"\x40")),
        extension,
        b"\xa0\x00" + bytes(10) + b"y" * 10 + b"\x04",
        b"\x83\x08" + bytes(22) + b"z" * 160,
    ]


def rtcp_packets() -> list[bytes]:
    block = ReportBlock(7, 0, 1, 2, 3, 4, 5)
    return [
        build_compound(Report(5, (block,), 1 << 40), "media"),
        build_compound(Report(5, (), None), "media", goodbye=True),
    ]


def targets() -> dict[str, Target]:
    """By name."""
    called, calling = Called(), Calling()
    return {
        "parser": Target(300, messages(), stateless(parser)),
        "framer": Target(110, messages(), stateless(framer)),
        "headers": Target(120, HEADER_VALUES, stateless(header_values)),
        "engine": Target(70, messages(), lambda: Called().check),
        "dialog": Target(60, called.seeds(), lambda: Called().check),
        "responses": Target(40, calling.seeds(), lambda: Calling().check),
        "sdp": Target(100, SDPS, sdp),
        "rtp": Target(100, rtp_packets(), stateless(rtp)),
        "rtcp": Target(80, rtcp_packets(), stateless(rtcp)),
        "websocket": Target(15, WEBSOCKET_FRAMES, stateless(websocket)),
        "tls": Target(4, tls_records(), stateless(tls)),
        "plane": Target(5, rtp_packets() + rtcp_packets(), plane),
    }
