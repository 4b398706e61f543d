"""What the API reads and writes of tokens and the calls placed with them. Synchronous."""

from __future__ import annotations

from dataclasses import dataclass

from frontend.api_requests import ApiError
from telephony import selectors, services
from telephony.services import CapReachedError, KeyReusedError, Reservation

CAP_WORDS = {
    "max_calls": ("calls", "All calls this token may have at once are up.", 10.0),
    "max_calls_per_day": ("calls_per_day", "Today's calls of this token are used up.", 3600.0),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that shows a token in force, and what it may."""

    id: int
    name: str
    may_dial: bool
    may_read: bool
    agents: frozenset[str]
    per_minute: int


def api_caller(secret: str) -> Caller | None:
    """None for a token that is unknown, revoked or expired."""
    now = services.utc_now()
    token = selectors.token_of(secret, now)
    if token is None:
        return None
    services.token_used(token, now)
    return Caller(
        token.pk,
        f"api:{token.hint}",
        token.may_dial,
        token.may_read,
        frozenset(token.agents),
        token.per_minute,
    )


def reserve(caller: Caller, key: str, request: str, node: str) -> Reservation:
    """A place among the token's calls. Raises: ApiError where a cap is reached or the key was used otherwise."""
    try:
        return services.reserve_call(
            token_id=caller.id, key=key, request=request, node=node, now=services.utc_now()
        )
    except CapReachedError as error:
        code, text, retry = CAP_WORDS[error.cap]
        raise ApiError(429, code, text, retry_after_s=retry) from error
    except KeyReusedError as error:
        text = "This Idempotency-Key came before with another request."
        raise ApiError(409, "key_reused", text, field="Idempotency-Key") from error


def note_placed(caller: Caller, place: Reservation, call: str, agent: str) -> None:
    """The node has taken the order."""
    services.note_placed(reservation=place, call=call, who=caller.name, agent=agent)


def note_refused(caller: Caller, place: Reservation, reason: str, agent: str) -> None:
    """The order came to nothing."""
    services.note_refused(reservation=place, reason=reason, who=caller.name, agent=agent)


def is_own(caller: Caller, call: str) -> bool:
    """Did this token place the call?"""
    return selectors.placed_with(caller.id, call)
