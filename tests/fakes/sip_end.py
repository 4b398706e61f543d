"""One end of SIP over real loopback sockets: a transport, what it was told, and a queue to wait on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import IncomingInvite, OptionsAnswered, SipEvent
from telephony.sip.flow import Flow, Transport
from telephony.sip.ids import TokenIds
from telephony.sip.session import OutgoingSession
from telephony.sip.transport import SipTransport, TransportSettings
from tests.unit.sip_line import ANSWER, OFFER

E = TypeVar("E", bound=SipEvent)


class End:
    """Answers calls unless `answers` is False."""

    def __init__(
        self, host: str = "127.0.0.1", *, engine: EngineSettings | None = None, **settings: Any
    ) -> None:
        self.host = host
        self.told: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.answers = True
        core = SipEngine(engine or EngineSettings(), TokenIds(os.urandom))
        options = TransportSettings((host, 0), **settings)
        self.transport = SipTransport(core, self.on_event, options)

    @property
    def counters(self) -> dict[str, int]:
        return self.transport.engine.counters

    def on_event(self, event: SipEvent) -> None:
        self.told.put_nowait(event)
        if isinstance(event, IncomingInvite) and self.answers:
            event.session.answer(ANSWER, self.transport.now())
            self.transport.flush()

    async def next(self, kind: type[E]) -> E:
        while True:
            event = await asyncio.wait_for(self.told.get(), 5)
            if isinstance(event, kind):
                return event

    def towards(self, other: End, transport: Transport, name: str = "") -> Flow:
        listening = other.transport.listening(transport)
        assert listening is not None, f"no {transport} there"
        host = "127.0.0.1" if other.host == "0.0.0.0" else other.host
        return self.transport.flow(transport, host, listening[1], name)

    def call(
        self, other: End, transport: Transport, name: str = "", **more: Any
    ) -> OutgoingSession:
        flow = self.towards(other, transport, name)
        session = self.transport.engine.invite(
            f"sip:desk@{written(flow)}",
            from_=f"sip:us@{written(flow)}",
            flow=flow,
            sdp=OFFER,
            now=self.transport.now(),
            **more,
        )
        self.transport.flush()
        return session

    def ask(self, flow: Flow) -> str:
        """Send OPTIONS."""
        id = self.transport.engine.options(
            f"sip:{written(flow)}", from_="sip:us@us.test", flow=flow, now=self.transport.now()
        )
        self.transport.flush()
        return id

    async def asked(self, flow: Flow) -> int:
        """The answer to OPTIONS."""
        id = self.ask(flow)
        while True:
            told = await self.next(OptionsAnswered)
            if told.id == id:
                return told.status

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is awaited happens in sockets
                await asyncio.sleep(0.005)  # noqa: TID251 - which take real time


def written(flow: Flow) -> str:
    host, port = flow.remote
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
