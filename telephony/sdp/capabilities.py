"""What one leg can do, and how it is said that there is nothing in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from telephony.sdp.codecs import PCMA, PCMU, Codec
from telephony.sdp.crypto import OFFERED_SUITES, SrtpPolicy, Suite
from telephony.sdp.description import Direction

DEFAULT_PTIME_MS: Final = 20

INCOMPATIBLE_ADDRESS: Final = 301
INCOMPATIBLE_TRANSPORT: Final = 302
NO_MEDIA: Final = 304
INCOMPATIBLE_FORMAT: Final = 305
MISCELLANEOUS: Final = 399
"""Warn-codes of RFC 3261 20.43."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one leg can do now: where it receives, and which codecs, best first.

    `their_order`: an offer's order of codecs decides, not ours. `srtp` other than OFF needs `new_key(octets)`, which
    makes unguessable keys (`secrets.token_bytes`); `suites` are those we offer, any known one is taken.
    `other_address`: ours of the other family (IPv4, IPv6), for offers of that family; empty: there is none.
    `local`: the signalling came from this machine, so that audio may go to its loopback addresses.
    """

    address: str
    port: int
    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    ptime_ms: int = DEFAULT_PTIME_MS
    dtmf: bool = True
    session_id: int = 1
    direction: Direction = Direction.SENDRECV
    their_order: bool = False
    srtp: SrtpPolicy = SrtpPolicy.OFF
    suites: tuple[Suite, ...] = OFFERED_SUITES
    new_key: Callable[[int], bytes] | None = field(default=None, repr=False, compare=False)
    other_address: str = ""
    local: bool = False

    def __post_init__(self) -> None:
        if self.srtp is not SrtpPolicy.OFF and self.new_key is None:
            raise ValueError("SRTP needs a source of keys")

    def towards(self, address: str) -> Self:
        """The same with the address of ours that goes with theirs."""
        if not self.other_address or (":" in self.address) is (":" in address):
            return self
        return replace(self, address=self.other_address, other_address=self.address)

    def make_key(self, suite: Suite) -> bytes:
        """A fresh master key and salt."""
        if self.new_key is None:
            raise ValueError("SRTP needs a source of keys")
        return self.new_key(suite.key_octets)


@dataclass(frozen=True, slots=True)
class NotAcceptable:
    """Why there can be no session; `warning` is the value of a Warning header (RFC 3261 20.43)."""

    reason: str
    warning: str


def refuse(code: int, reason: str, capabilities: Capabilities) -> NotAcceptable:
    """A refusal that names us as the warning's agent."""
    address = capabilities.address
    agent = f"[{address}]" if ":" in address else address
    return NotAcceptable(reason, f'{code} {agent} "{reason}"')
