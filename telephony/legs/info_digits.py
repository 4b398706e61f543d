"""Digits in the body of an INFO: application/dtmf-relay (`Signal=5`) and application/dtmf (`5`). Pure."""

from __future__ import annotations

from typing import Final

from telephony.rtp.dtmf import DIGITS

RELAY: Final = "application/dtmf-relay"
PLAIN: Final = "application/dtmf"
_DURATION_MS: Final = 160
_BY_NUMBER: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some send the event number of RFC 4733 instead of the key."""


def digit_of(content_type: str, body: bytes) -> str | None:
    """The key that was pressed; None for everything that is not one."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body.decode("ascii", "replace")
    if kind == RELAY:
        fields = (line.partition("=") for line in text.splitlines())
        signal = next((v.strip() for name, _, v in fields if name.strip().lower() == "signal"), "")
    elif kind == PLAIN:
        signal = text.strip()
    else:
        return None
    key = _BY_NUMBER.get(signal, signal.upper())
    return key if len(key) == 1 and key in DIGITS else None


def info_of(digit: str) -> tuple[str, bytes]:
    """Content type and body for a key press."""
    return RELAY, f"Signal={digit}\r\nDuration={_DURATION_MS}\r\n".encode("ascii")
