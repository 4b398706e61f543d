"""The other side of a trunk: a SIP endpoint on a socket of its own, which answers as a test tells it and calls us."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Capabilities
from telephony.sip.auth import Credentials
from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import (
    Answered,
    IncomingInvite,
    OptionsAnswered,
    Provisional,
    ReferEnded,
    ReferReceived,
    RegisterReceived,
    RegistrationChanged,
    SipEvent,
    Terminated,
)
from telephony.sip.flow import Transport
from telephony.sip.ids import TokenIds
from telephony.sip.message import HeaderPair, Request
from telephony.sip.options import Availability
from telephony.sip.session import (
    Cause,
    IncomingSession,
    InviteOptions,
    OutgoingSession,
    Replaces,
    Session,
)
from telephony.sip.tls import TlsSettings
from telephony.sip.transport import SipTransport, TransportSettings

RTP_PORT = 9  # discard: nobody listens, nobody speaks


@dataclass
class Carrier:
    """`on_invite` decides what happens to a call of ours; `invites`, `ended` and the like keep what did."""

    engine: SipEngine
    wire: SipTransport = field(init=False)
    on_invite: Callable[[Carrier, IncomingSession, bytes | None], None] = field(init=False)
    invites: list[Request] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    ended: list[Cause] = field(default_factory=list)
    rung: list[int] = field(default_factory=list)
    answered: list[Session] = field(default_factory=list)
    refers: list[ReferReceived] = field(default_factory=list)
    referred: list[ReferEnded] = field(default_factory=list)
    options: list[int] = field(default_factory=list)
    registered: list[RegisterReceived] = field(default_factory=list)
    registrations: list[RegistrationChanged] = field(default_factory=list)
    offers: list[tuple[IncomingSession, bytes | None]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    transport: Transport = "udp"
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities("127.0.0.1", RTP_PORT, local=True)
    )

    @property
    def host(self) -> str:
        address = self.wire.listening(self.transport)
        assert address is not None
        return f"{self.written}:{address[1]}"

    @property
    def ip(self) -> str:
        """Its own address, and that at which it calls us."""
        return self.capabilities.address

    @property
    def written(self) -> str:
        """That address in a URI."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip

    # ------------------------------------------------------------------------------- what it hears

    def event(self, event: SipEvent) -> None:
        match event:
            case IncomingInvite(session=session, sdp=sdp):
                self.invites.append(session.request)
                self.sessions.append(session)
                self.offers.append((session, sdp))
                self.on_invite(self, session, sdp)
            case Provisional(status=status):
                self.rung.append(status)
            case Answered(session=session):
                self.answered.append(session)
            case Terminated(cause=cause):
                self.ended.append(cause)
            case ReferReceived():
                self.refers.append(event)
            case ReferEnded():
                self.referred.append(event)
            case OptionsAnswered(status=status):
                self.options.append(status)
            case RegistrationChanged():
                self.registrations.append(event)
            case RegisterReceived():
                self.registered.append(event)
                event.registration.accept(self.wire.now(), 3600)
            case _:
                pass
        self.changed.set()

    async def until(self, condition: Callable[[], Any], seconds: float = 6.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self.changed.wait()
                except TimeoutError:
                    continue

    # ------------------------------------------------------------------------------- answers to our calls

    def answer(self, session: IncomingSession, sdp: bytes | None) -> None:
        assert sdp is not None
        agreed = offer_answer.answer(sdp, self.capabilities)
        assert isinstance(agreed, Agreed)
        session.answer(agreed.sdp, self.wire.now())
        self.wire.flush()

    def answer_last(self) -> None:
        self.answer(*self.offers[-1])

    def early(self, session: IncomingSession, sdp: bytes | None) -> None:
        assert sdp is not None
        agreed = offer_answer.answer(sdp, self.capabilities)
        assert isinstance(agreed, Agreed)
        session.ring(self.wire.now(), status=183, sdp=agreed.sdp)
        self.wire.flush()

    def ring(self, session: IncomingSession) -> None:
        session.ring(self.wire.now())
        self.wire.flush()

    def reject(
        self, session: IncomingSession, status: int, headers: tuple[HeaderPair, ...] = ()
    ) -> None:
        session.reject(status, self.wire.now(), headers=headers)
        self.wire.flush()

    # ------------------------------------------------------------------------------- calls to us

    def call(
        self,
        target: str,
        port: int,
        *,
        from_: str = "sip:+4930111@carrier.test",
        headers: tuple[HeaderPair, ...] = (),
        credentials: Credentials | None = None,
        sdp: bytes | None = None,
        replaces: Replaces | None = None,
    ) -> OutgoingSession:
        session = self.engine.invite(
            f"sip:{target}@{self.written}:{port}",
            from_=from_,
            flow=self.wire.flow(self.transport, self.ip, port),
            sdp=offer_answer.offer(self.capabilities).sdp if sdp is None else sdp,
            now=self.wire.now(),
            headers=headers,
            options=InviteOptions(credentials=credentials, replaces=replaces),
        )
        self.sessions.append(session)
        self.wire.flush()
        return session

    def ask(self, port: int) -> None:
        """OPTIONS."""
        self.engine.options(
            f"sip:{self.written}:{port}",
            from_="sip:carrier.test",
            flow=self.wire.flow("udp", self.ip, port),
            now=self.wire.now(),
        )
        self.wire.flush()

    def hang_up(self) -> None:
        for session in self.sessions:
            session.bye(self.wire.now())
        self.wire.flush()


def answers(carrier: Carrier, session: IncomingSession, sdp: bytes | None) -> None:
    carrier.answer(session, sdp)


def refuses(status: int, *headers: HeaderPair) -> Callable[..., None]:
    def refuse(carrier: Carrier, session: IncomingSession, sdp: bytes | None) -> None:
        carrier.reject(session, status, headers)

    return refuse


def rings(carrier: Carrier, session: IncomingSession, sdp: bytes | None) -> None:
    carrier.ring(session)


def is_silent(carrier: Carrier, session: IncomingSession, sdp: bytes | None) -> None:
    """Has the INVITE and says nothing but 100."""


@asynccontextmanager
async def running_carrier(
    on_invite: Callable[[Carrier, IncomingSession, bytes | None], None] = answers,
    tls: TlsSettings | None = None,
    ip: str = "127.0.0.1",
) -> AsyncIterator[Carrier]:
    engine = SipEngine(EngineSettings(), TokenIds(os.urandom))
    carrier = Carrier(engine, transport="udp" if tls is None else "tls")
    carrier.capabilities = Capabilities(ip, RTP_PORT, local=True)
    carrier.on_invite = on_invite
    engine.availability = lambda request: Availability()
    engine.authority = _Everyone()
    carrier.wire = SipTransport(engine, carrier.event, TransportSettings(bind=(ip, 0), tls=tls))
    await carrier.wire.start()
    try:
        yield carrier
    finally:
        await carrier.wire.close()


class _Everyone:
    """An `Authority` that lets everybody in."""

    def policy(self, request: Request, flow: Any) -> Any:
        return "accept"

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        return None
