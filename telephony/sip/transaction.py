"""What the four transaction machines share (RFC 3261 17, RFC 6026, RFC 4320): timers, states, keys.

The machines are in `server_transaction` and `client_transaction`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Final, Protocol

from telephony.sip.deadlines import Deadlines
from telephony.sip.flow import Flow
from telephony.sip.ids import MAGIC_COOKIE
from telephony.sip.message import Request

# RFC 3261 17.1.1.1 and table 4, seconds.
T1: Final = 0.5
T2: Final = 4.0
T4: Final = 5.0
LIFETIME: Final = 64 * T1  # Timers B, D, F, H, J, L, M

TransactionKey = tuple[str, ...]


class State(Enum):
    """States of all four machines; each uses its own subset."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Wire(Protocol):
    """What a transaction needs of the engine."""

    deadlines: Deadlines

    def send(self, flow: Flow, data: bytes) -> None: ...


@dataclass(eq=False)
class Transaction:
    """State, flow and named timers of one transaction; `ended` takes it out of the engine's table."""

    wire: Wire
    key: TransactionKey
    request: Request
    flow: Flow
    ended: Callable[["Transaction"], None] = field(repr=False)
    state: State = State.TRYING
    TIMERS: ClassVar[str] = ""  # their letters in RFC 3261 table 4 and RFC 6026

    def start_timer(self, name: str, at: float, fire: Callable[[float], None]) -> None:
        self.wire.deadlines.set((self, name), at, fire)

    def stop_timers(self, *names: str) -> None:
        for name in names:
            self.wire.deadlines.cancel((self, name))

    def terminate(self, now: float) -> None:
        """The one way into TERMINATED: all timers stopped, table entry gone."""
        if self.state is not State.TERMINATED:
            self.state = State.TERMINATED
            self.stop_timers(*self.TIMERS)
            self.ended(self)


def server_key(request: Request) -> TransactionKey:
    """RFC 3261 17.2.3; the ACK of a final response other than 2xx finds its INVITE."""
    via = request.via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return (branch, via.sent_by, method)
    return (
        request.call_id,
        request.from_.tag,
        str(request.cseq.number),
        request.uri_text,
        str(via),
        method,
    )


def cancel_key(request: Request) -> TransactionKey:
    """What an INVITE and its CANCEL share. The sent-by is left out: some NATs and proxies change it."""
    branch = request.via.branch
    if branch.startswith(MAGIC_COOKIE) and len(branch) > len(MAGIC_COOKIE):
        return (branch, request.call_id, str(request.cseq.number))
    return (request.call_id, request.from_.tag, str(request.cseq.number), request.uri_text)


def client_key(branch: str, method: str) -> TransactionKey:
    """RFC 3261 17.1.3."""
    return (branch, method)
