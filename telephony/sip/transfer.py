"""The transfers of one dialog, both ways: REFER, NOTIFY, and what waits for them (RFC 3515, RFC 3892, RFC 5057).

Replaces (RFC 3891) comes as part of a target here; a new INVITE that has it is judged in `dispatch`.
"""

from collections.abc import Callable
from typing import Final

from telephony.sip.core import Core
from telephony.sip.errors import SipStateError, SipSyntaxError
from telephony.sip.headers import find_param, media_type, parse_params
from telephony.sip.refer_in import ReferSubscription, read_refer
from telephony.sip.refer_out import OutgoingRefer, refer_headers
from telephony.sip.refer_owner import ReferOwner
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import Replaces
from telephony.sip.uas_checks import ALLOW_EVENTS, Refusal

# How long a BYE of ours waits for the reply to a NOTIFY of ours.
_BYE_WAITS_SECONDS: Final = 2.0
_MOST_USAGES: Final = 4


class ReferUsages:
    """Owned by a session, which hands on its REFER verbs and the REFERs and NOTIFYs of its dialog."""

    def __init__(self, core: Core, owner: ReferOwner) -> None:
        self._core = core
        self._owner = owner
        self._asked: list[OutgoingRefer] = []
        self._owed: ReferSubscription | None = None
        self._had_refer = False
        self._bye: Callable[[float], None] | None = None

    @property
    def active(self) -> bool:
        """If the dialog must stay after its BYE: a subscription lives."""
        self._forget_gone()
        return bool(self._asked) or (self._owed is not None and not self._owed.over)

    # ------------------------------------------------------------------ verbs of the session

    def refer(
        self, refer_to: str, now: float, *, referred_by: str = "", replaces: Replaces | None = None
    ) -> None:
        """Ask the other side to call `refer_to`; the outcome comes in one `ReferEnded`.

        Raises:
            SipStateError: another transfer of this session has no outcome yet.
            SipSyntaxError: an argument cannot be read.
        """
        self._forget_gone()
        if not all(refer.ended for refer in self._asked) or len(self._asked) >= _MOST_USAGES:
            raise SipStateError("another REFER is under way")
        extra = refer_headers(self._core, self._owner, refer_to, referred_by, replaces)
        refer = OutgoingRefer(self._core, self._owner, self._changed)
        self._asked.append(refer)
        refer.start(extra, now)

    def accept_refer(self, now: float) -> None:
        self._take().accept(now)

    def reject_refer(self, status: int, now: float) -> None:
        if not 300 <= status < 700:
            raise SipStateError("a refusal takes a status of 300 to 699")
        self._take().reject(status, now)

    def notify_refer(self, status: int, reason: str, now: float) -> None:
        self._take().notify(status, reason, now)

    def before_bye(self, then: Callable[[float], None], now: float) -> None:
        """`then(now)` at once, or as soon as the reply to a NOTIFY of ours is there.

        On UDP, a BYE that overtakes the NOTIFY would end the dialog that it needs.
        """
        if self._quiet:
            then(now)
            return
        self._bye = then
        self._core.deadlines.set((self, "bye"), now + _BYE_WAITS_SECONDS, self._say_bye)

    # ------------------------------------------------------------------ from the session

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """A REFER or NOTIFY of the dialog whose CSeq was checked."""
        if transaction.request.method == "REFER":
            self._receive_refer(transaction, now)
        else:
            self._receive_notify(transaction, now)

    def lost(self, now: float) -> None:
        """The dialog is gone: nothing can be sent or heard any more."""
        for refer in self._asked:
            refer.lost(now)
        if self._owed is not None:
            self._owed.lost(now)
        self._core.deadlines.cancel((self, "bye"))
        self._bye = None

    # ------------------------------------------------------------------ inside

    def _forget_gone(self) -> None:
        self._asked = [refer for refer in self._asked if not refer.gone]

    @property
    def _quiet(self) -> bool:
        return self._owed is None or self._owed.over or self._owed.quiet

    def _changed(self, now: float) -> None:
        if self._bye is not None and self._quiet:
            self._say_bye(now)
        self._owner.usages_changed(now)

    def _receive_refer(self, transaction: ServerTransaction, now: float) -> None:
        if self._owed is not None and self._owed.is_open:
            self._core.respond(transaction, 491, now)
        else:
            refer = read_refer(self._core, transaction.request)
            if isinstance(refer, Refusal):
                self._core.counters[f"refused_{refer.status}"] += 1
                self._core.respond(transaction, refer.status, now, extra=refer.headers)
                return
            first, self._had_refer = not self._had_refer, True
            self._owed = ReferSubscription(
                self._core, self._owner, transaction, self._changed, first=first
            )
            self._owed.begin(refer, now)

    def _receive_notify(self, transaction: ServerTransaction, now: float) -> None:
        event = transaction.request.headers.first("event") or ""
        if media_type(event) != "refer":
            self._core.respond(transaction, 489, now, extra=(ALLOW_EVENTS,))
            return
        try:
            refer = self._reported_by(event)
        except SipSyntaxError:
            self._core.respond(transaction, 400, now, reason="Bad Event")
            return
        if refer is None:
            self._core.respond(transaction, 481, now)
        else:
            refer.notified(transaction, now)

    def _reported_by(self, event: str) -> OutgoingRefer | None:
        self._forget_gone()
        _, semicolon, params = event.partition(";")
        id = find_param(parse_params(semicolon + params), "id")
        if id is None:
            return self._asked[-1] if self._asked else None
        return next((refer for refer in reversed(self._asked) if refer.is_about(id)), None)

    def _take(self) -> ReferSubscription:
        if self._owed is None:
            raise SipStateError("no REFER was received")
        return self._owed

    def _say_bye(self, now: float) -> None:
        then, self._bye = self._bye, None
        self._core.deadlines.cancel((self, "bye"))
        if then is not None:
            then(now)
