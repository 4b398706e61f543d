"""Tokens that must be unique or hard to guess: branches, tags, Call-IDs, and the dice of a 491 back-off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAGIC_COOKIE = "z9hG4bK"


class Ids(Protocol):
    """Source of randomness of the engine (RFC 3261 19.3: tags have at least 32 random bits)."""

    def branch(self) -> str: ...
    def tag(self) -> str: ...
    def call_id(self) -> str: ...
    def fraction(self) -> float:
        """Evenly spread in 0 <= x < 1."""
        ...


@dataclass(frozen=True, slots=True)
class TokenIds:
    """`Ids` over a source of random octets, such as `os.urandom`."""

    random_bytes: Callable[[int], bytes]

    def branch(self) -> str:
        return MAGIC_COOKIE + self.random_bytes(9).hex()

    def tag(self) -> str:
        return self.random_bytes(6).hex()

    def call_id(self) -> str:
        return self.random_bytes(16).hex()

    def fraction(self) -> float:
        return int.from_bytes(self.random_bytes(4), "big") / 2**32
