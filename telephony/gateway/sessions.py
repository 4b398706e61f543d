"""Which part of the gateway an event of the engine belongs to, by its session."""

from __future__ import annotations

from collections.abc import Callable

from telephony.sip.events import (
    Answered,
    InfoReceived,
    InviteAcked,
    Provisional,
    ProvisionalAnswered,
    ReferEnded,
    ReferProgress,
    ReferReceived,
    ReinviteAcked,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Terminated,
)
from telephony.sip.session import Session

SessionEvent = (
    InviteAcked
    | ReinviteReceived
    | ReinviteAcked
    | ReinviteAnswered
    | ReinviteRejected
    | Provisional
    | ProvisionalAnswered
    | Answered
    | InfoReceived
    | ReferReceived
    | ReferProgress
    | ReferEnded
    | Terminated
)
"""What happens on a session after it was made."""

Handler = Callable[[SessionEvent], None]
Sessions = dict[Session, Handler]
"""The handler of each session that is up; who makes or takes a session enters it, and `Terminated` removes it."""
