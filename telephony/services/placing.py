"""Keys to the API and the calls placed with them: reserved before anything is dialled, so that caps hold."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from telephony.models import ApiToken, PlacedCall
from telephony.selectors.tokens import calls_today, calls_up, digest_of
from telephony.services.audit import record_audit
from telephony.services.clock import utc_now

TOKEN_BYTES: Final = 32
TOKEN_MARK: Final = "va_"  # noqa: S105 - how each begins, no secret
"""So that scanners for leaked secrets can find one."""
HINT_LENGTH: Final = 8
USED_EVERY: Final = timedelta(minutes=1)
"""“Last used” is written no more often."""


class CapReachedError(Exception):
    """A cap of the token; `cap` is `max_calls` or `max_calls_per_day`."""

    def __init__(self, cap: str) -> None:
        super().__init__(cap)
        self.cap = cap


class KeyReusedError(Exception):
    """A key of an earlier request came with another request."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place among the token's calls. `call` is filled if this request was carried out before."""

    id: int
    call: str
    node: str


def new_token(token: ApiToken) -> str:
    """Gives the row its secret, which is returned and kept nowhere; the caller saves the row."""
    secret = TOKEN_MARK + secrets.token_urlsafe(TOKEN_BYTES)
    token.hint, token.digest = secret[:HINT_LENGTH], digest_of(secret)
    return secret


@transaction.atomic
def revoke_token(token: ApiToken, *, who: str) -> None:
    """At once and for good. Idempotent."""
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        token.save(update_fields=["revoked_at"])
        record_audit(who=who, what="apitoken.revoked", subject=str(token)[:100])


def token_used(token: ApiToken, now: datetime) -> None:
    """Notes when it was used last, to the minute."""
    if token.used_at is None or now - token.used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)


@transaction.atomic
def reserve_call(*, token_id: int, key: str, request: str, node: str, now: datetime) -> Reservation:
    """A place for one call; the same one for a request that is repeated under its key.

    Raises: CapReachedError, KeyReusedError.
    """
    token = ApiToken.objects.select_for_update().get(pk=token_id)  # one after the other
    fingerprint = hashlib.sha256(request.encode()).hexdigest()
    found = PlacedCall.objects.filter(token=token, key=key).first()
    if found is not None and found.fingerprint != fingerprint:
        raise KeyReusedError
    if found is not None and not found.refused:
        return Reservation(found.pk, found.call, found.node)
    if calls_up(token, now) >= token.max_calls:
        raise CapReachedError("max_calls")
    if calls_today(token, now) >= token.max_calls_per_day:
        raise CapReachedError("max_calls_per_day")
    values = {"fingerprint": fingerprint, "node": node, "refused": "", "at": now}
    placed, _ = PlacedCall.objects.update_or_create(token=token, key=key, defaults=values)
    return Reservation(placed.pk, "", node)


@transaction.atomic
def note_placed(*, reservation: Reservation, call: str, who: str, agent: str) -> None:
    """The node has taken the order."""
    PlacedCall.objects.filter(pk=reservation.id).update(call=call)
    record_audit(who=who, what="call.dialled", subject=call, detail={"agent": agent})


@transaction.atomic
def note_refused(*, reservation: Reservation, reason: str, who: str, agent: str) -> None:
    """The order came to nothing; its place is free again."""
    PlacedCall.objects.filter(pk=reservation.id).update(refused=reason[:64])
    record_audit(
        who=who, what="call.dial_refused", subject=agent[:100], detail={"reason": reason[:64]}
    )
