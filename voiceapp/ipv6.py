"""Where IPv6 is served beside IPv4, and whether an address of either can be opened."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Final

from voiceapp.configuration import Address, Configuration, ConfigurationError

WILDCARD_V4: Final = "0.0.0.0"
WILDCARD_V6: Final = "::"
_BESIDE: Final = {"127.0.0.1": "::1", WILDCARD_V4: WILDCARD_V6}

_FAR: Final = {WILDCARD_V4: "192.0.2.1", WILDCARD_V6: "2001:db8::1"}
"""TEST-NET-1 (RFC 5737) and RFC 3849: nothing is sent there."""


def beside(configuration: Configuration, address: Address) -> Address | None:
    """The IPv6 address that serves the same as this IPv4 address, on the same port; None: none does."""
    if configuration.ipv6 == "off" or ":" in address.host:
        return None
    if configuration.ipv6 != "auto":
        return Address(configuration.ipv6, address.port)
    host = _BESIDE.get(address.host)
    return Address(host, address.port) if host is not None and _is_ours(host) else None


def opened(configuration: Configuration) -> tuple[str, str]:
    """Hosts of IPv4 and of IPv6 that SIP is received at; empty: that family is not open.

    Raises: ConfigurationError for a public address of a family that is not.
    """
    bound, public = configuration.sip.host, configuration.public_address
    sixth = beside(configuration, configuration.sip)
    v4 = WILDCARD_V4 if bound == WILDCARD_V6 else "" if ":" in bound else bound
    v6 = bound if ":" in bound else sixth.host if sixth is not None else ""
    if public and not (v6 if ":" in public else v4):
        family = "IPv6" if ":" in public else "IPv4"
        raise ConfigurationError(
            f"VOICEAPP_PUBLIC_ADDRESS={public} cannot be used: {family} is not open. "
            "Open it by VOICEAPP_SIP or VOICEAPP_IPV6, or leave this address out."
        )
    return v4, v6


@lru_cache
def _is_ours(host: str) -> bool:
    """Whether this machine has IPv6: a container may come without."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


def routed(wildcard: str) -> str:
    """The address of ours that the default route of this family leaves by; empty: there is no route."""
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_FAR[wildcard], 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def refusal(address: Address, kind: socket.SocketKind, *, beside: bool = False) -> OSError | None:
    """Why this address cannot be opened; None if it can.

    `beside`: it is one of IPv6 beside one of IPv4; without, `::` is to serve both families.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            if beside or address.host == WILDCARD_V6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(beside))
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address.host, address.port))
    except OSError as error:
        return error
    return None
