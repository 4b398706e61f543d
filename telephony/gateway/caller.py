"""What an INVITE says about its call: number called, caller, variables. Pure; the header map of the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from telephony.sip.errors import SipError
from telephony.sip.headers import NameAddr
from telephony.sip.message import Request

MAX_VALUE: Final = 256
MAX_VARIABLES: Final = 50
_NOT_FOR_AGENTS: Final = ("x-asterisk-", "x-fs-", "x-real-ip", "x-forwarded")


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """`called`: candidates in the order in which the dial plan is asked. `caller` is empty if withheld."""

    called: tuple[str, ...]
    caller: str
    variables: dict[str, str] = field(default_factory=dict)


def caller_facts(request: Request) -> CallerFacts:
    """Request-URI first, then To, then the first Diversion; `Privacy: id` hides the caller everywhere.

    PAI and RPID are not believed: there is no trusted trunk on this node.
    """
    called = [
        _user(lambda: request.uri.number),
        _user(lambda: request.to.uri.number),
        *(_user(partial(_number_of, hop)) for hop in _hops(request)),
    ]
    distinct = tuple(dict.fromkeys(number for number in called if number))
    hidden = "id" in (request.headers.first("Privacy") or "").lower().replace(";", " ").split()
    caller = "" if hidden else _user(lambda: request.from_.uri.number)
    return CallerFacts(distinct, "" if caller == "anonymous" else caller, _variables(request))


def _user(read: Callable[[], str]) -> str:
    try:
        return _clean(read())
    except SipError:
        return ""


def _clean(text: str) -> str:
    """Without control characters, and without octets that are no UTF-8: neither the log nor JSON can hold those."""
    return "".join(c for c in text if c.isprintable())[:MAX_VALUE]


def _number_of(address: NameAddr) -> str:
    return address.uri.number


def _hops(request: Request) -> list[NameAddr]:
    try:
        return list(request.name_addrs("Diversion"))[:1]
    except SipError:
        return []


def _variables(request: Request) -> dict[str, str]:
    """X- headers, names in lower case, values cut; the first of a repeated name counts."""
    found: dict[str, str] = {}
    for name, value in request.headers.items:
        lower = name.lower()
        if not lower.startswith("x-") or lower.startswith(_NOT_FOR_AGENTS) or lower in found:
            continue
        if len(found) >= MAX_VARIABLES:
            break
        found[lower] = _clean(value)
    return found
