"""Typed values of optional headers: session timer, reliable responses, transfer.

Each `parse_*` takes an unfolded value and raises `HeaderError` (or its sibling `UriError`); `read_optional` turns
that into "absent, and counted", as a bad optional header must not cost a call.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from telephony.sip.errors import HeaderError, SipSyntaxError
from telephony.sip.headers import (
    TOKEN,
    NameAddr,
    find_param,
    parse_name_addr,
    parse_number,
    parse_params,
)
from telephony.sip.message import Message
from telephony.sip.session import Replaces
from telephony.sip.uri import unescape

_T = TypeVar("_T")
_HIGHEST: Final = 2**31 - 1
_RACK: Final = re.compile(r"([0-9]{1,10})[ \t]+([0-9]{1,10})[ \t]+([^\s]+)", re.ASCII)
# What a URI header value may hold unescaped (RFC 3261 25.1, hvalue).
_PLAIN: Final = re.compile(r"[^A-Za-z0-9\[\]/?:+$\-_.!~*'()]", re.ASCII)


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """RFC 4028 4. `refresher` "": the other side may choose."""

    seconds: int
    refresher: Literal["", "uac", "uas"] = ""

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


@dataclass(frozen=True, slots=True)
class RAck:
    """Which provisional response a PRACK is for (RFC 3262 7.2)."""

    rseq: int
    cseq: int
    method: str

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """RFC 6665 8.2.3. `state` and `reason` in lower case."""

    state: str
    reason: str = ""
    expires: int | None = None


def read_optional(
    message: Message, name: str, parse: Callable[[str], _T], counters: Counter[str]
) -> _T | None:
    """The first value of a header; one that cannot be read counts as absent, and as `bad_<name>`."""
    text = message.headers.first(name)
    if text is None:
        return None
    try:
        return parse(text)
    except SipSyntaxError:
        counters[f"bad_{name}"] += 1
        return None


def parse_session_expires(text: str) -> SessionExpires:
    """RFC 4028 4; a refresher that is neither side counts as none."""
    seconds, params = _number_with_params(text)
    refresher = (find_param(params, "refresher") or "").lower()
    if refresher == "uac":
        return SessionExpires(seconds, "uac")
    return SessionExpires(seconds, "uas" if refresher == "uas" else "")


def parse_min_se(text: str) -> int:
    """RFC 4028 5, seconds."""
    return _number_with_params(text)[0]


def parse_expires(text: str) -> int:
    """An Expires, Min-Expires or Retry-After; more than 2**31 is that much (RFC 3261 20.19)."""
    digits = text.partition(";")[0].partition("(")[0].strip(" \t")
    if not digits.isascii() or not digits.isdigit():
        raise HeaderError("bad number of seconds")
    return int(digits) if len(digits) <= 10 else _HIGHEST


def parse_rseq(text: str) -> int:
    """1 to 2**31 - 1 (RFC 3262 3)."""
    number = parse_number(text, _HIGHEST)
    if not number:
        raise HeaderError("RSeq of zero")
    return number


def parse_rack(text: str) -> RAck:
    """RFC 3262 7.2."""
    match = _RACK.fullmatch(text)
    if match is None or not TOKEN.fullmatch(match[3]):
        raise HeaderError("bad RAck")
    return RAck(parse_number(match[1], _HIGHEST), parse_number(match[2], _HIGHEST), match[3])


def parse_replaces(text: str) -> Replaces:
    """Exactly one dialog (RFC 3891 6.1)."""
    call_id, semicolon, rest = text.partition(";")
    call_id = call_id.strip(" \t")
    params = parse_params(semicolon + rest)
    to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
    if not call_id or any(c in call_id for c in ', \t"<>') or not to_tag or not from_tag:
        raise HeaderError("bad Replaces")
    return Replaces(call_id, to_tag, from_tag, find_param(params, "early-only") is not None)


def write_replaces(replaces: Replaces) -> str:
    """The value of a Replaces header; `escape_uri_header` makes it fit for a Refer-To."""
    early = ";early-only" if replaces.early_only else ""
    return f"{replaces.call_id};to-tag={replaces.to_tag};from-tag={replaces.from_tag}{early}"


def parse_subscription_state(text: str) -> SubscriptionState:
    """RFC 6665 8.2.3."""
    state, semicolon, rest = text.partition(";")
    params = parse_params(semicolon + rest)
    expires = find_param(params, "expires")
    return SubscriptionState(
        state.strip(" \t").lower(),
        (find_param(params, "reason") or "").lower(),
        None if expires is None else parse_expires(expires),
    )


def parse_refer_to(text: str) -> NameAddr:
    """RFC 3515 2.1. A URI with headers but without <> is common, and means what it says."""
    if "<" not in text and "?" in text:
        text = f"<{text}>"
    return parse_name_addr(text)


def uri_headers(text: str) -> list[tuple[str, str]]:
    """The headers of a URI (`?a=b&c=d`), escapes undone; such that would break a line are left out."""
    found: list[tuple[str, str]] = []
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        name, value = unescape(name), unescape(value)
        if equals and TOKEN.fullmatch(name) and not any(c in value for c in "\r\n\x00"):
            found.append((name, value))
    return found


def escape_uri_header(text: str) -> str:
    """A header value fit to stand behind the `?` of a URI."""
    return _PLAIN.sub(
        lambda m: "".join(f"%{o:02X}" for o in m[0].encode("utf-8", "surrogateescape")), text
    )


def _number_with_params(text: str) -> tuple[int, tuple[tuple[str, str | None], ...]]:
    digits, semicolon, rest = text.partition(";")
    return parse_number(digits.strip(" \t"), _HIGHEST), parse_params(semicolon + rest)
