"""A REFER of ours and the reports of what became of it (RFC 3515, RFC 4488, RFC 6665)."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from telephony.sip.client_transaction import TIMEOUT_STATUS
from telephony.sip.core import ALLOW, SUPPORTED_HEADER, Core
from telephony.sip.events import ReferEnded, ReferProgress
from telephony.sip.extensions import (
    SubscriptionState,
    escape_uri_header,
    parse_subscription_state,
    read_optional,
    write_replaces,
)
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import HeaderPair, Request, Response
from telephony.sip.refer_owner import ReferOwner
from telephony.sip.server_transaction import ServerTransaction
from telephony.sip.session import ReferOutcome, Replaces
from telephony.sip.sipfrag import read_sipfrag
from telephony.sip.transaction import LIFETIME
from telephony.sip.uri import parse_uri

# How long the target may ring after each report. A shorter subscription ends with a NOTIFY that says so
# (RFC 6665 4.2.2); to give up before would ring the target twice, by them and by us.
_SUBSCRIPTION_SECONDS: Final = 180.0
_LONGEST_SECONDS: Final = 300.0
_NO: Final = frozenset({486, 600, 603})


class _Phase(Enum):
    ASKED = auto()  # REFER sent, not accepted yet
    SUBSCRIBED = auto()  # accepted, or a first NOTIFY came before the 202
    ENDED = auto()  # outcome told; late reports are answered, nothing more
    GONE = auto()


class OutgoingRefer:
    """One transfer we asked for. Tells its outcome exactly once; a deadline stands behind every wait."""

    def __init__(self, core: Core, owner: ReferOwner, changed: Callable[[float], None]) -> None:
        self._core = core
        self._owner = owner
        self._changed = changed
        self._phase = _Phase.ASKED
        self._cseq: int | None = None
        self._last_status = 0

    @property
    def ended(self) -> bool:
        return self._phase in (_Phase.ENDED, _Phase.GONE)

    @property
    def gone(self) -> bool:
        """True when no report is expected any more."""
        return self._phase is _Phase.GONE

    def start(self, extra: list[HeaderPair], now: float) -> None:
        self._owner.send("REFER", now, self, extra=extra)

    def is_about(self, id: str) -> bool:
        """If an Event id (RFC 3515 2.4.6: the CSeq number of the REFER) is ours; unknown before the 202."""
        return self._cseq is None or id == str(self._cseq)

    # ------------------------------------------------------------------ response to the REFER

    def responded(self, response: Response, now: float) -> None:
        if response.status >= 300:
            self._finish(ReferOutcome.REFUSED, response.status, now, expects_more=False)
            return
        self._cseq = response.cseq.number
        if (response.headers.first("refer-sub") or "").strip().lower().startswith("false"):
            # RFC 4488 4: accepted, and nobody is going to report.
            self._finish(ReferOutcome.ANSWERED, response.status, now, expects_more=False)
        elif self._phase is _Phase.ASKED:
            self._phase = _Phase.SUBSCRIBED
            self._expect_by(now + LIFETIME)  # RFC 6665 4.1.2.4, Timer N

    def failed(self, status: int, now: float) -> None:
        if self._phase is _Phase.ASKED:  # else a NOTIFY said that it has arrived
            silent = status == TIMEOUT_STATUS
            outcome = ReferOutcome.TIMEOUT if silent else ReferOutcome.REFUSED
            self._finish(outcome, status, now, expects_more=False)

    # ------------------------------------------------------------------ reports

    def notified(self, transaction: ServerTransaction, now: float) -> None:
        """Answered first: what the outcome leads to, such as a BYE, goes out after the 200."""
        self._core.respond(transaction, 200, now)
        request = transaction.request
        state = read_optional(
            request, "subscription-state", parse_subscription_state, self._core.counters
        ) or SubscriptionState("active")
        over = state.state == "terminated"
        if self.ended:
            if over:
                self._leave(now)
            return
        self._phase = _Phase.SUBSCRIBED
        if self._reported(request, now, over=over):
            return
        if over:
            # No final status was told (RFC 6665 4.1.3); only a rejection is known to be a failure.
            refused = state.reason == "rejected"
            outcome = ReferOutcome.FAILED if refused else ReferOutcome.TIMEOUT
            self._finish(outcome, self._last_status, now, expects_more=False)
        else:
            wait = max(float(state.expires or 0), _SUBSCRIPTION_SECONDS)
            self._expect_by(now + min(wait, _LONGEST_SECONDS))

    def _reported(self, request: Request, now: float, *, over: bool) -> bool:
        """True if that was the outcome."""
        report = read_sipfrag(request)
        if report is None:
            self._core.counters["notify_without_sipfrag"] += 1
            return False
        status, reason = report
        self._last_status = status
        if status < 200:
            self._core.emit(ReferProgress(self._owner, status, reason))
            return False
        self._finish(_outcome_of(status), status, now, expects_more=not over)
        return True

    def lost(self, now: float) -> None:
        """The dialog is gone, and with it every report."""
        if not self.ended:
            self._finish(ReferOutcome.FAILED, 481, now, expects_more=False)
        elif not self.gone:
            self._leave(now)

    # ------------------------------------------------------------------ inside

    def _expect_by(self, at: float) -> None:
        self._core.deadlines.set((self, "report"), at, self._nobody_told)

    def _nobody_told(self, now: float) -> None:
        self._finish(
            ReferOutcome.TIMEOUT, self._last_status or TIMEOUT_STATUS, now, expects_more=False
        )

    def _finish(
        self, outcome: ReferOutcome, status: int, now: float, *, expects_more: bool
    ) -> None:
        if self.ended:
            return
        self._phase = _Phase.ENDED
        self._core.emit(ReferEnded(self._owner, outcome, status))
        if expects_more:
            self._core.deadlines.set((self, "report"), now + LIFETIME, self._leave)
        else:
            self._leave(now)

    def _leave(self, now: float) -> None:
        self._phase = _Phase.GONE
        self._core.deadlines.cancel((self, "report"))
        self._changed(now)


def _outcome_of(status: int) -> ReferOutcome:
    if status < 300:
        return ReferOutcome.ANSWERED
    return ReferOutcome.DECLINED if status in _NO else ReferOutcome.FAILED


def refer_headers(
    core: Core, owner: ReferOwner, refer_to: str, referred_by: str, replaces: Replaces | None
) -> list[HeaderPair]:
    """What a REFER has beside the headers of its dialog.

    Raises:
        SipSyntaxError: `refer_to` or `referred_by` cannot be read.
    """
    target = str(parse_name_addr(refer_to).uri if refer_to.startswith("<") else parse_uri(refer_to))
    if replaces is not None:
        joint = "&" if "?" in target else "?"
        target += f"{joint}Replaces={escape_uri_header(write_replaces(replaces))}"
    by = parse_name_addr(referred_by) if referred_by else None
    return [
        core.contact(owner.dialog.next_flow()),
        ALLOW,
        SUPPORTED_HEADER,
        ("Refer-To", f"<{target}>"),
        ("Referred-By", f"<{owner.local.uri}>" if by is None else str(by)),
    ]
