"""Requests that come in: to the transaction, the session, or the service they belong to; refused if to none."""

from hashlib import blake2s
from typing import Final, Literal

from telephony.sip.auth import Authority, Challenge
from telephony.sip.bodies import find_sdp
from telephony.sip.core import ALLOWED, Core
from telephony.sip.doorkeeper import Doorkeeper
from telephony.sip.events import IncomingInvite
from telephony.sip.flow import Flow
from telephony.sip.headers import media_type
from telephony.sip.invite import InviteSession
from telephony.sip.invite_server import ServerSession, refusal_of_invite
from telephony.sip.message import (
    Headers,
    Request,
    Response,
    body_headers,
    echoed_headers,
    make_response,
    write,
)
from telephony.sip.options import AVAILABLE, AskAvailability, capabilities, refusal_for
from telephony.sip.parser import Refuse
from telephony.sip.registrar import Bindings, PhoneRegistration, read_register
from telephony.sip.replacement import replaced_by
from telephony.sip.server_transaction import (
    InviteServerTransaction,
    PlainServerTransaction,
    ServerTransaction,
)
from telephony.sip.transaction import Transaction, cancel_key, server_key
from telephony.sip.uas_checks import ALLOW_EVENTS, Refusal, refusal_of

_WITH_REGISTRAR: Final = (*ALLOWED, "REGISTER")
_NEVER_ASKED: Final = ("ACK", "CANCEL")  # RFC 3261 22.1: neither can be sent again with proof


class Dispatch:
    """Tables of sessions and transactions of theirs, and the way of a request through them."""

    def __init__(self, core: Core) -> None:
        self.authority: Authority | None = None
        self.availability: AskAvailability | None = None
        self.bindings = Bindings(core.counters)
        self.sessions: dict[tuple[str, str], InviteSession] = {}
        self._core = core
        self._doorkeeper = Doorkeeper(core.ids, core.counters)
        self._merged: dict[tuple[str, str, int, str], ServerTransaction] = {}
        self._invites: dict[tuple[str, ...], ServerTransaction] = {}

    def receive(self, request: Request, flow: Flow, now: float) -> None:
        key = server_key(request)
        known = self._core.servers.get(key)
        if request.method == "ACK":
            self._receive_ack(request, known, now)
        elif known is not None:
            known.repeat(now)
        else:
            self._receive_new(request, key, flow, now)

    def refuse_unparsed(self, refuse: Refuse, flow: Flow) -> None:
        """Answer what could not be read with the headers that could."""
        self._core.counters[f"refused_{refuse.status}"] += 1
        tag = _stateless_tag(refuse.headers)
        items = [*echoed_headers(refuse.headers, flow, tag), *body_headers(b"")]
        response = Response(Headers(items), b"", refuse.status, refuse.reason)
        self._core.send(flow, write(response))

    def register(self, session: InviteSession) -> None:
        """Keep a session until it says that it is over."""
        self.sessions[session.call_id, session.local_tag] = session
        session.released = self._release

    # ------------------------------------------------------------------ the way of a request

    def _receive_ack(self, request: Request, invite: ServerTransaction | None, now: float) -> None:
        session = self._find_session(request)
        if session is not None:
            session.acknowledge(request, now)
        if isinstance(invite, InviteServerTransaction):
            invite.acknowledge(now)
        elif session is None:
            self._core.counters["stray_ack"] += 1

    def _receive_new(self, request: Request, key: tuple[str, ...], flow: Flow, now: float) -> None:
        session = self._find_session(request) if request.to.tag else None
        policy = self._policy(request, flow, session)
        if policy == "drop":
            self._core.counters["dropped_by_policy"] += 1
            return
        username = self._proved(request, policy, now)
        if isinstance(username, Refusal):
            self._challenge(request, flow, username)
            return
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
        self._index_invite(transaction)
        refusal = refusal_of(request, self._allowed if session is None else ALLOWED)
        if refusal is not None:
            self._refuse(transaction, refusal, now)
        elif request.method == "CANCEL":
            self._receive_cancel(transaction, now)
        elif session is not None:
            session.receive(transaction, now)
        elif request.to.tag:
            self._core.respond(transaction, 481, now)
        else:
            self._serve(transaction, username, now)

    def _policy(
        self, request: Request, flow: Flow, session: InviteSession | None
    ) -> Literal["accept", "drop"] | Challenge:
        """Who is in a call with us has been let in already."""
        if self.authority is None or session is not None or request.method in _NEVER_ASKED:
            return "accept"
        return self.authority.policy(request, flow)

    def _proved(
        self, request: Request, policy: Literal["accept", "drop"] | Challenge, now: float
    ) -> str | Refusal | None:
        """The user name that was asked for and proved; None if nobody asked."""
        if isinstance(policy, str) or self.authority is None or request.to.tag:
            return None
        return self._doorkeeper.check(request, policy, self.authority, now)

    def _challenge(self, request: Request, flow: Flow, refusal: Refusal) -> None:
        """Without a transaction (RFC 3261 8.2.7, 26.3.2.4): who forges an address gets one datagram for one.

        And who sends the proof under the same CSeq number, as some phones do, is no merged request.
        """
        self._core.counters[f"refused_{refusal.status}"] += 1
        tag = request.to.tag or _stateless_tag(request.headers)
        extra = (*self._core.product("Server"), *refusal.headers)
        response = make_response(request, refusal.status, flow, to_tag=tag, extra=extra)
        self._core.send(flow, write(response))

    @property
    def _allowed(self) -> tuple[str, ...]:
        return ALLOWED if self.authority is None else _WITH_REGISTRAR

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        invite = self._invites.get(cancel_key(request))
        if invite is None:
            self._core.respond(transaction, 481, now)
            return
        # RFC 3261 9.2: the To tag of both responses is the same.
        self._core.respond(transaction, 200, now, to_tag=invite.to_tag)
        session = self.sessions.get((request.call_id, invite.to_tag))
        if session is not None and not invite.answered:
            session.cancelled(invite, request.headers.first("reason") or "", now)

    # ------------------------------------------------------------------ outside of a dialog

    def _serve(self, transaction: ServerTransaction, username: str | None, now: float) -> None:
        match transaction.request.method:
            case "INVITE":
                self._receive_invite(transaction, username, now)
            case "OPTIONS":
                self._receive_options(transaction, now)
            case "REGISTER":
                self._receive_register(transaction, username or "", now)
            case "NOTIFY":
                self._receive_notify(transaction, now)
            case "REFER":
                # RFC 3515 allows it; but who asks us to call somebody shall be in a call with us.
                self._refuse(transaction, Refusal(403), now)
            case _:
                self._core.respond(transaction, 481, now)

    def _receive_invite(
        self, transaction: ServerTransaction, username: str | None, now: float
    ) -> None:
        request = transaction.request
        refusal = refusal_of_invite(request, self._core.settings)
        replaced = replaced_by(request, lambda *key: self.sessions.get(key))
        if refusal is None and isinstance(replaced, Refusal):
            refusal = replaced
        if refusal is None and replaced is None:  # who takes the place of a call needs no room
            refusal = self._full(request)
        if refusal is not None:
            self._refuse(transaction, refusal, now)
            return
        self._core.respond(transaction, 100, now)
        session = ServerSession(self._core, transaction)
        session.username = username
        self.register(session)
        old = None if isinstance(replaced, Refusal) else replaced
        self._core.emit(IncomingInvite(session, find_sdp(request), old))

    def _receive_options(self, transaction: ServerTransaction, now: float) -> None:
        refusal = self._full(transaction.request)
        if refusal is not None:
            self._refuse(transaction, refusal, now)
        else:
            self._core.respond(transaction, 200, now, extra=capabilities(self._allowed))

    def _receive_register(self, transaction: ServerTransaction, username: str, now: float) -> None:
        asked = read_register(transaction.request)
        if isinstance(asked, Refusal):
            self._refuse(transaction, asked, now)
        else:
            PhoneRegistration(self._core, self.bindings, asked, transaction, username).begin(now)

    def _receive_notify(self, transaction: ServerTransaction, now: float) -> None:
        """Of a subscription we do not know (RFC 6665 4.1.3), or of a package we do not (7.2)."""
        event = media_type(transaction.request.headers.first("event") or "")
        refusal = Refusal(481) if event == "refer" else Refusal(489, (ALLOW_EVENTS,))
        self._refuse(transaction, refusal, now)

    def _full(self, request: Request) -> Refusal | None:
        ask = self.availability
        return refusal_for(AVAILABLE if ask is None else ask(request))

    def _refuse(self, transaction: ServerTransaction, refusal: Refusal, now: float) -> None:
        self._core.counters[f"refused_{refusal.status}"] += 1
        self._core.respond(transaction, refusal.status, now, extra=refusal.headers)

    # ------------------------------------------------------------------ tables

    def _find_session(self, request: Request) -> InviteSession | None:
        session = self.sessions.get((request.call_id, request.to.tag))
        return session if session is not None and session.owns(request) else None

    def _release(self, session: InviteSession) -> None:
        self.sessions.pop((session.call_id, session.local_tag), None)

    def _index_invite(self, transaction: ServerTransaction) -> None:
        if transaction.request.method == "INVITE":
            self._invites[cancel_key(transaction.request)] = transaction

    def _merged_key(self, request: Request) -> tuple[str, str, int, str]:
        return (request.call_id, request.from_.tag, request.cseq.number, request.cseq.method)

    def _forget(self, transaction: Transaction) -> None:
        self._core.servers.pop(transaction.key, None)
        request = transaction.request
        merged = self._merged_key(request)
        if self._merged.get(merged) is transaction:
            del self._merged[merged]
        if request.method == "INVITE":
            key = cancel_key(request)
            if self._invites.get(key) is transaction:
                del self._invites[key]


def _stateless_tag(headers: Headers) -> str:
    """Made of the request, so that repeats of it get the same (RFC 3261 8.2.7)."""
    seen = "\n".join(value for _, value in headers.items)
    return blake2s(seen.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
