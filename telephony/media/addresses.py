"""Addresses as the plane's arrays hold them: 32-bit numbers, an IPv4 address as itself, an IPv6 one interned.

An interned number lies in 240.0.0.0/4, which no host has (RFC 1112 4). It means one address as long as the plane uses
it; strangers are forgotten again, so that a flood from ever new addresses cannot fill memory. Plane's thread only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import IPv6Network
from typing import Final

from telephony.media.receive_loops import RESERVED

_NUMBERS: Final = 1 << 28
STRANGERS: Final = 8192
"""Addresses of a generation; two are kept, besides those in use."""


def is_v6(host: str) -> bool:
    """Whether an address in text is one of IPv6."""
    return ":" in host


class AddressBook:
    """`in_use`: the numbers that must stay when strangers are forgotten."""

    def __init__(self, strangers: int = STRANGERS) -> None:
        self.in_use: Callable[[], Iterable[int]] = tuple
        self._strangers = self._room = strangers
        self._next = 0
        # Two generations: who was not heard of while a whole one came in is forgotten with the older.
        self._numbers: dict[bytes, int] = {}
        self._octets: dict[int, bytes] = {}
        self._older_numbers: dict[bytes, int] = {}
        self._older_octets: dict[int, bytes] = {}

    @property
    def known(self) -> int:
        """IPv6 addresses that have a number."""
        return len(self._octets) + len(self._older_octets)

    def number(self, host: str) -> int:
        """Of an address in text; 0 for anything else and for reserved ones, which are then never sent to."""
        try:
            if is_v6(host):
                return self.intern(socket.inet_pton(socket.AF_INET6, host.partition("%")[0]))
            number = int.from_bytes(socket.inet_pton(socket.AF_INET, host), "big")
        except OSError:
            return 0
        return number if number < RESERVED else 0

    def intern(self, octets: bytes) -> int:
        """The number of the 16 octets of an IPv6 address: the one it has, or the next that is free."""
        number = self._numbers.get(octets)
        if number is not None:
            return number
        number = self._older_numbers.pop(octets, None)
        if number is None:
            number = self._fresh()
        else:
            del self._older_octets[number]
        self._keep(octets, number)
        return number

    def octets(self, number: int) -> bytes | None:
        """The IPv6 address behind a number; None for an IPv4 address, and for what was forgotten."""
        return self._octets.get(number) or self._older_octets.get(number)

    def host(self, number: int) -> str:
        """The address in text."""
        octets = self.octets(number)
        if octets is not None:
            return socket.inet_ntop(socket.AF_INET6, octets)
        return socket.inet_ntoa(number.to_bytes(4, "big"))

    def lies_in(self, number: int, networks: Iterable[IPv6Network]) -> bool:
        """Whether an interned address belongs to one of these."""
        octets = self.octets(number)
        if octets is None:
            return False
        address = int.from_bytes(octets, "big")
        return any(
            address & int(net.netmask) == int(net.network_address) for net in networks
        )  # fmt: skip

    def _fresh(self) -> int:
        while True:
            number = RESERVED + self._next
            self._next = (self._next + 1) % _NUMBERS
            # None is used again before all others were: one that was just forgotten means nobody, not somebody else.
            if number not in self._octets and number not in self._older_octets:
                return number

    def _keep(self, octets: bytes, number: int) -> None:
        self._numbers[octets], self._octets[number] = number, octets
        if len(self._octets) <= self._room:
            return
        used = [(number, self.octets(number)) for number in self.in_use()]
        self._older_numbers, self._older_octets = self._numbers, self._octets
        self._numbers, self._octets = {}, {}
        for number, kept in used:
            if kept is not None and number in self._older_octets:
                del self._older_octets[number], self._older_numbers[kept]
            if kept is not None:
                self._numbers[kept], self._octets[number] = number, kept
        self._room = self._strangers + len(self._octets)
