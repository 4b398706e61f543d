"""Many phones behind one SIP socket: our engine as UAC, polled between the audio's sub-ticks."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.carrying.phones import LOOPBACK, PHONE_SOCKETS
from telephony.sdp import offer_answer
from telephony.sdp.offer_answer import Agreed, Capabilities
from telephony.sip.core import EngineSettings
from telephony.sip.engine import SipEngine
from telephony.sip.events import Answered, Terminated
from telephony.sip.flow import Flow
from telephony.sip.ids import TokenIds
from telephony.sip.session import OutgoingSession

MAX_DATAGRAM = 65_536


@dataclass(slots=True)
class Dialled:
    """One call. `setup_s`: INVITE sent to 200 received; `refused_s`: to a final refusal."""

    number: int
    session: OutgoingSession
    offer: offer_answer.Offer
    sent_at: float
    setup_s: float | None = None
    refused_s: float | None = None
    status: int | None = None
    over: bool = False
    reason: str = ""


class Signalling:
    """Dials calls of a product and hangs them up; audio is for `Phones`."""

    def __init__(
        self,
        target: tuple[str, int],
        media_ports: tuple[int, ...],
        on_media: Callable[[int, int | None], None],
    ) -> None:
        """`on_media(number, port)`: where the call's audio goes; None when it is over."""
        self._on_media = on_media
        self.dialled: list[Dialled] = []
        self.ended = Counter[str]()
        self._target = target
        self._media_ports = media_ports
        self._engine = SipEngine(EngineSettings(user="load"), TokenIds(os.urandom))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.setblocking(False)
        self._socket.bind((LOOPBACK, 0))
        self._flow = Flow("udp", self._socket.getsockname(), target)
        self._by_session: dict[object, Dialled] = {}

    def dial(self) -> None:
        """One more call; its audio has the socket of its number."""
        number = len(self.dialled)
        port = self._media_ports[number % PHONE_SOCKETS]
        offer = offer_answer.offer(Capabilities(LOOPBACK, port, local=True))
        host, sip_port = self._target
        now = time.monotonic()
        session = self._engine.invite(
            f"sip:demo@{host}:{sip_port}",
            from_=f"sip:load{number}@{LOOPBACK}",
            flow=self._flow,
            sdp=offer.sdp,
            now=now,
        )
        call = Dialled(number, session, offer, now)
        self.dialled.append(call)
        self._by_session[session] = call
        self._flush()

    def hang_up(self, call: Dialled) -> None:
        if not call.over:
            call.session.bye(time.monotonic())
            self._flush()

    def pump(self) -> None:
        """Everything that waits, and what is due."""
        while True:
            try:
                data = self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                break
            self._engine.receive(data, self._flow, time.monotonic())
            self._take_events()
        self._engine.timer(time.monotonic())
        self._take_events()
        self._flush()

    def _take_events(self) -> None:
        now = time.monotonic()
        for event in self._engine.events():
            if isinstance(event, Answered) and event.sdp is not None:
                call = self._by_session[event.session]
                call.setup_s = now - call.sent_at
                agreed = offer_answer.accept_answer(call.offer, event.sdp)
                if not isinstance(agreed, Agreed):
                    raise RuntimeError(f"the answer has no audio for us: {agreed}")
                self._on_media(call.number, agreed.remote_port)
            elif isinstance(event, Terminated):
                call = self._by_session[event.session]
                call.over, call.status = True, event.cause.status
                call.reason = event.cause.reason
                self._on_media(call.number, None)
                if call.setup_s is None:
                    call.refused_s = now - call.sent_at
                self.ended[event.cause.kind.name] += 1

    def _flush(self) -> None:
        for _, data in self._engine.to_send():
            self._socket.sendto(data, self._target)

    def close(self) -> None:
        self._socket.close()
