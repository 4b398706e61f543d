"""A REFER of theirs and our reports about it (RFC 3515, RFC 4488, RFC 6665)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from telephony.sip.core import ALLOW, Core
from telephony.sip.errors import SipStateError, SipSyntaxError
from telephony.sip.events import ReferReceived
from telephony.sip.extensions import (
    parse_refer_to,
    parse_replaces,
    read_optional,
    uri_headers,
)
from telephony.sip.headers import find_param, parse_name_addr
from telephony.sip.message import HeaderPair, Headers, Request, Response
from telephony.sip.refer_owner import ReferOwner
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import IncomingRefer
from telephony.sip.sipfrag import SIPFRAG, write_sipfrag
from telephony.sip.uas_checks import SCHEMES, Refusal

# The gateway decides within this time, or the answer is no; well inside of their Timer F.
_DECISION_SECONDS: Final = 20.0
_SUBSCRIPTION_SECONDS: Final = 180.0
_DECLINE: Final = 603


def read_refer(core: Core, request: Request) -> IncomingRefer | Refusal:
    """What a REFER asks for, or why it cannot be served (RFC 3515 2.4.2)."""
    found = request.headers.all("refer-to")
    try:
        if len(found) != 1:
            return Refusal(400)
        target = parse_refer_to(found[0]).uri
        headers = uri_headers(target.headers)
        named = [value for name, value in headers if name.lower() == "replaces"]
        if len(named) > 1:
            return Refusal(400)
        replaces = parse_replaces(named[0]) if named else None
    except SipSyntaxError:
        return Refusal(400)
    if target.scheme not in SCHEMES:
        return Refusal(416)
    if (find_param(target.params, "method") or "INVITE").upper() != "INVITE":
        return Refusal(403)
    by = read_optional(request, "referred-by", parse_name_addr, core.counters)
    return IncomingRefer(
        target=str(replace(target, headers="")),
        replaces=replaces,
        referred_by="" if by is None else str(by.uri),
        headers=Headers(pair for pair in headers if pair[0].lower() != "replaces"),
    )


class ReferSubscription:
    """The reports we owe for one REFER. One NOTIFY at a time is on its way, so that none overtakes another."""

    def __init__(
        self,
        core: Core,
        owner: ReferOwner,
        transaction: ServerTransaction,
        changed: Callable[[float], None],
        *,
        first: bool,
    ) -> None:
        self._core = core
        self._owner = owner
        self._changed = changed
        self._refer: ServerTransaction | None = transaction
        request = transaction.request
        # RFC 3515 2.4.6: the id is a must for all REFERs of a dialog but the first; some peers cannot read it.
        self._event = "refer" if first else f"refer;id={request.cseq.number}"
        # RFC 4488: they do not want reports.
        self._wanted = (request.headers.first("refer-sub") or "").strip().lower() != "false"
        self._expires_at = 0.0
        self._status, self._reason = 100, ""
        self._waiting: tuple[str, int, str] | None = None
        self._in_flight = False
        self._closing = False
        self.over = False

    @property
    def is_open(self) -> bool:
        """If the REFER waits for our decision, or its outcome has not been told."""
        return not self.over and not self._closing

    @property
    def quiet(self) -> bool:
        """True if no report is on its way or waiting."""
        return not self._in_flight and self._waiting is None

    def begin(self, refer: IncomingRefer, now: float) -> None:
        self._core.deadlines.set((self, "refer"), now + _DECISION_SECONDS, self._undecided)
        self._core.emit(ReferReceived(self._owner, refer))

    # ------------------------------------------------------------------ verbs

    def accept(self, now: float) -> None:
        transaction = self._take_refer()
        extra: list[HeaderPair] = [self._core.contact(transaction.flow), ALLOW]
        if not self._wanted:
            extra += [("Refer-Sub", "false"), ("Supported", "norefersub")]
            self._core.respond(transaction, 200, now, extra=extra)
            self._finish(now)
            return
        self._core.respond(transaction, 202, now, extra=extra)
        self._expires_at = now + _SUBSCRIPTION_SECONDS
        self._core.deadlines.set((self, "refer"), self._expires_at, self._expired)
        self._queue("active", 100, "", now)

    def reject(self, status: int, now: float) -> None:
        self._core.respond(self._take_refer(), status, now)
        self._finish(now)

    def notify(self, status: int, reason: str, now: float) -> None:
        """A final status is the last report. After the end of the subscription nothing is sent."""
        if self._refer is not None:
            raise SipStateError("notify before accept")
        if not 100 <= status < 700:
            raise SipStateError("notify takes a SIP status")
        if self._closing or self.over:
            return
        if status >= 200:
            self._close("noresource", status, reason, now)
        else:
            self._queue("active", status, reason, now)

    def lost(self, now: float) -> None:
        """The dialog is gone."""
        if not self.over:
            self._finish(now)

    # ------------------------------------------------------------------ replies to our NOTIFYs

    def responded(self, response: Response, now: float) -> None:
        self._in_flight = False
        if response.status >= 300:  # RFC 6665 4.2.2: whatever it is, they do not listen
            self._core.counters["notify_refused"] += 1
            self._finish(now)
        else:
            self._send_next(now)

    def failed(self, status: int, now: float) -> None:
        self._in_flight = False
        self._core.counters["notify_unanswered"] += 1
        self._finish(now)

    # ------------------------------------------------------------------ inside

    def _take_refer(self) -> ServerTransaction:
        transaction, self._refer = self._refer, None
        if transaction is None:
            raise SipStateError("no REFER is waiting")
        self._core.deadlines.cancel((self, "refer"))
        return transaction

    def _undecided(self, now: float) -> None:
        self._core.counters["refer_undecided"] += 1
        self.reject(_DECLINE, now)

    def _expired(self, now: float) -> None:
        self._close("timeout", self._status, self._reason, now)

    def _close(self, why: str, status: int, reason: str, now: float) -> None:
        if not self._closing:
            self._closing = True
            self._core.deadlines.cancel((self, "refer"))
            self._queue(f"terminated;reason={why}", status, reason, now)

    def _queue(self, state: str, status: int, reason: str, now: float) -> None:
        """What waits gives way to what is newer: only the latest status matters."""
        self._status, self._reason = status, reason
        self._waiting = (state, status, reason)
        if not self._in_flight:
            self._send_next(now)

    def _send_next(self, now: float) -> None:
        if self._waiting is None:
            if self._closing:
                self._finish(now)
            else:
                self._changed(now)
            return
        (state, status, reason), self._waiting = self._waiting, None
        if state == "active":
            state += f";expires={max(1, round(self._expires_at - now))}"
        extra = (
            self._core.contact(self._owner.dialog.next_flow()),
            ("Event", self._event),
            ("Subscription-State", state),
        )
        self._in_flight = True
        body = write_sipfrag(status, reason)
        self._owner.send("NOTIFY", now, self, extra=extra, body=body, content_type=SIPFRAG)

    def _finish(self, now: float) -> None:
        self.over = True
        self._waiting = None
        self._core.deadlines.cancel((self, "refer"))
        if self._refer is not None:
            transaction, self._refer = self._refer, None
            self._core.respond(transaction, 481, now)
        self._changed(now)
