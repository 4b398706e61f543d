"""One destination being reached: attempts one after the other, ringing, the answer, and exactly one outcome.

The next attempt is made only while nobody can have rung: after a 503, silence, or a transport that failed, and before
any 18x. Nothing a peer sends (a 3xx, a REFER, a digit) makes a second call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol

from telephony.call.timers import TimerSet
from telephony.gateway.dial_order import DialFailure, DialListener
from telephony.gateway.sessions import SessionEvent, Sessions
from telephony.legs.dialled_leg import DialledLeg
from telephony.legs.sip_leg import Wire
from telephony.legs.sip_media import UnacceptableOfferError
from telephony.sip.errors import SipError, cause_of_status
from telephony.sip.events import Answered, Provisional, Terminated
from telephony.sip.flow import Flow
from telephony.sip.message import HeaderPair
from telephony.sip.session import Cause, EndKind, InviteOptions, OutgoingSession
from telephony.trunks import Extension, Trunk

RINGING: Final = 180
CANCEL_S: Final = 3.0
"""A host that does not even answer a CANCEL is not waited for: the engine ends what is left (RFC 3261 9.1)."""
_UNAVAILABLE: Final = 503


class Stage(Enum):
    """Where it is; nothing leaves OVER."""

    WAITING = auto()  # nothing was sent yet
    CALLING = auto()  # an INVITE is out, and nobody can have rung
    RUNG = auto()  # an 18x came: no second INVITE after this
    UP = auto()  # answered
    OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One INVITE to be sent. `trunk` None: a phone of ours."""

    trunk: Trunk | None
    phone: Extension | None = None
    target: str = field(repr=False)
    from_: str = field(repr=False)
    to: str = field(repr=False)
    headers: tuple[HeaderPair, ...] = field(repr=False)
    flow: Flow
    options: InviteOptions


class Inviter(Protocol):
    """`SipEngine.invite`."""

    def __call__(
        self,
        target: str,
        *,
        from_: str,
        flow: Flow,
        sdp: bytes | None,
        now: float,
        to: str | None = None,
        headers: tuple[HeaderPair, ...] = (),
        options: InviteOptions = InviteOptions(),  # noqa: B008 - frozen
    ) -> OutgoingSession: ...


class Ledger(Protocol):
    """Who counts what is dialled."""

    def attempted(self, attempt: Attempt) -> None: ...
    def refused(self, attempt: Attempt, cause: Cause) -> None:
        """The attempt came to nothing."""

    def answered(self) -> None: ...
    def over(self) -> None:
        """Nothing of it is up any more: once, at the very end."""


@dataclass(frozen=True, slots=True)
class DialParts:
    """What a dialling works with."""

    invite: Inviter
    wire: Wire
    sessions: Sessions
    timers: TimerSet
    ledger: Ledger


class LegDialling:
    """`Dialling`. `attempts` yields the next INVITE, or ends when there is no other way."""

    def __init__(
        self,
        parts: DialParts,
        leg: DialledLeg,
        listener: DialListener,
        attempts: Iterator[Attempt],
        ring_s: float,
    ) -> None:
        self._parts = parts
        self._leg = leg
        self._listener = listener
        self._attempts = attempts
        self._ring_s = ring_s
        self._stage = Stage.WAITING
        self._attempt: Attempt | None = None
        self._session: OutgoingSession | None = None
        self._ending = ""
        self._invited_at = 0.0
        self._pdd_ms: float | None = None

    @property
    def leg(self) -> DialledLeg:
        return self._leg

    @property
    def trunk(self) -> str:
        trunk = self._attempt.trunk if self._attempt is not None else None
        return "" if trunk is None else trunk.name

    # ------------------------------------------------------------------------------- attempts

    def begin(self) -> None:
        """Sends the first INVITE."""
        if self._stage is not Stage.WAITING:
            return  # it was cancelled while addresses were looked up
        self._parts.timers.set("ring", self._ring_s, self._rang_out)
        self._next(DialFailure("no_route"))

    def _next(self, failure: DialFailure) -> None:
        """The next way, or the failure of the last one."""
        while not (self._leg.closed or self._ending):
            attempt = next(self._attempts, None)
            if attempt is None:
                break
            try:
                self._send(attempt)
            except (SipError, UnacceptableOfferError):
                failure = DialFailure("failed")
                continue
            return
        self._fail(DialFailure(self._ending or "cancelled") if self._gave_up else failure)

    @property
    def _gave_up(self) -> bool:
        return bool(self._leg.closed or self._ending)

    def _send(self, attempt: Attempt) -> None:
        parts = self._parts
        now = parts.wire.now()
        session = parts.invite(
            attempt.target,
            from_=attempt.from_,
            to=attempt.to,
            flow=attempt.flow,
            sdp=self._leg.offer(
                attempt.trunk,
                secure=attempt.flow.secure,
                phone=attempt.phone,
                towards=attempt.flow.remote[0],
            ),
            now=now,
            headers=attempt.headers,
            options=attempt.options,
        )
        self._attempt, self._session, self._stage = attempt, session, Stage.CALLING
        self._invited_at, self._pdd_ms = now, None
        parts.sessions[session] = self._handle
        parts.ledger.attempted(attempt)
        self._leg.invited(session)
        parts.wire.flush()

    # ------------------------------------------------------------------------------- events

    def _handle(self, event: SessionEvent) -> None:
        if isinstance(event, Terminated):
            del self._parts.sessions[event.session]
        if event.session is not self._session or self._stage is Stage.OVER:
            return
        match event:
            case Provisional():
                self._progress(event)
            case Answered(sdp=sdp):
                self._answered(sdp)
            case Terminated(cause=cause):
                self._terminated(event, cause)
            case _:
                self._leg.handle(event)

    def _progress(self, event: Provisional) -> None:
        if event.status < RINGING or self._stage is Stage.UP:
            return
        self._stage = Stage.RUNG
        self._note_pdd()
        if event.sdp is not None and self._leg.early(event):
            self._listener.on_early_media()
        self._listener.on_ringing(event.status)

    def _answered(self, sdp: bytes | None) -> None:
        if self._stage is Stage.UP:
            return
        self._parts.timers.cancel("ring")
        self._note_pdd()
        self._stage = Stage.RUNG
        if self._gave_up:
            self._leg.close(self._ending or "cancelled")
        elif self._leg.answered(sdp, self._pdd_ms):
            self._stage = Stage.UP
            self._parts.ledger.answered()
            self._listener.on_answered()
        else:
            self._ending = "incompatible_media"

    def _note_pdd(self) -> None:
        if self._pdd_ms is None:
            self._pdd_ms = round((self._parts.wire.now() - self._invited_at) * 1000, 1)

    def _terminated(self, event: Terminated, cause: Cause) -> None:
        self._session = None
        if self._stage is Stage.UP:
            self._stage = Stage.OVER
            self._parts.timers.close()
            self._leg.handle(event)
            self._parts.ledger.over()
            return
        attempt = self._attempt
        failure = _failure(cause)
        if attempt is not None and not self._gave_up:
            self._parts.ledger.refused(attempt, cause)
            self._leg.measured(cause.status or _UNAVAILABLE, failure.reason, self._pdd_ms)
        may_try = self._stage is Stage.CALLING and _nobody_rang(cause)
        if may_try:
            self._next(failure)
        elif self._gave_up:
            self._fail(DialFailure(self._ending or "cancelled", cause.status))
        else:
            self._fail(failure)

    # ------------------------------------------------------------------------------- the end

    def cancel(self) -> None:
        """CANCEL, or BYE if the answer crossed."""
        self._give_up("cancelled")

    def _rang_out(self) -> None:
        self._give_up("no_answer")

    def _give_up(self, reason: str) -> None:
        if self._stage in {Stage.UP, Stage.OVER} or self._ending:
            return
        self._ending = reason
        if self._session is None:
            self._fail(DialFailure(reason))
        else:
            self._parts.timers.set("ring", CANCEL_S, self._gave_up_waiting)
            self._session.cancel(self._parts.wire.now())
            self._parts.wire.flush()

    def _gave_up_waiting(self) -> None:
        self._fail(DialFailure(self._ending))

    def _fail(self, failure: DialFailure) -> None:
        if self._stage is Stage.OVER:
            return
        if self._gave_up and failure.reason == "no_answer" and self._attempt is not None:
            self._leg.measured(failure.sip_status or 480, failure.reason, self._pdd_ms)
        self._stage = Stage.OVER
        self._parts.timers.close()
        self._leg.failed()
        self._parts.ledger.over()
        self._listener.on_failed(failure)


def _nobody_rang(cause: Cause) -> bool:
    """RFC 3263 4.3: the next address after a failed transport, silence or a 503."""
    if cause.kind is EndKind.REJECTED:
        return cause.status == _UNAVAILABLE
    return cause.kind in {EndKind.TIMEOUT, EndKind.TRANSPORT}


def _failure(cause: Cause) -> DialFailure:
    status = cause.status
    if status is None:
        word = {EndKind.TIMEOUT: "timeout", EndKind.TRANSPORT: "unavailable"}
        return DialFailure(word.get(cause.kind, "failed"))
    if 300 <= status < 400:
        return DialFailure("redirected", status)
    return DialFailure(cause_of_status(status).name, status)
