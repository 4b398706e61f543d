"""Numbers and names as they are shown to somebody who may not see personal data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

DOTS: Final = "•••"
SHOWN_DIGITS: Final = 2
LONGEST_EXTENSION: Final = 4
_USER = re.compile(r"^(?:[\"<]|sips?:|tel:)*([^@;>\"]+)")
_LONG_NUMBER = re.compile(r"\d(?:[ ./-]?\d){4,}")


def party(address: str, transport: str) -> str:
    """A caller or called party in short: the user part of a SIP address; a browser has no number."""
    if transport == "webrtc":
        return "Web visitor"
    found = _USER.match(address.strip())
    return found.group(1).strip() if found else "unknown"


def parties(call: Mapping[str, Any], *, unmasked: bool) -> tuple[str, str]:
    """The person and our own number, as they are shown: of a call that we placed, the person is the one called.

    A colleague's phone that calls out is known by its short name; whom it calls is somebody else's number then.
    """
    transport = str(call.get("transport") or "")
    ends = [str(call.get(name) or "") for name in ("caller", "called")]
    if call.get("direction") == "outbound":
        ends.reverse()
    person = party(ends[0], transport)
    shown = person if unmasked or transport == "webrtc" else mask(person)
    own = party(ends[1], "sip") if ends[1] else ""
    is_colleague = (
        transport == "sip" and bool(ends[0]) and destination(person, unmasked=False) == person
    )
    return shown, destination(own, unmasked=unmasked or not is_colleague)


def mask(name: str) -> str:
    """Enough to tell two calls apart, too little to call back."""
    digits = [letter for letter in name if letter.isdigit()]
    if len(digits) > SHOWN_DIGITS:
        return f"{DOTS} {''.join(digits[-SHOWN_DIGITS:])}"
    return f"{name[:1]}{DOTS}"


def mask_numbers(text: str) -> str:
    """The text with every number of five or more digits hidden."""
    return _LONG_NUMBER.sub(DOTS, text)


def destination(name: str, *, unmasked: bool) -> str:
    """A number is masked like a caller's; the name of a colleague's phone or of a queue is nobody's secret."""
    digits = sum(letter.isdigit() for letter in name)
    return mask(name) if digits > LONGEST_EXTENSION and not unmasked else name
