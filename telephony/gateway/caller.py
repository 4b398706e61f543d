"""What an INVITE says about its call: numbers called, caller, variables, what is passed on. Pure; the header map.

What a trunk that is not trusted asserts (P-Asserted-Identity, Remote-Party-ID, Identity, verstat) is stripped before
any use. Whatever was cut or could not be read is told by a variable, so that the call's log says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from telephony import destinations
from telephony.destinations import NumberError
from telephony.gateway.user_to_user import MAX_OCTETS, read_user_to_user
from telephony.sip.errors import SipError
from telephony.sip.headers import NameAddr
from telephony.sip.message import HeaderPair, Request
from telephony.sip.uri import Uri, unescape
from telephony.trunks import Trunk

MAX_VALUE: Final = 256
MAX_VARIABLES: Final = 50
MAX_HOPS: Final = 10
MAX_IDENTITY: Final = 4096
_NOT_FOR_AGENTS: Final = ("x-asterisk-", "x-fs-", "x-real-ip", "x-forwarded")
_ASSERTED: Final = frozenset(
    ("p-asserted-identity", "remote-party-id", "identity", "p-charge-info")
)
_SECRET: Final = frozenset(("authorization", "proxy-authorization"))
_HIDING: Final = frozenset(("id", "user", "header"))
_RPID_HIDING: Final = frozenset(("full", "name", "uri"))

__all__ = ["MAX_OCTETS", "MAX_VALUE", "MAX_VARIABLES", "CallerFacts", "caller_facts"]


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """`called`: candidates in the order in which the dial plan is asked. `caller` is empty if withheld.

    `headers`: first values by lower-case name, for the conditions of rules. `passed`: header fields that belong on the
    INVITE when the call goes on elsewhere (Session-ID, Identity, Diversion, Privacy). `oddities`: for counters.
    """

    called: tuple[str, ...]
    caller: str
    variables: dict[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    passed: tuple[HeaderPair, ...] = ()
    oddities: tuple[str, ...] = ()


def caller_facts(request: Request, trunk: Trunk | None = None) -> CallerFacts:
    """Request-URI first, then To, then the first hop that forwarded the call.

    `trunk`: the one it came by; without one nothing that is asserted is believed.
    """
    trusted = trunk is not None and trunk.trusted
    reading = _Reading()
    hops = _hops(request, reading)
    called = _called(request, hops, trunk)
    variables = _variables(request, reading)
    identity = _caller(request, trusted=trusted)
    hidden = _is_hidden(request, trusted=trusted)
    caller = "" if hidden or identity is None else _normal(_number_of(identity.uri), trunk)
    _add_forwarding(variables, hops, trunk)
    _add_context(variables, request, reading)
    if identity is not None and not hidden:
        _add_name(variables, identity)
    if trusted:
        _add_verdict(variables, request, identity)
    if reading.cut:
        variables["cut-headers"] = _clean(", ".join(reading.cut))
    return CallerFacts(
        called,
        "" if caller == "anonymous" else caller,
        variables,
        _headers(request, trusted=trusted),
        _passed(request, trusted=trusted, hidden=hidden),
        tuple(reading.oddities),
    )


@dataclass(slots=True)
class _Reading:
    """What was cut or left out on the way."""

    cut: list[str] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------- who was called


def _called(request: Request, hops: list[_Hop], trunk: Trunk | None) -> tuple[str, ...]:
    found = [_uri_number(request, "request"), _uri_number(request, "to")]
    found += [hop.number for hop in hops[:1]]
    candidates: list[str] = []
    for raw in found:
        candidates += [_normal(raw, trunk), raw]
    return tuple(dict.fromkeys(number for number in candidates if number))


def _uri_number(request: Request, where: str) -> str:
    try:
        return _number_of(request.uri if where == "request" else request.to.uri)
    except SipError:
        return ""


def _number_of(uri: Uri) -> str:
    return _clean(uri.number)


def _normal(raw: str, trunk: Trunk | None) -> str:
    """As E.164 by the trunk's spelling of numbers; what is no number stays as it is."""
    if trunk is None:
        return raw
    try:
        number, _ = destinations.bare_number(raw)
        return destinations.e164(number, trunk)
    except NumberError:
        return raw


# ------------------------------------------------------------------------------------------------- who calls


def _caller(request: Request, *, trusted: bool) -> NameAddr | None:
    """PAI, then RPID, from a trusted trunk; else From (RFC 3325 9.1)."""
    if trusted:
        asserted = request.name_addrs("P-Asserted-Identity")
        if asserted:
            return asserted[0]
        for party in request.name_addrs("Remote-Party-ID"):
            if (party.param("party") or "calling").lower() == "calling":
                return party
    try:
        return request.from_
    except SipError:
        return None


def _is_hidden(request: Request, *, trusted: bool) -> bool:
    """RFC 3323 4.2, RFC 3325 9.3; a Remote-Party-ID may ask for privacy of its own."""
    wishes = (request.headers.first("Privacy") or "").lower().replace(";", " ").split()
    if _HIDING.intersection(wishes) and "none" not in wishes:
        return True
    if trusted and not request.name_addrs("P-Asserted-Identity"):
        return any(
            (party.param("privacy") or "").lower() in _RPID_HIDING
            for party in request.name_addrs("Remote-Party-ID")
        )
    return False


def _add_name(variables: dict[str, str], identity: NameAddr) -> None:
    name = _clean(identity.display)
    if name and name != _number_of(identity.uri):
        variables["caller-name"] = name


def _add_verdict(variables: dict[str, str], request: Request, identity: NameAddr | None) -> None:
    """What the carrier found of the caller's signature (STIR; ATIS-1000082 names the parameter)."""
    verdict = None
    for party in (identity, *_from(request)):
        if party is not None and verdict is None:
            verdict = party.uri.param("verstat") or party.param("verstat")
    if verdict:
        variables["verstat"] = _clean(verdict)
    if request.headers.first("Identity"):
        variables["identity"] = "signed"


def _from(request: Request) -> tuple[NameAddr, ...]:
    try:
        return (request.from_,)
    except SipError:
        return ()


# ------------------------------------------------------------------------------------------------- forwarding


@dataclass(frozen=True, slots=True)
class _Hop:
    number: str
    reason: str


def _hops(request: Request, reading: _Reading) -> list[_Hop]:
    """Who forwarded the call: Diversion (RFC 5806), else History-Info (RFC 7044), whose last entry is ourselves."""
    diversions = request.name_addrs("Diversion")
    if diversions:
        return [
            _Hop(_number_of(hop.uri), _clean(hop.param("reason") or ""))
            for hop in _first_ten(diversions, "diversion_cut", reading)
        ]
    history = _first_ten(request.name_addrs("History-Info"), "history_cut", reading)
    return [
        _Hop(_number_of(hop.uri), _history_reason(hop.uri, following.uri))
        for hop, following in pairwise(history)
    ]


def _first_ten(hops: list[NameAddr], oddity: str, reading: _Reading) -> list[NameAddr]:
    if len(hops) > MAX_HOPS:
        reading.oddities.append(oddity)
    return hops[:MAX_HOPS]


def _history_reason(uri: Uri, following: Uri) -> str:
    """The Reason that the URI carries as a header (RFC 7044 5), or the cause of the next one (RFC 4458)."""
    for part in uri.headers.split("&"):
        name, _, value = part.partition("=")
        if name.lower() == "reason":
            return _clean(unescape(value))
    cause = following.param("cause")
    return _clean(f"SIP;cause={cause}") if cause else ""


def _add_forwarding(variables: dict[str, str], hops: list[_Hop], trunk: Trunk | None) -> None:
    if hops and hops[0].number:
        variables["forwarded-from"] = _normal(hops[0].number, trunk)
        if hops[0].reason:
            variables["forwarded-reason"] = hops[0].reason


# ------------------------------------------------------------------------------------------------- variables


def _variables(request: Request, reading: _Reading) -> dict[str, str]:
    """X- headers, names in lower case, values cut; the first of a repeated name counts."""
    found: dict[str, str] = {}
    for name, value in request.headers.items:
        lower = name.lower()
        if not lower.startswith("x-") or lower.startswith(_NOT_FOR_AGENTS) or lower in found:
            continue
        if len(found) >= MAX_VARIABLES:
            reading.oddities.append("variables_cut")
            break
        found[lower] = _kept(lower, value, reading)
    return found


def _kept(name: str, value: str, reading: _Reading) -> str:
    if len(value) > MAX_VALUE:
        reading.cut.append(name)
        reading.oddities.append("value_cut")
    return _clean(value)


def _add_context(variables: dict[str, str], request: Request, reading: _Reading) -> None:
    uui = request.headers.first("User-to-User")
    if uui is not None:
        read = read_user_to_user(uui)
        variables["user-to-user"] = _kept("user-to-user", read.text, reading)
        if read.trouble:
            variables["user-to-user-trouble"] = read.trouble
            reading.oddities.append("user_to_user")
    for name in ("Session-ID", "Call-ID"):
        value = request.headers.first(name)
        if value:
            variables[name.lower()] = _clean(value)


def _headers(request: Request, *, trusted: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers.items:
        lower = name.lower()
        if lower not in found and lower not in _SECRET and (trusted or lower not in _ASSERTED):
            found[lower] = _clean(value)
    return found


def _passed(request: Request, *, trusted: bool, hidden: bool) -> tuple[HeaderPair, ...]:
    """Fields that go on with the call as they came: values were read off one line, so no CR, LF or NUL is in them."""
    names = ["Session-ID", *(["Identity"] if trusted else [])]
    found = [(name, value) for name in names for value in request.headers.all(name)[:1]]
    found += [("Diversion", str(hop)) for hop in request.name_addrs("Diversion")[:MAX_HOPS]]
    kept = [(name, value) for name, value in found if len(value) <= MAX_IDENTITY]
    return (*kept, ("Privacy", "id")) if hidden else tuple(kept)


def _clean(text: str) -> str:
    """Without control characters, and without octets that are no UTF-8: neither the log nor JSON can hold those."""
    clean = text if text.isprintable() else "".join(c for c in text if c.isprintable())
    return clean[:MAX_VALUE]
