"""What can be dialled, and how its fate is told: the vocabulary of `telephony.gateway.dialler`.

    dialler.dial(order, listener) -> Dialling

Synchronous: rules and limits are judged at once (`DialRefusedError`: nothing was sent, the listener hears nothing).
After that the listener hears, in the loop's thread: `on_ringing` (0..n), `on_early_media` (0..1), and then exactly one of
`on_answered` and `on_failed`. What happens to the leg after `on_answered` (hold, BYE) is the leg's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol

from telephony.call.commands import CallCommand
from telephony.call.errors import CallError, Retry
from telephony.call.ids import CallId, LegId
from telephony.legs.call_audio import CallMedia
from telephony.legs.sip_leg import SipLeg
from telephony.sip.message import HeaderPair
from telephony.sip.session import Replaces

Purpose = Literal["outbound", "transfer", "person"]
"""`outbound`: a call that we place. `transfer`: a third party for a call. `person`: a registered extension."""

RING_S: Final = 60.0


class DialRefusedError(CallError):
    """Rules or limits do not allow it; `reason` is a short stable word, `user_message` says it to the person who asked."""

    sip_status: ClassVar[int] = 403
    metric: ClassVar[str] = "dial_refused"
    retry: ClassVar[Retry] = "no"

    def __init__(self, reason: str, user_message: str) -> None:
        super().__init__(f"refused by rule: {reason}")
        self.reason = reason
        self.user_message = user_message


class DialledCall(Protocol):
    """The call that the new leg belongs to: `telephony.call.session.CallSession`."""

    @property
    def id(self) -> CallId: ...
    def post(self, command: CallCommand) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOrder:
    """One destination to be reached for one leg of a call. The leg was, or will be at once, added by its owner.

    `destination`: E.164, an extension's name, or a SIP URI as far as the rules allow one. `trunk`, `caller_id`: wishes,
    judged by the rules; None lets the rules choose. `agent`: whose limits count. `headers`: extra headers of the INVITE
    (User-to-User, X-*, Diversion, Referred-By). `replaces`: the dialog that the new one takes over (RFC 3891).
    `shown`: whom a phone of ours shows as the caller: who is at the other end of the call, whichever side placed it. Trunks show a
    number of their pool.
    """

    call: DialledCall
    media: CallMedia
    leg: LegId
    destination: str = field(repr=False)
    purpose: Purpose = "outbound"
    agent: str = ""
    trunk: str | None = None
    caller_id: str | None = field(default=None, repr=False)
    headers: tuple[HeaderPair, ...] = field(default=(), repr=False)
    replaces: Replaces | None = None
    shown: str = field(default="", repr=False)
    ring_s: float = RING_S


@dataclass(frozen=True, slots=True)
class DialFailure:
    """Why nobody answered.

    `reason`: a name of `sip.errors.CAUSES` (busy, no_answer, declined, unavailable, ...), `cancelled` (by us),
    `redirected` (a 3xx, which is not followed) or `no_route` (no host to try). `sip_status`: the final one, if any.
    """

    reason: str
    sip_status: int | None = None


class DialListener(Protocol):
    """Whoever ordered. Methods return at once."""

    def on_ringing(self, status: int) -> None:
        """A provisional response of 180 or more (180, 181, 182, 183)."""

    def on_early_media(self) -> None:
        """The far end sends audio before its answer; the leg's slot carries it."""

    def on_answered(self) -> None:
        """The far end answered and the leg has audio (it has posted `ConnectLeg`)."""

    def on_failed(self, failure: DialFailure) -> None:
        """The attempt is over and the leg's slot was given back. The leg posts no `RemoveLeg` for it: the owner decides."""


class Dialling(Protocol):
    """A destination being reached. Whoever ordered attaches `leg` to the call."""

    @property
    def leg(self) -> SipLeg: ...

    @property
    def trunk(self) -> str:
        """Name of the trunk in use; empty for extensions."""

    def cancel(self) -> None:
        """CANCEL, or BYE if the answer crossed. `on_failed("cancelled")` follows unless it was answered before."""


Dial = Callable[[DialOrder, DialListener], Dialling]
"""`Dialler.dial`. Raises: DialRefusedError, NoMediaCapacityError."""
