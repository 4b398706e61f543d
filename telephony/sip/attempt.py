"""One request of ours, sent again with credentials after a 401 or 407 (RFC 3261 22.2, 22.3)."""

from collections.abc import Callable, Iterable
from typing import Final

from telephony.sip.auth import ClientAuth
from telephony.sip.bodies import SDP
from telephony.sip.client_transaction import InviteClientTransaction, TransactionUser
from telephony.sip.core import Core
from telephony.sip.dialog import Dialog
from telephony.sip.flow import Flow
from telephony.sip.message import HeaderPair, Headers, Request, Response

_CHALLENGES: Final = (401, 407)
# A server that asks anew each time, and a proxy before it that does too, must not keep us busy for ever.
_MOST_CHALLENGES: Final = 4


class Attempt:
    """The user of a transaction sees only what no credentials change.

    `resent`: told of each request that takes the place of the first. `request` is the last one sent.
    """

    def __init__(
        self,
        core: Core,
        user: TransactionUser,
        auth: ClientAuth | None,
        next_cseq: Callable[[], int],
        resent: Callable[[Request], None] | None = None,
    ) -> None:
        self.request: Request
        self.invite: InviteClientTransaction | None = None
        self._core = core
        self._user = user
        self._auth = auth
        self._next_cseq = next_cseq
        self._resent = resent
        self._flow: Flow
        self._challenges = 0

    def start(self, request: Request, flow: Flow, now: float, reply_s: float | None = None) -> None:
        self._flow = flow
        self.request = request if self._auth is None else self._auth.sign(request)
        if request.method == "INVITE":
            self.invite = self._core.start_invite(self.request, flow, self, now, reply_s)
        else:
            self._core.start_plain(self.request, flow, self, now)

    def again(self, changed: Iterable[HeaderPair], now: float) -> None:
        """The same request with other values of some headers: a new transaction (RFC 3261 8.1.3.5)."""
        new = dict(changed)
        new["CSeq"] = f"{self._next_cseq()} {self.request.method}"
        new["Via"] = self._core.via(self._flow, self._core.ids.branch())[1]
        kept = [(name, new.pop(name, value)) for name, value in self.request.headers.items]
        request = self.request
        items = [*kept[:-1], *new.items(), kept[-1]]
        changed_request = Request(Headers(items), request.body, request.method, request.uri_text)
        signed = changed_request if self._auth is None else self._auth.sign(changed_request)
        self._restart(signed, now)

    def stop_answering(self) -> None:
        """From now on a challenge is a refusal like any other."""
        self._auth = None

    def responded(self, response: Response, now: float) -> None:
        retry = self._answer(response) if response.status in _CHALLENGES else None
        if retry is None:
            self._user.responded(response, now)
        else:
            self._restart(retry, now)

    def failed(self, status: int, now: float) -> None:
        self._user.failed(status, now)

    def _answer(self, response: Response) -> Request | None:
        if self._auth is None or self._challenges >= _MOST_CHALLENGES:
            return None
        self._challenges += 1
        return self._auth.answer(
            self.request, response, cseq=self._next_cseq(), branch=self._core.ids.branch()
        )

    def _restart(self, request: Request, now: float) -> None:
        self.request = request
        if self._resent is not None:
            self._resent(request)
        if request.method == "INVITE":
            self.invite = self._core.start_invite(request, self._flow, self, now)
        else:
            self._core.start_plain(request, self._flow, self, now)


def request_in_dialog(
    core: Core,
    dialog: Dialog,
    auth: ClientAuth | None,
    method: str,
    user: TransactionUser,
    now: float,
    *,
    extra: Iterable[HeaderPair] = (),
    body: bytes = b"",
    content_type: str = SDP,
) -> Attempt:
    """Send a new request of a dialog (RFC 3261 12.2.1)."""
    request, flow = core.build_in_dialog(
        dialog, method, dialog.next_cseq(), extra, body, content_type
    )
    attempt = Attempt(core, user, auth, dialog.next_cseq)
    attempt.start(request, flow, now)
    return attempt
