"""User-to-User (RFC 7433): bytes of context that a PBX sends with a call, and ours with a transfer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_OCTETS: Final = 128
_IA5: Final = 0x04
"""Protocol discriminator of ITU-T Q.931 4.5.30: IA5 characters follow."""


@dataclass(frozen=True, slots=True)
class UserToUser:
    """The octets as text where they are text, else in hex; an undecodable value as it came.

    `trouble`: empty, `cut` (more than 128 octets), or `undecodable`.
    """

    text: str
    trouble: str = ""


def read_user_to_user(value: str) -> UserToUser:
    """The first value of the header, whatever its `purpose` and `content`; hex unless `encoding` says otherwise."""
    data, *params = [part.strip() for part in value.partition(",")[0].split(";")]
    encoding = "hex"
    for param in params:
        name, _, given = param.partition("=")
        if name.strip().lower() == "encoding":
            encoding = given.strip().strip('"').lower()
    bare = data.strip('"')
    if encoding != "hex":
        return UserToUser(bare, "undecodable")
    try:
        octets = bytes.fromhex(bare)
    except ValueError:
        return UserToUser(bare, "undecodable")
    trouble = "cut" if len(octets) > MAX_OCTETS else ""
    return UserToUser(_as_text(octets[:MAX_OCTETS]), trouble)


def write_user_to_user(text: str) -> str:
    """Header value for context of ours, cut at 128 octets."""
    octets = text.encode("utf-8")[:MAX_OCTETS]
    return f"{octets.hex()};encoding=hex"


def _as_text(octets: bytes) -> str:
    for candidate in (octets[1:] if octets[:1] == bytes([_IA5]) else octets, octets):
        try:
            text = candidate.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            return text
    return octets.hex()
