"""INFO inside a dialog in its legacy use (RFC 6086 1, RFC 2976): digits and vendor text."""

from collections import deque
from collections.abc import Callable
from typing import Final

from telephony.sip.client_transaction import TransactionUser
from telephony.sip.core import Done
from telephony.sip.errors import SipStateError
from telephony.sip.headers import media_type
from telephony.sip.message import HeaderPair, Request

DIGIT_TYPES: Final = ("application/dtmf-relay", "application/dtmf")
ACCEPT_INFO: Final = ("Accept", ", ".join((*DIGIT_TYPES, "text/*", "application/vnd.*")))

# More digits than anybody dials ahead; each is a round trip.
_MOST_WAITING: Final = 64


class OutgoingInfos:
    """INFOs of one dialog, one at a time: on UDP a repeated one would come after, and lose to, a later number."""

    def __init__(
        self,
        send: Callable[[str, bytes, TransactionUser, float], None],
        answered: Callable[[int, float], None],
    ) -> None:
        self._send = send
        self._answered = answered
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._in_flight = False

    def add(self, content_type: str, body: bytes, now: float) -> None:
        """Raises: SipStateError, if too many wait already."""
        if len(self._waiting) >= _MOST_WAITING:
            raise SipStateError("too many INFOs wait")
        self._waiting.append((content_type, body))
        if not self._in_flight:
            self._next(now)

    def stop(self) -> None:
        self._waiting.clear()

    def _next(self, now: float) -> None:
        content_type, body = self._waiting.popleft()
        self._in_flight = True
        self._send(content_type, body, Done(self._done), now)

    def _done(self, status: int, now: float) -> None:
        self._in_flight = False
        self._answered(status, now)
        if self._waiting and not self._in_flight:
            self._next(now)


def info_refusal(request: Request) -> tuple[int, HeaderPair] | None:
    """415 and what would have been right; None for a body we hand on, or none at all."""
    if not request.body:
        return None
    kind = media_type(request.headers.first("content-type") or "")
    if kind in DIGIT_TYPES or kind.startswith(("text/", "application/vnd.", "application/x-")):
        return None
    return 415, ACCEPT_INFO
