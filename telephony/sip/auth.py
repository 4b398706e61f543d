"""Digest authentication (RFC 7616, RFC 8760): our answers to challenges, and whom we challenge.

The sums are in `digest`, the check of their answers in `doorkeeper`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from telephony.sip.digest import (
    ALGORITHMS,
    DigestAnswer,
    DigestChallenge,
    digest,
    escape,
    ha1_of,
    parse_challenge,
    response_of,
)
from telephony.sip.errors import SipSyntaxError
from telephony.sip.flow import Flow
from telephony.sip.ids import Ids
from telephony.sip.message import HeaderPair, Headers, Request, Response

# header of the challenge -> header of the answer
_ASKED_IN: Final = {
    "www-authenticate": "Authorization",
    "proxy-authenticate": "Proxy-Authorization",
}
_ANSWERS: Final = frozenset(name.lower() for name in _ASKED_IN.values())
_BRANCH: Final = re.compile(r";[ \t]*branch[ \t]*=[ \t]*[^;,\s]*", re.IGNORECASE)
# One forking proxy may hand on the challenges of several servers (RFC 3261 22.3); no more than these are answered.
_MOST_REALMS: Final = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """For whom we answer a 401 or 407. `realms`: those it is for; empty: any."""

    username: str
    password: str = field(repr=False)
    realms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What an `Authority` asks of a request: proof for `realm`; `algorithms` best first, one header each."""

    realm: str
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")


class Authority(Protocol):
    """Who may send us requests outside of a session. Asked on the loop: look-ups in memory only."""

    def policy(self, request: Request, flow: Flow) -> Literal["accept", "drop"] | Challenge:
        """`drop`: no reply at all, as if nobody was here. ACK and CANCEL are never asked about."""
        ...

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """H(username:realm:password) in lower hex, None for an unknown user."""
        ...


@dataclass(slots=True)
class _Asked:
    """A challenge we answer: how often its nonce was used, and our half of it."""

    challenge: DigestChallenge
    cnonce: str
    uses: int = 0


class ClientAuth:
    """Answers of one session or registration: remembers nonces, so that later requests are signed at once."""

    def __init__(self, credentials: Credentials, ids: Ids) -> None:
        self._credentials = credentials
        self._ids = ids
        self._asked: dict[tuple[str, str], _Asked] = {}  # by header of the answer, realm

    def answer(
        self, request: Request, response: Response, *, cseq: int, branch: str
    ) -> Request | None:
        """The request again, with a new branch and CSeq number and all proofs asked for so far.

        None: nothing here can be answered, or the proof just given was refused (RFC 3261 22.2: not again).
        """
        learned = [
            self._learn(header, challenge)
            for header, challenge in _strongest(response, self._credentials.realms)
        ]
        if not any(learned):
            return None
        changed = {"cseq": f"{cseq} {request.method}"}
        items: list[HeaderPair] = []
        for name, value in request.headers.items:
            key = name.lower()
            if key == "via" and not items:
                value = _BRANCH.sub(f";branch={branch}", value, count=1)
            items.append((name, changed.get(key, value)))
        return self.sign(Request(Headers(items), request.body, request.method, request.uri_text))

    def sign(self, request: Request) -> Request:
        """With a proof for each realm that has asked before; unchanged if none has."""
        if not self._asked:
            return request
        items = [pair for pair in request.headers.items if pair[0].lower() not in _ANSWERS]
        proofs = [
            (header, self._prove(asked, request)) for (header, _), asked in self._asked.items()
        ]
        return Request(
            Headers([*items[:-1], *proofs, *items[-1:]]),
            request.body,
            request.method,
            request.uri_text,
        )

    def _learn(self, header: str, challenge: DigestChallenge) -> bool:
        """True if there is something to try: a nonce not answered yet, unless it came for a wrong proof."""
        known = self._asked.get((header, challenge.realm))
        if known is not None:
            repeated = known.challenge.nonce == challenge.nonce
            # A nonce that failed at its first use failed for what we proved; a used one may have run out.
            wrong = known.uses <= 1 and not challenge.stale
            if repeated or wrong:
                del self._asked[header, challenge.realm]
                return False
        if len(self._asked) >= _MOST_REALMS and known is None:
            return False
        self._asked[header, challenge.realm] = _Asked(challenge, self._ids.call_id())
        return True

    def _prove(self, asked: _Asked, request: Request) -> str:
        asked.uses += 1
        challenge, user = asked.challenge, self._credentials
        counter = f"{asked.uses:08x}"
        answer = DigestAnswer(
            user.username,
            challenge.realm,
            challenge.nonce,
            request.uri_text,
            "",
            challenge.algorithm,
            challenge.qop,
            asked.uses,
            counter,
            asked.cnonce,
        )
        ha1 = ha1_of(challenge.algorithm, user.username, challenge.realm, user.password)
        if challenge.session:
            ha1 = digest(challenge.algorithm, ha1, challenge.nonce, asked.cnonce)
        proof = response_of(ha1, request.method, answer, body=request.body)
        return _write_answer(answer, challenge, proof)


def _write_answer(answer: DigestAnswer, challenge: DigestChallenge, proof: str) -> str:
    parts = [
        f'Digest username="{escape(answer.username)}"',
        f'realm="{answer.realm}"',
        f'nonce="{answer.nonce}"',
        f'uri="{answer.uri}"',
        f'response="{proof}"',
    ]
    # Servers older than algorithms compare the whole header: what was not asked is not said.
    parts += [f"algorithm={challenge.algorithm_text}"] if challenge.algorithm_text else []
    if challenge.qop:
        parts += [f'cnonce="{answer.cnonce}"', f"qop={answer.qop}", f"nc={answer.nc_text}"]
    elif challenge.session:
        parts.append(f'cnonce="{answer.cnonce}"')
    parts += [f'opaque="{challenge.opaque}"'] if challenge.opaque is not None else []
    return ", ".join(parts)


def _strongest(
    response: Response, realms: tuple[str, ...]
) -> Iterable[tuple[str, DigestChallenge]]:
    """For each header and realm that is ours, the challenge with the best algorithm we know."""
    best: dict[tuple[str, str], DigestChallenge] = {}
    for asking, answering in _ASKED_IN.items():
        for value in response.headers.all(asking):
            challenge = _read(value)
            if challenge is None or (realms and challenge.realm not in realms):
                continue
            key = (answering, challenge.realm)
            rival = best.get(key)
            if rival is None or _rank(challenge) < _rank(rival):
                best[key] = challenge
    return [(header, challenge) for (header, _), challenge in best.items()]


def _rank(challenge: DigestChallenge) -> int:
    return ALGORITHMS.index(challenge.algorithm)


def _read(value: str) -> DigestChallenge | None:
    try:
        return parse_challenge(value)
    except SipSyntaxError:
        return None
