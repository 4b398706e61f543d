"""Tokens with which a browser comes back into its call: one use, short life after the loss, bound to the call. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from telephony.call.ids import CallId


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    lost_at: float | None


class ResumeTokens:
    """One valid token per call; only its digest is kept. While the leg is up the token does not age."""

    def __init__(self, random_token: Callable[[], str], life_s: float) -> None:
        self._random_token = random_token
        self._life_s = life_s
        self._by_call: dict[CallId, _Entry] = {}
        self._call_of: dict[bytes, CallId] = {}

    def issue(self, call: CallId) -> str:
        """A new token; the one before it is void."""
        self.forget(call)
        token = self._random_token()
        digest = _digest(token)
        self._by_call[call] = _Entry(digest, None)
        self._call_of[digest] = call
        return token

    def lost(self, call: CallId, now: float) -> None:
        """The life of the call's token begins to run."""
        entry = self._by_call.get(call)
        if entry is not None and entry.lost_at is None:
            self._by_call[call] = _Entry(entry.digest, now)

    def redeem(self, token: str, now: float) -> CallId | None:
        """The token's call, once; None for unknown, used and expired ones alike."""
        digest = _digest(token)
        call = self._call_of.get(digest)
        if call is None:
            return None
        entry = self._by_call[call]
        self.forget(call)
        fresh = entry.lost_at is None or now - entry.lost_at <= self._life_s
        return call if fresh and hmac.compare_digest(entry.digest, digest) else None

    def forget(self, call: CallId) -> None:
        """The call is over, or has a new token."""
        entry = self._by_call.pop(call, None)
        if entry is not None:
            del self._call_of[entry.digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
