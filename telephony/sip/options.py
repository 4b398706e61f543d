"""OPTIONS (RFC 3261 11): whether we are there for new calls, and whether another server is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from telephony.sip.core import ACCEPT, SUPPORTED_HEADER, Core, Done
from telephony.sip.events import OptionsAnswered
from telephony.sip.flow import Flow
from telephony.sip.initial import initial_request
from telephony.sip.message import HeaderPair, Request
from telephony.sip.uas_checks import ALLOW_EVENTS, Refusal, allow


@dataclass(frozen=True, slots=True)
class Availability:
    """What OPTIONS and new INVITEs are told. 503: a dispatcher before us takes us out; `retry_after` seconds."""

    status: Literal[200, 503] = 200
    retry_after: int | None = None


AVAILABLE: Final = Availability()
# The gateway's view of its load. It gets the request, as an INVITE may have somewhere else to go.
AskAvailability = Callable[[Request], Availability]


def refusal_for(availability: Availability) -> Refusal | None:
    """The 503 of a node that takes no new calls."""
    if availability.status == AVAILABLE.status:
        return None
    after = availability.retry_after
    return Refusal(availability.status, () if after is None else (("Retry-After", str(after)),))


def capabilities(allowed: Sequence[str]) -> tuple[HeaderPair, ...]:
    """What the 200 to an OPTIONS says of us (RFC 3261 11.2)."""
    return (allow(allowed), ACCEPT, ("Accept-Encoding", "identity"), SUPPORTED_HEADER, ALLOW_EVENTS)


def ping(core: Core, target: str, *, from_: str, flow: Flow, now: float) -> str:
    """Send OPTIONS; the id comes back in `OptionsAnswered`."""
    request = initial_request(core, "OPTIONS", target, flow, from_=from_, extra=(ACCEPT,))
    id = request.call_id

    def done(status: int, now: float) -> None:
        core.emit(OptionsAnswered(id, status))

    core.start_plain(request, flow, Done(done), now)
    return id
