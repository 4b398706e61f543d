"""SIP messages as values: start line, raw header list, body; typed headers are read lazily and kept.

Text is UTF-8 with surrogate escapes, so that each octet of a foreign header leaves as it came.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar, overload

from telephony.sip import headers as values
from telephony.sip.errors import HeaderError, SipSyntaxError, SipWriteError, reason_phrase
from telephony.sip.flow import Flow
from telephony.sip.headers import CSeq, NameAddr, Via
from telephony.sip.uri import Uri, parse_uri

HeaderPair = tuple[str, str]
_T = TypeVar("_T")

METHODS: Final = frozenset({
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY",
    "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE",
})  # fmt: skip

_COMPACT: Final = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length",
    "c": "content-type", "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via",
    "o": "event", "r": "refer-to", "b": "referred-by", "x": "session-expires", "u": "allow-events",
    "a": "accept-contact", "j": "reject-contact", "d": "request-disposition", "y": "identity",
}  # fmt: skip
# RFC 3261 25.1 allows NUL as a quoted-pair; echoed display names may hold one.
_UNSAFE: Final = re.compile(r"[\r\n]|(?<!\\)\x00")


def canonical_name(name: str) -> str:
    """Lower case, compact forms written out (RFC 3261 7.3.3)."""
    lower = name.lower()
    return _COMPACT.get(lower, lower) if len(lower) == 1 else lower


# As nearly every peer spells them: known to be tokens, and what they mean, without a second look.
SPELLED: Final = {
    name: canonical_name(name)
    for name in (
        "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Content-Type", "Content-Length",
        "Record-Route", "Route", "User-Agent", "Server", "Allow", "Supported", "Require", "Accept", "Expires",
        "Session-Expires", "Min-SE", "P-Asserted-Identity", "Privacy", "Date", "Reason", "Authorization", "Event",
        "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Subscription-State", "RSeq", "RAck",
        "Allow-Events", "Content-Disposition", "Retry-After", "v", "f", "t", "i", "m", "l", "c", "k", "x",
    )
}  # fmt: skip


class Headers:
    """An ordered, unchanging list of (name, value) as received; look-up ignores case and compact forms."""

    __slots__ = ("_index", "items")

    def __init__(self, items: Iterable[HeaderPair] = ()) -> None:
        self.items: tuple[HeaderPair, ...] = tuple(items)
        self._index: dict[str, list[str]] | None = None  # of no use to a message that we only send

    def first(self, name: str) -> str | None:
        found = (self._index or self._sort()).get(name.lower())
        return found[0] if found else None

    def all(self, name: str) -> list[str]:
        return (self._index or self._sort()).get(name.lower(), [])

    def repeated(self, names: Iterable[str]) -> str | None:
        """The first of these (in lower case) that occurs more than once."""
        index = self._index or self._sort()
        for name in names:
            if name in index and len(index[name]) > 1:
                return name
        return None

    def _sort(self) -> dict[str, list[str]]:
        index: dict[str, list[str]] = {}
        for name, value in self.items:
            key = SPELLED.get(name) or canonical_name(name)
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        self._index = index
        return index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"Headers({len(self.items)} values)"  # values are personal data


class _Once(Generic[_T]):
    """`functools.cached_property` without its lock, which costs as much as a short header; one thread reads."""

    def __init__(self, read: Callable[[Any], _T]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, message: None, owner: type) -> "_Once[_T]": ...
    @overload
    def __get__(self, message: "Message", owner: type) -> _T: ...
    def __get__(self, message: "Message | None", owner: type) -> "_Once[_T] | _T":
        if message is None:
            return self
        value = message.__dict__[self._name] = self._read(message)
        return value


@dataclass(frozen=True)
class Message:
    """What requests and responses share. Accessors raise `HeaderError` on a value the parser did not check."""

    headers: Headers
    body: bytes = field(default=b"", repr=False)

    @_Once
    def via(self) -> Via:
        return values.parse_via(values.split_commas(self._required("via"))[0])

    @_Once
    def from_(self) -> NameAddr:
        return values.parse_name_addr(self._required("from"))

    @_Once
    def to(self) -> NameAddr:
        return values.parse_name_addr(self._required("to"))

    @_Once
    def call_id(self) -> str:
        return self._required("call-id")

    @_Once
    def cseq(self) -> CSeq:
        return values.parse_cseq(self._required("cseq"))

    @_Once
    def contacts(self) -> tuple[NameAddr, ...]:
        """Contact addresses, the first `MOST_ELEMENTS`; empty for `Contact: *`."""
        if self.headers.all("contact") == ["*"]:
            return ()
        return tuple([values.parse_name_addr(part) for part in self.elements("contact")])

    @_Once
    def record_routes(self) -> tuple[str, ...]:
        """Record-Route elements, topmost first."""
        return self.hops("record-route")

    def hops(self, name: str) -> tuple[str, ...]:
        """All elements of a header that says the way, as text; each is known to be a name-addr. Raises: SipSyntaxError."""
        hops = self.elements(name, values.MOST_ELEMENTS + 1)
        for hop in hops:
            values.parse_name_addr(hop)
        if len(hops) > values.MOST_ELEMENTS:  # without the rest nothing arrives
            raise HeaderError("too many elements")
        return tuple(hops)

    def elements(self, name: str, most: int = values.MOST_ELEMENTS) -> list[str]:
        """The first elements of a comma-separated header. Raises: HeaderError, for a quote or < without its end."""
        found: list[str] = []
        for value in self.headers.all(name):
            if len(found) < most:
                found += values.split_commas(value, most - len(found))
        return found

    def tokens(self, name: str) -> list[str]:
        """Elements of a comma-separated token header such as Require or Accept."""
        found = self.headers.all(name)
        if not found:
            return []
        return [word for value in found for part in value.split(",") if (word := part.strip())]

    def name_addrs(self, name: str) -> list[NameAddr]:
        """Elements of an optional name-addr header (P-Asserted-Identity, Diversion, ...); bad values are left out."""
        found: list[NameAddr] = []
        for value in self.headers.all(name):
            try:
                found.extend(values.parse_name_addrs(value)[: values.MOST_ELEMENTS - len(found)])
            except SipSyntaxError:
                continue
        return found

    def _required(self, name: str) -> str:
        value = self.headers.first(name)
        if value is None:
            raise HeaderError(f"no {name.title()}")
        return value


@dataclass(frozen=True)
class Request(Message):
    """A request; `uri_text` is the Request-URI as received."""

    method: str = ""
    uri_text: str = field(default="", repr=False)

    @_Once
    def uri(self) -> Uri:
        return parse_uri(self.uri_text)

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri_text} SIP/2.0"


@dataclass(frozen=True)
class Response(Message):
    """A response."""

    status: int = 0
    reason: str = ""

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"


def write(message: Request | Response) -> bytes:
    """Octets for the wire.

    Raises:
        SipWriteError: CR, LF or NUL in the start line or in a header.
    """
    lines = [f"{name}: {value}" for name, value in message.headers.items]
    lines.insert(0, message.start_line)
    head = "\r\n".join(lines)
    ends = len(lines) - 1
    if head.count("\r") != ends or head.count("\n") != ends or "\x00" in head:
        _require_safe(lines)
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + message.body


def _require_safe(lines: list[str]) -> None:
    if any(_UNSAFE.search(line) for line in lines):
        raise SipWriteError("CR, LF or NUL in a header value")


def make_response(
    request: Request,
    status: int,
    flow: Flow,
    *,
    to_tag: str = "",
    reason: str = "",
    extra: Iterable[HeaderPair] = (),
    content_type: str = "application/sdp",
    body: bytes = b"",
) -> Response:
    """A response with the headers RFC 3261 8.2.6.2 copies from the request, its Via stamped for `flow`."""
    received = request.headers
    top, *others = received.all("via")
    stamped = stamp_via(top, flow) if "," in top else str(request.via.stamped(flow))
    to_tag = "" if status == 100 or request.to.tag else to_tag
    items = _copied(received, [stamped, *others], to_tag)
    if request.method == "INVITE" and 100 < status < 300:
        items += [("Record-Route", value) for value in received.all("record-route")]
    items += extra
    items += body_headers(body, content_type)
    return Response(Headers(items), body, status, reason or reason_phrase(status))


def echoed_headers(received: Headers, flow: Flow, to_tag: str) -> list[HeaderPair]:
    """Via, From, To, Call-ID and CSeq, as far as they are there; malformed ones are echoed as they came."""
    vias = received.all("via")
    vias = [stamp_via(value, flow) for value in vias[:1]] + vias[1:]
    return _copied(received, vias, "" if _has_tag(received.first("to") or "") else to_tag)


def _copied(received: Headers, vias: list[str], to_tag: str) -> list[HeaderPair]:
    items = [("Via", value) for value in vias]
    for name in ("From", "To", "Call-ID", "CSeq"):
        text = received.first(name)
        if text is not None:
            items.append((name, f"{text};tag={to_tag}" if to_tag and name == "To" else text))
    return items


def _has_tag(value: str) -> bool:
    try:
        return bool(values.parse_name_addr(value).tag)
    except SipSyntaxError:
        return True  # what cannot be read is not added to


def stamp_via(value: str, flow: Flow) -> str:
    """The header value with `received` and `rport` in its first element, unchanged if it cannot be read."""
    try:
        first, rest = values.cut_first(value)
        return str(values.parse_via(first).stamped(flow)) + rest
    except SipSyntaxError:
        return value


def body_headers(body: bytes, content_type: str = "application/sdp") -> list[HeaderPair]:
    """Content-Type, if there is a body, and Content-Length."""
    length = ("Content-Length", str(len(body)))
    return [("Content-Type", content_type), length] if body else [length]
