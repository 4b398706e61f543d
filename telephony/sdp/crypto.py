"""Keys of SRTP in SDP: the a=crypto line (RFC 4568), its suites (RFC 4568 6.2, 6188, 7714), and what both ends chose.

A line that asks for what cannot be honoured is as good as absent. Keys show in no `repr`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

MAX_LINE_OCTETS: Final = 512
_MAX_LIFETIME: Final = 1 << 48
"""RFC 3711 9.2: packets under one master key."""
_MAX_MKI_OCTETS: Final = 128
_TAG: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_LIFETIME: Final = re.compile(r"2\^([0-9]{1,2})|([0-9]{1,15})", re.ASCII)
_MKI: Final = re.compile(r"([0-9]{1,40}):([0-9]{1,3})", re.ASCII)


class SrtpPolicy(Enum):
    """`OFF`: plain RTP only. `OPTIONAL`: whatever the other side does. `REQUIRED`: nothing without SRTP."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Suite(StrEnum):
    """Crypto suites, as a=crypto names them."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"
    AES_256_CM_HMAC_SHA1_32 = "AES_256_CM_HMAC_SHA1_32"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"

    @property
    def key_octets(self) -> int:
        """Master key and salt together."""
        return _KEY_OCTETS[self]


_KEY_OCTETS: Final = {
    Suite.AES_CM_128_HMAC_SHA1_80: 16 + 14,
    Suite.AES_CM_128_HMAC_SHA1_32: 16 + 14,
    Suite.AES_256_CM_HMAC_SHA1_80: 32 + 14,
    Suite.AES_256_CM_HMAC_SHA1_32: 32 + 14,
    Suite.AEAD_AES_128_GCM: 16 + 12,
    Suite.AEAD_AES_256_GCM: 32 + 12,
}

OFFERED_SUITES: Final = (
    Suite.AES_256_CM_HMAC_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32,
)
"""Ours, best first. AEAD and AES-256 with a short tag are taken when they are offered, and not offered."""


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One a=crypto line. `mki_octets`: how many octets of key identifier stand before each packet's tag."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)
    mki_octets: int = 0

    def __str__(self) -> str:
        """The line without its key."""
        return f"{self.tag} {self.suite}"


@dataclass(frozen=True, slots=True)
class Crypto:
    """What both ends chose. `send_key`, `receive_key`: master key and salt, `suite.key_octets` long."""

    suite: Suite
    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    tag: int = 1
    mki_octets: int = 0
    """In packets that come; ours have none."""


def parse_crypto(value: str) -> CryptoLine | None:
    """The value of a=crypto; None if it is malformed, or asks for what cannot be honoured."""
    words = value.split()
    if len(words) < 3 or len(value) > MAX_LINE_OCTETS or not _TAG.fullmatch(words[0]):
        return None
    try:
        suite = Suite(words[1].upper())
    except ValueError:
        return None
    key = _parse_key(words[2], suite)
    if key is None or not all(_is_harmless(word) for word in words[3:]):
        return None
    return CryptoLine(int(words[0]), suite, *key)


def write_crypto(line: CryptoLine) -> str:
    """The value of a=crypto. No lifetime: a key of ours serves until the session ends, or the next key."""
    return f"{line.tag} {line.suite} inline:{base64.b64encode(line.key).decode('ascii')}"


def _parse_key(text: str, suite: Suite) -> tuple[bytes, int] | None:
    """(key and salt, octets of MKI) of `inline:key[|lifetime][|MKI:length]`. Several keys are more than we keep."""
    method, _, rest = text.partition(":")
    parts = rest.split("|")
    if method.lower() != "inline" or ";" in rest or len(parts) > 3:
        return None
    encoded = parts[0]
    try:
        # Some leave out the padding.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(key) != suite.key_octets:
        return None
    mki_octets = _parse_limits(parts[1:])
    return None if mki_octets is None else (key, mki_octets)


def _parse_limits(parts: list[str]) -> int | None:
    """Octets of MKI (0: none) of what stands behind the key; None if it is not to be had."""
    if parts and ":" not in parts[0]:
        lifetime = _LIFETIME.fullmatch(parts[0])
        if lifetime is None:
            return None
        packets = 1 << int(lifetime[1]) if lifetime[1] else int(lifetime[2])
        if not 0 < packets <= _MAX_LIFETIME:
            return None
        parts = parts[1:]
    if not parts:
        return 0
    mki = _MKI.fullmatch(parts[0])
    if mki is None or len(parts) > 1 or not 0 < int(mki[2]) <= _MAX_MKI_OCTETS:
        return None
    return int(mki[2])


def _is_harmless(parameter: str) -> bool:
    """Session parameters that change nothing for us (RFC 4568 6.3); `-` marks those that may be ignored."""
    name, _, value = parameter.upper().partition("=")
    if name == "WSH":
        return value.isascii() and value.isdigit()
    return name.startswith("-") or name == "FEC_ORDER"
