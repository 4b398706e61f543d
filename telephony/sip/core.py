"""What all sessions of an engine share: timers, outbox, events, tables, and how our messages are built."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from telephony.sip.bodies import SDP
from telephony.sip.client_transaction import (
    ClientTransaction,
    InviteClientTransaction,
    PlainClientTransaction,
    TransactionUser,
)
from telephony.sip.deadlines import Deadlines
from telephony.sip.dialog import Dialog
from telephony.sip.events import SipEvent
from telephony.sip.flow import Address, Flow
from telephony.sip.ids import Ids
from telephony.sip.message import (
    HeaderPair,
    Headers,
    Request,
    Response,
    body_headers,
    make_response,
    write,
)
from telephony.sip.parser import Limits
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Reliable
from telephony.sip.transaction import Transaction, TransactionKey, client_key

ALLOWED: Final = (
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY",
)  # fmt: skip
ALLOW: Final = ("Allow", ", ".join(ALLOWED))
RELIABLE: Final = "100rel"
SUPPORTED: Final = (RELIABLE, "timer", "replaces", "norefersub")
SUPPORTED_HEADER: Final = ("Supported", ", ".join(SUPPORTED))
ACCEPT: Final = ("Accept", SDP)
_PROOF: Final = ("authorization", "proxy-authorization")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`advertised`: address and port peers shall use, if it is not the local one of the flow (1:1 NAT).

    `advertised_v6`: the same for flows over IPv6. `session_expires_s` 0: we ask for no session timer (RFC 4028).
    `reliable`: provisional responses of incoming calls (RFC 3262); "no" refuses callers who require it, "required"
    those who do not know it.
    """

    user: str = "voice"
    advertised: Address | None = None
    advertised_v6: Address | None = None
    product: str = ""
    limits: Limits = field(default_factory=Limits)
    session_expires_s: int = 1800
    min_se_s: int = 90
    reliable: Reliable = "supported"


class Core:
    """State shared by the engine and its sessions; a `Wire` for the transactions."""

    def __init__(self, settings: EngineSettings, ids: Ids) -> None:
        self.settings = settings
        self.ids = ids
        self.deadlines = Deadlines()
        self.counters: Counter[str] = Counter()
        self.outbox: list[tuple[Flow, bytes]] = []
        self.events: list[SipEvent] = []
        self.clients: dict[TransactionKey, ClientTransaction] = {}
        self.servers: dict[TransactionKey, ServerTransaction] = {}

    def send(self, flow: Flow, data: bytes) -> None:
        self.outbox.append((flow, data))

    def emit(self, event: SipEvent) -> None:
        self.events.append(event)

    def contact(self, flow: Flow) -> HeaderPair:
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return ("Contact", f"<sip:{self.settings.user}@{self._host_port(flow)}{transport}>")

    def via(self, flow: Flow, branch: str) -> HeaderPair:
        hop = f"SIP/2.0/{flow.transport.upper()} {self._host_port(flow)}"
        alias = ";alias" if flow.transport == "tls" else ""  # RFC 5923
        return ("Via", f"{hop};branch={branch};rport{alias}")

    def _host_port(self, flow: Flow) -> str:
        settings, v6 = self.settings, ":" in flow.local[0]
        host, port = (settings.advertised_v6 if v6 else settings.advertised) or flow.local
        if flow.transport not in ("udp", "tcp"):
            port = flow.local[1]  # the advertised port is that of UDP and TCP
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def build_in_dialog(
        self,
        dialog: Dialog,
        method: str,
        cseq: int,
        extra: Iterable[HeaderPair] = (),
        body: bytes = b"",
        content_type: str = SDP,
    ) -> tuple[Request, Flow]:
        """A request of a dialog (RFC 3261 12.2.1.1) and the flow it goes by."""
        flow = dialog.next_flow()
        uri, routes = dialog.routing()
        items = [
            self.via(flow, self.ids.branch()),
            ("Max-Forwards", "70"),
            *routes,
            ("From", dialog.local),
            ("To", dialog.remote),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{cseq} {method}"),
            *self.product("User-Agent"),
            *extra,
            *body_headers(body, content_type),
        ]
        return Request(Headers(items), body, method, uri), flow

    def product(self, header: str) -> list[HeaderPair]:
        return [(header, self.settings.product)] if self.settings.product else []

    def start_invite(
        self,
        request: Request,
        flow: Flow,
        user: TransactionUser,
        now: float,
        reply_s: float | None = None,
    ) -> InviteClientTransaction:
        key = client_key(request.via.branch, request.method)
        transaction = InviteClientTransaction(self, key, request, flow, self._forget, user=user)
        transaction.start(now)
        if reply_s is not None:
            transaction.expect_reply_by(now + reply_s)
        self.clients[key] = transaction
        return transaction

    def start_plain(
        self, request: Request, flow: Flow, user: TransactionUser, now: float
    ) -> PlainClientTransaction:
        """Send a request other than INVITE; `user` hears of it once, `failed(408 or 503)` included."""
        key = client_key(request.via.branch, request.method)
        transaction = PlainClientTransaction(self, key, request, flow, self._forget, user=user)
        transaction.start(now)
        self.clients[key] = transaction
        return transaction

    def respond(
        self,
        transaction: ServerTransaction,
        status: int,
        now: float,
        *,
        to_tag: str = "",
        reason: str = "",
        extra: Iterable[HeaderPair] = (),
        body: bytes = b"",
    ) -> Response:
        """Build and send a response of a server transaction."""
        response = make_response(
            transaction.request,
            status,
            transaction.flow,
            to_tag=to_tag or transaction.to_tag,
            reason=reason,
            extra=(*self.product("Server"), *extra),
            body=body,
        )
        transaction.respond(response, now)
        return response

    def send_ack(self, dialog: Dialog, invite: Request, sdp: bytes = b"") -> tuple[Flow, bytes]:
        """ACK a 2xx; what was sent is returned, to be repeated for each retransmitted 2xx (13.2.2.4).

        Number and credentials are those of the INVITE (RFC 3261 22.1).
        """
        proof = [pair for pair in invite.headers.items if pair[0].lower() in _PROOF]
        request, flow = self.build_in_dialog(dialog, "ACK", invite.cseq.number, proof, sdp)
        data = write(request)
        self.send(flow, data)
        return flow, data

    def _forget(self, transaction: Transaction) -> None:
        self.clients.pop(transaction.key, None)


def require_writable(headers: Iterable[HeaderPair]) -> None:
    """For headers that are to be sent later.

    Raises:
        SipWriteError: one of them holds CR, LF or NUL.
    """
    write(Request(Headers(headers), b"", "INVITE", "sip:x"))


@dataclass(slots=True)
class Done:
    """A transaction user that only wants the final status, 408 and 503 included."""

    done: Callable[[int, float], None]

    def responded(self, response: Response, now: float) -> None:
        self.done(response.status, now)

    def failed(self, status: int, now: float) -> None:
        self.done(status, now)
