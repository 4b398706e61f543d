"""A softphone without a phone: our own SIP engine as caller, RTP on a socket of its own, G.711."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from typing import Final

import numpy as np

from telephony.media import g711
from telephony.rtp.errors import RtpError
from telephony.rtp.packet import RtpPacket, build_packet, is_rtcp, parse_packet
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Capabilities
from telephony.sdp.stream import is_loopback
from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.errors import UriError, reason_phrase
from telephony.sip.events import Answered, SipEvent, Terminated
from telephony.sip.ids import TokenIds
from telephony.sip.session import Cause, OutgoingSession
from telephony.sip.transport import SipTransport, TransportSettings
from telephony.sip.uri import Uri, parse_uri
from voiceapp.try_call.audio import FRAME_S, Samples
from voiceapp.try_call.caller import Caller, Stage

RATE_HZ: Final = 8000
ANSWER_S: Final = 15.0
SIP_PORT: Final = 5060
EXAMPLE: Final = "sip:demo@127.0.0.1:5060"
UNAUTHORISED: Final = 401
LET_IN: Final = "where trunks or extensions are set up, VOICEAPP_SIP_ALLOW must name this machine (127.0.0.1/32)"
_ULAW, _ALAW = 0, 1
_LAWS: Final = {0: _ULAW, 8: _ALAW}


class CallFailedError(Exception):
    """The call was refused or never came up; the text says how."""


class _Rtp(asyncio.DatagramProtocol):
    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._arrived(data)


class PhoneLine:
    """Calls a SIP URI and holds the caller's conversation; `user` is what the other side sees as caller.

    Raises: CallFailedError for a URI that cannot be called.
    """

    def __init__(self, uri: str, caller: Caller, *, user: str) -> None:
        self._uri = uri
        self._target = _target(uri)
        self._caller = caller
        self._user = user
        self._bind = ""
        self._ended = asyncio.Event()
        self._answered = asyncio.Event()
        self._outcome = ""
        self._agreed: Agreed | None = None
        self._offer: offer_answer.Offer | None = None
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._ssrc = secrets.randbits(32)
        self._rtp: asyncio.DatagramTransport | None = None

    async def hold(self) -> None:
        """The whole call: dials, talks until the caller is done or the other side hangs up.

        Raises: CallFailedError, OSError.
        """
        loop = asyncio.get_running_loop()
        host = await _address_of(self._target.host)
        self._bind = _route_source(host)
        engine = SipEngine(EngineSettings(user=self._user), TokenIds(os.urandom))
        sip = SipTransport(engine, self._event, TransportSettings(bind=(self._bind, 0)))
        await sip.start()
        self._rtp, _ = await loop.create_datagram_endpoint(
            lambda: _Rtp(self._packet), local_addr=(self._bind, 0)
        )
        try:
            session = self._dial(engine, sip, host)
            await self._until_answered(session, sip)
            self._caller.connected(loop.time())
            await self._talk()
            if not self._ended.is_set():
                session.bye(sip.now())
                sip.flush()
                await _wait(self._ended, 2.0)
        finally:
            self._rtp.close()
            await sip.close()

    def _dial(self, engine: SipEngine, sip: SipTransport, host: str) -> OutgoingSession:
        port = self._rtp.get_extra_info("sockname")[1] if self._rtp else 0
        ours = Capabilities(self._bind, port, local=is_loopback(self._bind))
        self._offer = offer_answer.offer(ours)
        target = self._target
        tcp = (target.param("transport") or "").lower() == "tcp"
        flow = sip.flow("tcp" if tcp else "udp", host, target.port or SIP_PORT)
        session = engine.invite(
            self._uri,
            from_=f"sip:{self._user}@{_in_uri(self._bind)}",
            flow=flow,
            sdp=self._offer.sdp,
            now=sip.now(),
        )
        sip.flush()
        return session

    async def _until_answered(self, session: OutgoingSession, sip: SipTransport) -> None:
        await _wait(self._answered, ANSWER_S)
        if self._ended.is_set() or self._agreed is None:
            if not self._ended.is_set():
                session.cancel(sip.now())
                sip.flush()
            raise CallFailedError(self._outcome or f"nothing answers at {self._target}; {LET_IN}")

    def _event(self, event: SipEvent) -> None:
        if isinstance(event, Answered) and event.sdp is not None and self._offer is not None:
            agreed = offer_answer.accept_answer(self._offer, event.sdp)
            self._agreed = agreed if isinstance(agreed, Agreed) else None
            self._answered.set()
        elif isinstance(event, Terminated):
            self._outcome = in_words(event.cause)
            self._ended.set()
            self._answered.set()

    # ------------------------------------------------------------------------------- audio

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._ended.is_set() and self._caller.stage is not Stage.DONE:
            self._send(self._caller.next_frame(loop.time()))
            due += FRAME_S
            await _wait(self._ended, max(0.0, due - loop.time()))

    def _send(self, frame: Samples) -> None:
        agreed = self._agreed
        if agreed is None or self._rtp is None:
            return
        law = _ALAW if agreed.codec.name.upper() == "PCMA" else _ULAW
        payload = g711.encode(frame.reshape(1, -1), law).tobytes()
        packet = RtpPacket(
            agreed.send_payload_type, self._sequence, self._timestamp, self._ssrc, payload
        )
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + len(frame) & 0xFFFFFFFF
        self._rtp.sendto(build_packet(packet), (agreed.remote_address, agreed.remote_port))

    def _packet(self, data: bytes) -> None:
        if is_rtcp(data):
            return
        try:
            packet = parse_packet(data)
        except RtpError:
            return
        law = _LAWS.get(packet.payload_type)
        if law is not None and packet.payload:
            octets = np.frombuffer(packet.payload, np.uint8).reshape(1, -1)
            pcm = g711.decode(octets, np.array([law]))[0]
            self._caller.heard(packet.timestamp, pcm, asyncio.get_running_loop().time())


def _target(text: str) -> Uri:
    try:
        uri = parse_uri(text)
    except UriError as error:
        raise CallFailedError(f"{text} is no SIP URI such as {EXAMPLE}: {error}") from error
    if uri.scheme != "sip" or not uri.user:
        raise CallFailedError(f"{text} cannot be called: it takes a SIP URI such as {EXAMPLE}")
    return uri


async def _address_of(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), None, type=socket.SOCK_DGRAM
        )
    except OSError as error:
        raise CallFailedError(f"there is no machine {host}: {error.strerror}") from error
    # IPv4 first: a name of both is more often served there.
    return str(min(found, key=lambda entry: entry[0] is not socket.AF_INET)[4][0])


def _in_uri(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _route_source(host: str) -> str:
    """The address of ours that packets to `host` leave by; nothing is sent."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, SIP_PORT))
        return str(probe.getsockname()[0])


def in_words(cause: Cause) -> str:
    """Why there is no call, and what to do where we can know it."""
    if cause.status is None:
        return f"ended with {cause.kind.name.lower()}"
    if cause.status == UNAUTHORISED:
        return f"it asks for a login; {LET_IN}"
    return f"refused with {cause.status} {cause.reason or reason_phrase(cause.status)}"


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
