"""The engine: parses, finds the transaction and the session a message belongs to, refuses what fits none."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2s

from telephony.sip.bodies import find_sdp
from telephony.sip.core import ACCEPT, ALLOW, Core, Done, EngineSettings
from telephony.sip.events import IncomingInvite, OptionsAnswered, SipEvent
from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr
from telephony.sip.ids import Ids
from telephony.sip.invite import InviteSession
from telephony.sip.invite_client import ClientSession, invite_headers
from telephony.sip.invite_server import ServerSession, refusal_of_invite
from telephony.sip.message import (
    HeaderPair,
    Headers,
    Request,
    Response,
    body_headers,
    echoed_headers,
    write,
)
from telephony.sip.parser import Drop, Refuse, parse
from telephony.sip.server_transaction import (
    InviteServerTransaction,
    PlainServerTransaction,
    ServerTransaction,
)
from telephony.sip.session import DEFAULT_OPTIONS, InviteOptions, OutgoingSession
from telephony.sip.transaction import Transaction, cancel_key, client_key, server_key
from telephony.sip.uas_checks import Refusal, refusal_of
from telephony.sip.uri import parse_uri


class SipEngine:
    """Facade of the SIP core; see the package docstring. Not thread-safe: one owner."""

    def __init__(self, settings: EngineSettings, ids: Ids) -> None:
        self._core = Core(settings, ids)
        self._sessions: dict[tuple[str, str], InviteSession] = {}
        self._merged: dict[tuple[str, str, str], ServerTransaction] = {}
        self._invites: dict[tuple[str, ...], ServerTransaction] = {}
        self.draining = False
        self.retry_after = 10

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
            self._refuse_unparsed(verdict, flow)
        elif isinstance(verdict.message, Response):
            self._receive_response(verdict.message, now)
        else:
            self._receive_request(verdict.message, flow, now)

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
        for transaction in [t for t in self._core.clients.values() if t.flow == flow]:
            transaction.transport_failed(now)
        for session in self._sessions.values():
            session.flow_lost(flow)

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    # ------------------------------------------------------------------ requests of ours

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
        extra = (*invite_headers(self._core, flow, options), *headers)
        request = self._build(target, "INVITE", from_, to, flow, extra, sdp or b"")
        session = ClientSession(self._core, request, flow, options)
        session.start(now)
        self._register(session)
        return session

    def options(self, target: str, *, from_: str, flow: Flow, now: float) -> str:
        """Ask `target` whether it is there; the id comes back in `OptionsAnswered`."""
        request = self._build(target, "OPTIONS", from_, None, flow, (ACCEPT,), b"")
        id = request.call_id

        def done(status: int, now: float) -> None:
            self._core.emit(OptionsAnswered(id, status))

        self._core.start_plain(request, flow, Done(done), now)
        return id

    def _build(
        self,
        target: str,
        method: str,
        from_: str,
        to: str | None,
        flow: Flow,
        extra: Sequence[HeaderPair],
        body: bytes,
    ) -> Request:
        core = self._core
        parse_uri(target)
        items = [
            core.via(flow, core.ids.branch()),
            ("Max-Forwards", "70"),
            ("From", f"{parse_name_addr(from_)};tag={core.ids.tag()}"),
            ("To", str(parse_name_addr(to or f"<{target}>"))),
            ("Call-ID", core.ids.call_id()),
            ("CSeq", f"1 {method}"),
            *core.product("User-Agent"),
            *extra,
            *body_headers(body),
        ]
        return Request(Headers(items), body, method, target)

    # ------------------------------------------------------------------ dispatch

    def _receive_response(self, response: Response, now: float) -> None:
        key = client_key(response.via.branch, response.cseq.method)
        transaction = self._core.clients.get(key)
        if transaction is None:
            self.counters["stray_response"] += 1
        else:
            transaction.receive(response, now)

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        key = server_key(request)
        known = self._core.servers.get(key)
        if request.method == "ACK":
            self._receive_ack(request, known, now)
        elif known is not None:
            known.repeat(now)
        else:
            self._receive_new(request, key, flow, now)

    def _receive_ack(self, request: Request, invite: ServerTransaction | None, now: float) -> None:
        session = self._find_session(request)
        if session is not None:
            session.acknowledge(request, now)
        if isinstance(invite, InviteServerTransaction):
            invite.acknowledge(now)
        elif session is None:
            self.counters["stray_ack"] += 1

    def _receive_new(self, request: Request, key: tuple[str, ...], flow: Flow, now: float) -> None:
        kind = InviteServerTransaction if request.method == "INVITE" else PlainServerTransaction
        transaction: ServerTransaction = kind(self._core, key, request, flow, self._forget)
        transaction.to_tag = request.to.tag or self._core.ids.tag()
        merged = self._merged_key(request)
        loop = not request.to.tag and merged in self._merged
        self._core.servers[key] = transaction
        if loop:
            self._refuse(transaction, Refusal(482), now)
            return
        self._merged.setdefault(merged, transaction)
        refusal = refusal_of(request)
        if refusal is not None:
            self._refuse(transaction, refusal, now)
        elif request.method == "CANCEL":
            self._receive_cancel(transaction, now)
        elif request.to.tag:
            self._receive_in_dialog(transaction, now)
        else:
            self._receive_out_of_dialog(transaction, now)

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        invite = self._invites.get(cancel_key(request))
        if invite is None:
            self._core.respond(transaction, 481, now)
            return
        # RFC 3261 9.2: the To tag of both responses is the same.
        self._core.respond(transaction, 200, now, to_tag=invite.to_tag)
        session = self._sessions.get((request.call_id, invite.to_tag))
        if session is not None and not invite.answered:
            session.cancelled(invite, request.headers.first("reason") or "", now)

    def _receive_in_dialog(self, transaction: ServerTransaction, now: float) -> None:
        session = self._find_session(transaction.request)
        if session is None:
            self._core.respond(transaction, 481, now)
            return
        self._index_invite(transaction)
        session.receive(transaction, now)

    def _receive_out_of_dialog(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        refusal = refusal_of_invite(request, self._core.settings)
        if request.method not in ("INVITE", "OPTIONS"):
            self._core.respond(transaction, 481, now)
        elif request.method == "INVITE" and refusal is not None:
            self._refuse(transaction, refusal, now)
        elif self.draining:
            self._refuse(transaction, Refusal(503, (("Retry-After", str(self.retry_after)),)), now)
        elif request.method == "OPTIONS":
            self._core.respond(transaction, 200, now, extra=(ALLOW, ACCEPT))
        else:
            self._core.respond(transaction, 100, now)
            self._index_invite(transaction)
            session = ServerSession(self._core, transaction)
            self._register(session)
            self._core.emit(IncomingInvite(session, find_sdp(request)))

    def _refuse(self, transaction: ServerTransaction, refusal: Refusal, now: float) -> None:
        self.counters[f"refused_{refusal.status}"] += 1
        self._core.respond(transaction, refusal.status, now, extra=refusal.headers)

    def _refuse_unparsed(self, refuse: Refuse, flow: Flow) -> None:
        """Answer without a transaction; the tag is made of the request, so repeats get the same (8.2.7)."""
        self.counters[f"refused_{refuse.status}"] += 1
        seen = "\n".join(value for _, value in refuse.headers.items)
        tag = blake2s(seen.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
        items = [*echoed_headers(refuse.headers, flow, tag), *body_headers(b"")]
        response = Response(Headers(items), b"", refuse.status, refuse.reason)
        self._core.send(flow, write(response))

    # ------------------------------------------------------------------ tables

    def _find_session(self, request: Request) -> InviteSession | None:
        session = self._sessions.get((request.call_id, request.to.tag))
        return session if session is not None and session.owns(request) else None

    def _register(self, session: InviteSession) -> None:
        self._sessions[session.call_id, session.local_tag] = session
        session.released = self._release

    def _release(self, session: InviteSession) -> None:
        self._sessions.pop((session.call_id, session.local_tag), None)

    def _index_invite(self, transaction: ServerTransaction) -> None:
        if transaction.request.method == "INVITE":
            self._invites[cancel_key(transaction.request)] = transaction

    def _merged_key(self, request: Request) -> tuple[str, str, str]:
        return (request.call_id, request.from_.tag, str(request.cseq))

    def _forget(self, transaction: Transaction) -> None:
        self._core.servers.pop(transaction.key, None)
        request = transaction.request
        if self._merged.get(self._merged_key(request)) is transaction:
            del self._merged[self._merged_key(request)]
        if self._invites.get(cancel_key(request)) is transaction:
            del self._invites[cancel_key(request)]
