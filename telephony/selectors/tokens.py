"""Keys to the API and what was placed with them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

from telephony.models import ApiToken, CallRecord, PlacedCall

LONGEST_CALL: Final = timedelta(hours=6)
"""A call that was never heard of again does not hold its place for ever."""


def digest_of(secret: str) -> str:
    """What is kept of a token: it is 256 random bits, so one round suffices."""
    return hashlib.sha256(secret.encode()).hexdigest()


def token_of(secret: str, now: datetime) -> ApiToken | None:
    """The token in force with this secret; None for one that is unknown, revoked or expired."""
    token = ApiToken.objects.filter(digest=digest_of(secret), revoked_at=None).first()
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return None
    return token


def placed_with(token_id: int, call: str) -> bool:
    """Was this call placed with this token?"""
    return bool(call) and PlacedCall.objects.filter(token_id=token_id, call=call).exists()


def calls_up(token: ApiToken, now: datetime) -> int:
    """Calls of the token that are placed or up, as far as the database knows."""
    placed = PlacedCall.objects.filter(token=token, refused="", at__gt=now - LONGEST_CALL)
    over = CallRecord.objects.filter(ended_at__isnull=False).values("call")
    return placed.exclude(call__in=over).count()


def calls_today(token: ApiToken, now: datetime) -> int:
    """Since midnight, UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return PlacedCall.objects.filter(token=token, refused="", at__gte=midnight).count()
