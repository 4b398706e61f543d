"""The engine: the driver's side of the SIP core, and the requests of ours that begin something."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from telephony.sip.auth import Authority, Credentials
from telephony.sip.core import Core, EngineSettings
from telephony.sip.dispatch import Dispatch
from telephony.sip.events import RegistrationState, SipEvent
from telephony.sip.flow import Flow
from telephony.sip.ids import Ids
from telephony.sip.initial import initial_request
from telephony.sip.invite_client import ClientSession, invite_headers
from telephony.sip.message import HeaderPair, Response
from telephony.sip.options import AskAvailability, ping
from telephony.sip.parser import Drop, Refuse, parse
from telephony.sip.registrar import Bindings
from telephony.sip.registration import Registration
from telephony.sip.restore import restore_session
from telephony.sip.session import DEFAULT_OPTIONS, InviteOptions, OutgoingSession, Session
from telephony.sip.transaction import client_key


class SipEngine:
    """Facade of the SIP core; see the package docstring. Not thread-safe: one owner."""

    def __init__(self, settings: EngineSettings, ids: Ids) -> None:
        self._core = Core(settings, ids)
        self._dispatch = Dispatch(self._core)
        self._registrations: dict[str, Registration] = {}

    # ------------------------------------------------------------------ the driver's side

    @property
    def counters(self) -> Counter[str]:
        return self._core.counters

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram or framed message. Never raises on what a peer sent."""
        self.timer(now)
        verdict = parse(data, self._core.settings.limits, stream=flow.reliable)
        if isinstance(verdict, Drop):
            self.counters[verdict.reason] += 1
        elif isinstance(verdict, Refuse):
            self._dispatch.refuse_unparsed(verdict, flow)
        elif isinstance(verdict.message, Response):
            self._receive_response(verdict.message, now)
        else:
            self._dispatch.receive(verdict.message, flow, now)

    def timer(self, now: float) -> None:
        """Run what is due."""
        self._core.deadlines.fire(now)

    def next_timer(self) -> float | None:
        """When `timer` wants to be called next."""
        return self._core.deadlines.next()

    def to_send(self) -> list[tuple[Flow, bytes]]:
        """Drain the outbox."""
        out, self._core.outbox = self._core.outbox, []
        return out

    def events(self) -> list[SipEvent]:
        """Drain the events."""
        events, self._core.events = self._core.events, []
        return events

    def failed(self, flow: Flow, now: float) -> None:
        """A send failed, or a connection was lost: requests that wait on this flow get a 503."""
        waiting = [
            t
            for t in self._core.clients.values()
            if t.flow.remote == flow.remote and t.flow == flow
        ]
        for transaction in waiting:
            transaction.transport_failed(now)
        if flow.reliable:  # a dialog on UDP has nothing to lose, and there may be thousands
            for session in self._dispatch.sessions.values():
                session.flow_lost(flow)
        for registration in self._registrations.values():
            registration.flow_lost(flow, now)
        self.bindings.flow_lost(flow)

    def _receive_response(self, response: Response, now: float) -> None:
        key = client_key(response.via.branch, response.cseq.method)
        transaction = self._core.clients.get(key)
        if transaction is None:
            self.counters["stray_response"] += 1
        else:
            transaction.receive(response, now)

    # ------------------------------------------------------------------ the gateway's side

    @property
    def session_count(self) -> int:
        return len(self._dispatch.sessions)

    @property
    def authority(self) -> Authority | None:
        """Who may send us requests; None: everybody, but nobody may register."""
        return self._dispatch.authority

    @authority.setter
    def authority(self, authority: Authority | None) -> None:
        self._dispatch.authority = authority

    @property
    def availability(self) -> AskAvailability | None:
        """What OPTIONS and new INVITEs are told; None: always here."""
        return self._dispatch.availability

    @availability.setter
    def availability(self, availability: AskAvailability | None) -> None:
        self._dispatch.availability = availability

    @property
    def bindings(self) -> Bindings:
        """Where the phones are whose REGISTERs were accepted."""
        return self._dispatch.bindings

    def invite(
        self,
        target: str,
        *,
        from_: str,
        flow: Flow,
        sdp: bytes | None,
        now: float,
        to: str | None = None,
        headers: Sequence[HeaderPair] = (),
        options: InviteOptions = DEFAULT_OPTIONS,
    ) -> OutgoingSession:
        """Call `target` (a URI). `from_` and `to` are URIs or name-addrs without tag.

        Raises:
            SipSyntaxError: one of them cannot be read.
            SipWriteError: a header holds CR, LF or NUL.
        """
        core = self._core
        extra = (*invite_headers(core, flow, options), *headers)
        request = initial_request(
            core, "INVITE", target, flow, from_=from_, to=to, extra=extra, body=sdp or b""
        )
        session = ClientSession(core, request, flow, options)
        session.start(now)
        self._dispatch.register(session)
        return session

    def options(self, target: str, *, from_: str, flow: Flow, now: float) -> str:
        """Ask `target` whether it is there; the id comes back in `OptionsAnswered`."""
        return ping(self._core, target, from_=from_, flow=flow, now=now)

    def register(
        self,
        registrar: str,
        *,
        aor: str,
        flow: Flow,
        now: float,
        credentials: Credentials | None,
        expires: int = 3600,
        instance: str = "",
    ) -> Registration:
        """Be reachable as `aor` through `registrar` (URIs) until `stop`. `instance`: our URN (RFC 5626).

        Raises:
            SipSyntaxError: one of them cannot be read.
        """
        living = self._registrations.items()
        self._registrations = {
            id: r for id, r in living if r.state is not RegistrationState.STOPPED
        }
        registration = Registration(
            self._core, registrar, aor, flow, credentials, expires, instance
        )
        registration.start(now)
        self._registrations[registration.id] = registration
        return registration

    def restore(
        self, snapshot: Mapping[str, Any], now: float, credentials: Credentials | None = None
    ) -> Session:
        """Go on with a dialog that `session.snapshot()` gave, after a restart.

        Raises:
            SipStateError: it is no snapshot of this version.
        """
        session = restore_session(self._core, snapshot, now, credentials)
        self._dispatch.register(session)
        return session
