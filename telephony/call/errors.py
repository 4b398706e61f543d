"""Errors of the call core. Each class is one thing that a caller of the code handles differently.

```
CallError                       sip  retry  what the person reads
├── IllegalTransitionError      480  no     That is not possible at this point of the call.
│   ├── FloorHeldError          480  no     <name> has the call.
│   └── TransferRunningError    480  no     A transfer is under way; cancel it first.
├── CallGoneError               481  no     This call has ended.
├── NoCapacityError             503  later  All lines are busy; please try again in a minute.
├── LogFullError                503  later  The call cannot be recorded right now; please try again in a minute.
├── BrokenLogError              500  no     The record of this call is damaged.
│   └── UnknownEventError       500  no     The record of this call was written by another version.
├── RequestError                480  no     what the other process answered
└── NodeUnreachableError        503  safe   This part of the system is not reachable; please try again.
```

Texts of exceptions hold no personal data; `user_message` is for the person who asked.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from telephony.call.ids import UserName

Retry = Literal["no", "safe", "later"]
"""`no`: do not; `safe`: nothing has happened yet; `later`: with Retry-After."""


class CallError(Exception):
    """Any refusal or failure of a call. `code` is what other processes see of the class."""

    sip_status: ClassVar[int] = 500
    metric: ClassVar[str] = "call_error"
    retry: ClassVar[Retry] = "no"
    user_message: str = "The call failed."

    @property
    def code(self) -> str:
        return self.metric


class IllegalTransitionError(CallError):
    """The command does not fit the state; nothing has changed."""

    sip_status = 480
    metric = "illegal_transition"
    user_message = "That is not possible at this point of the call."


class FloorHeldError(IllegalTransitionError):
    """Another supervisor speaks to the caller."""

    metric = "floor_held"

    def __init__(self, by: UserName) -> None:
        super().__init__("another supervisor has the floor")
        self.by = by
        self.user_message = f"{by} has the call."


class TransferRunningError(IllegalTransitionError):
    """One transfer at a time."""

    metric = "transfer_running"
    user_message = "A transfer is under way; cancel it first."


class CallGoneError(CallError):
    """The call is over, or there never was one of this name."""

    sip_status = 481
    metric = "call_gone"
    user_message = "This call has ended."


class NoCapacityError(CallError):
    """The node takes no more calls (full or draining), or a call's mailbox is full."""

    sip_status = 503
    metric = "no_capacity"
    retry = "later"
    user_message = "All lines are busy; please try again in a minute."


class LogFullError(CallError):
    """The log cannot take the record: the disk has been away for too long."""

    sip_status = 503
    metric = "log_full"
    retry = "later"
    user_message = "The call cannot be recorded right now; please try again in a minute."


class BrokenLogError(CallError):
    """A log does not replay: a gap, a body that cannot be read, an order that cannot have happened."""

    metric = "broken_log"
    user_message = "The record of this call is damaged."


class UnknownEventError(BrokenLogError):
    """A kind, version or field of an event that this version does not know; the text says which."""

    metric = "unknown_event"
    user_message = "The record of this call was written by another version."


class RequestError(CallError):
    """The typed refusal of another process: its error's `code`, and its text for people."""

    sip_status = 480
    metric = "request_refused"

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"refused: {code}")
        self._code = code
        self.user_message = text

    @property
    def code(self) -> str:
        return self._code

    @property
    def text(self) -> str:
        return self.user_message


class NodeUnreachableError(CallError):
    """No process answers at the node's address; the request was not sent."""

    sip_status = 503
    metric = "node_unreachable"
    retry = "safe"
    user_message = "This part of the system is not reachable; please try again."
