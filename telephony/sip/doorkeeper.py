"""The server side of digest (RFC 7616 3.3, 3.4.6, RFC 8760): challenges, and the check of what answers them.

Nonces are signed and dated instead of kept; kept is only which counts of the ones in use have been seen. A wrong
user and a wrong password cost the same work and get the same reply.
"""

import hmac
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from telephony.sip.auth import Authority, Challenge
from telephony.sip.digest import (
    DigestAnswer,
    DigestChallenge,
    escape,
    parse_answer,
    response_of,
)
from telephony.sip.errors import SipSyntaxError
from telephony.sip.ids import Ids
from telephony.sip.message import HeaderPair, Request
from telephony.sip.uas_checks import Refusal
from telephony.sip.uri import parse_uri

NONCE_SECONDS: Final = 300.0
_TIME_DIGITS: Final = 12  # milliseconds, in hex
_SIGNATURE_DIGITS: Final = 32
_MOST_NONCES: Final = 4096
# How far behind the highest count a request may come: UDP reorders, phones with several calls do too.
_WINDOW: Final = 64
_QOPS: Final = ("", "auth", "auth-int")


@dataclass(slots=True)
class _Seen:
    """Counts of one nonce: the highest, and a bit for each of the `_WINDOW` up to it."""

    highest: int = 0
    bits: int = 0

    def take(self, count: int) -> bool:
        """False if this count came before, or may have."""
        if count > self.highest:
            ahead = min(count - self.highest, _WINDOW)
            self.bits = (self.bits << ahead | 1) & ((1 << _WINDOW) - 1)
            self.highest = count
            return True
        behind = self.highest - count
        if behind >= _WINDOW or self.bits >> behind & 1:
            return False
        self.bits |= 1 << behind
        return True


class Doorkeeper:
    """Asks for proof and checks it. One per engine: the key of its nonces dies with it."""

    def __init__(self, ids: Ids, counters: Counter[str], most_nonces: int = _MOST_NONCES) -> None:
        self._ids = ids
        self._counters = counters
        self._most_nonces = most_nonces
        self._key = f"{ids.call_id()}{ids.call_id()}".encode()
        self._seen: dict[str, _Seen] = {}
        self._forgotten_to_ms = -1  # nonces this old are known, or not good any more

    def check(
        self, request: Request, asked: Challenge, authority: Authority, now: float
    ) -> str | Refusal:
        """The user name that was proved, or the 401 to send."""
        answer = _find_answer(request, asked)
        if answer is None:
            return self._challenge(asked, now, stale=False)
        ha1 = authority.ha1(answer.username, asked.realm, answer.algorithm)
        # The sum is made for an unknown user too, over what nobody can know; both are made for everybody.
        nobody = self._sign("nobody", answer.username)
        expected = response_of(ha1 or nobody, request.method, answer, body=request.body)
        fresh = self._is_fresh(answer.nonce, asked.realm, now)
        proved = hmac.compare_digest(expected.encode(), _octets(answer.response))
        known = ha1 is not None and answer.qop in _QOPS and _is_for(answer.uri, request)
        if not (proved and known):
            self._counters["auth_failed"] += 1
            return self._challenge(asked, now, stale=False)
        if not fresh or not self._take(answer, now):
            self._counters["auth_stale"] += 1
            return self._challenge(asked, now, stale=True)
        return answer.username

    def _challenge(self, asked: Challenge, now: float, *, stale: bool) -> Refusal:
        nonce = self._new_nonce(asked.realm, now)
        headers: list[HeaderPair] = []
        for algorithm in asked.algorithms:
            challenge = DigestChallenge(
                escape(asked.realm), nonce, algorithm, qop="auth", stale=stale
            )
            headers.append(("WWW-Authenticate", str(challenge)))
        return Refusal(401, tuple(headers))

    # ------------------------------------------------------------------ nonces

    def _new_nonce(self, realm: str, now: float) -> str:
        head = f"{int(now * 1000):0{_TIME_DIGITS}x}{self._ids.tag()}"
        return head + self._sign(head, realm)

    def _sign(self, head: str, realm: str) -> str:
        text = _octets(f"{head}\n{realm}")
        return hmac.new(self._key, text, sha256).hexdigest()[:_SIGNATURE_DIGITS]

    def _is_fresh(self, nonce: str, realm: str, now: float) -> bool:
        """If it is one of ours and young; else (run out, from before a restart) the proof shall be made anew."""
        head, signature = nonce[:-_SIGNATURE_DIGITS], nonce[-_SIGNATURE_DIGITS:]
        if not hmac.compare_digest(self._sign(head, realm).encode(), _octets(signature)):
            return False
        return now - _made_at_ms(nonce) / 1000 <= NONCE_SECONDS

    def _take(self, answer: DigestAnswer, now: float) -> bool:
        """Whether this use of a good nonce is the first of its count. Without qop a nonce is good for one."""
        nonce = answer.nonce
        seen = self._seen.get(nonce)
        if seen is None:
            made_at = _made_at_ms(nonce)
            if made_at <= self._forgotten_to_ms:
                return False
            self._make_room(now)
            seen = self._seen[nonce] = _Seen()
        return seen.take(answer.nc if answer.qop else 1)

    def _make_room(self, now: float) -> None:
        """Drop what has run out; if that is not enough, the oldest, and with it every nonce as old."""
        dead_to_ms = (now - NONCE_SECONDS) * 1000
        while self._seen:
            oldest = next(iter(self._seen))
            made_at = _made_at_ms(oldest)
            if made_at >= dead_to_ms and len(self._seen) < self._most_nonces:
                return
            del self._seen[oldest]
            self._forgotten_to_ms = max(self._forgotten_to_ms, made_at)


def _made_at_ms(signed: str) -> int:
    return int(signed[:_TIME_DIGITS], 16)


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _find_answer(request: Request, asked: Challenge) -> DigestAnswer | None:
    """The first credentials for our realm with an algorithm we offered; unreadable ones count as none."""
    realm = escape(asked.realm)
    for value in request.headers.all("authorization"):
        try:
            answer = parse_answer(value)
        except SipSyntaxError:
            continue
        if answer is not None and answer.realm == realm and answer.algorithm in asked.algorithms:
            return answer
    return None


def _is_for(uri: str, request: Request) -> bool:
    """Whether proof was made for this target. Proxies change hosts and parameters, not whom it is for."""
    try:
        return parse_uri(uri).number == request.uri.number
    except SipSyntaxError:
        return uri == request.uri_text
