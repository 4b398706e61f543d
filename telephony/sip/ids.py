"""Tokens that must be unique or hard to guess: branches, tags, Call-IDs, and the dice of a 491 back-off."""

from collections.abc import Callable
from typing import Final, Protocol

MAGIC_COOKIE = "z9hG4bK"
_POOL_OCTETS: Final = 4096


class Ids(Protocol):
    """Source of randomness of the engine (RFC 3261 19.3: tags have at least 32 random bits)."""

    def branch(self) -> str: ...
    def tag(self) -> str: ...
    def call_id(self) -> str: ...
    def fraction(self) -> float:
        """Evenly spread in 0 <= x < 1."""
        ...


class TokenIds:
    """`Ids` over a source of random octets, such as `os.urandom`, asked for many at once.

    Each question to the kernel gives up the interpreter lock, which the media thread may then keep for a tick.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._pool = b""
        self._used = 0

    def branch(self) -> str:
        return MAGIC_COOKIE + self._take(9).hex()

    def tag(self) -> str:
        return self._take(6).hex()

    def call_id(self) -> str:
        return self._take(16).hex()

    def fraction(self) -> float:
        return int.from_bytes(self._take(4), "big") / 2**32

    def _take(self, octets: int) -> bytes:
        """Octets that nobody has had."""
        if self._used + octets > len(self._pool):
            self._pool, self._used = self._random_bytes(_POOL_OCTETS), 0
        start, self._used = self._used, self._used + octets
        return self._pool[start : self._used]
