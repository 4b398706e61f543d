"""sip, sips and tel URIs (RFC 3261 19.1, RFC 3966); every other scheme is kept as opaque text.

Escapes stay as received and are undone only to compare. One pass over the text, no nested repeats.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from telephony.sip.errors import UriError

Params = tuple[tuple[str, str | None], ...]

MOST_PARAMS: Final = 64
"""More, of a URI or of a header, is no message of a peer: what is read of a hostile one has to end."""
_FORBIDDEN: Final = re.compile(r'[\x00-\x20\x7f<>"]')
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._\-]+", re.ASCII)  # underscores: illegal, and common in labs
_IPV6: Final = re.compile(r"\[[0-9A-Fa-f:.%]+\]", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_TEL: Final = re.compile(r"\+?[0-9A-Fa-f*#().\-]+", re.ASCII)
# What nearly every SIP URI looks like, in one linear match; whatever else there is, is taken apart below.
_USUAL: Final = re.compile(
    r'(sips?):(?:([^\x00-\x20\x7f<>"@]++)@)?([A-Za-z0-9._\-]++)(?::([0-9]{1,5}+))?(;[^\x00-\x20\x7f<>"@?]*+)?'
)
_ESCAPES: Final = re.compile(r"(?:%(?!00)[0-9A-Fa-f]{2})+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Uri:
    """`user` holds the whole userinfo (a tel number for tel), `opaque` the rest of an unknown scheme.

    Its `repr` is fit for a log: it shows nobody.
    """

    scheme: str
    user: str | None = field(repr=False)
    host: str
    port: int | None = None
    params: Params = field(default=(), repr=False)
    headers: str = field(default="", repr=False)
    opaque: str = field(default="", repr=False)

    def __str__(self) -> str:
        if self.opaque or self.scheme not in ("sip", "sips", "tel"):
            return f"{self.scheme}:{self.opaque}"
        if self.scheme == "tel":
            return f"tel:{self.user}{write_params(self.params)}"
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{self.host}{port}{write_params(self.params)}{headers}"

    def param(self, name: str) -> str | None:
        """Value of a parameter, "" for one without value, None if absent."""
        for key, value in self.params:
            if key.lower() == name:
                return value or ""
        return None

    @property
    def number(self) -> str:
        """User part without password, escapes undone: what a dial plan looks up."""
        return unescape((self.user or "").partition(":")[0])


def write_params(params: Params) -> str:
    """`;name=value` for each pair, `;name` where the value is None."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in params)


def unescape(text: str) -> str:
    """Undo %HH, which stands for octets of UTF-8, except %00, which would end strings in other programs."""
    if "%" not in text:
        return text
    return _ESCAPES.sub(
        lambda m: bytes.fromhex(m[0].replace("%", "")).decode("utf-8", "surrogateescape"), text
    )


def parse_uri(text: str) -> Uri:
    """Read a URI as it stands in a request line or between < and >.

    Raises:
        UriError: white space or quotes, no scheme, a bad host or port.
    """
    usual = _USUAL.fullmatch(text)
    if usual is not None:
        scheme, user, host, digits, params = usual.groups()
        return Uri(
            scheme,
            user,
            host,
            None if digits is None else parse_port(digits),
            () if params is None else _parse_params(params[1:].split(";")),
        )
    if _FORBIDDEN.search(text):
        raise UriError("forbidden character in URI")
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise UriError("URI without scheme")
    lower = scheme.lower()
    if lower in ("sip", "sips"):
        return _parse_sip(lower, rest)
    if lower == "tel":
        number, *params = rest.split(";")
        if not _TEL.fullmatch(number):
            raise UriError("bad number in tel URI")
        return Uri("tel", number, "", params=_parse_params(params))
    if not rest:
        raise UriError("empty URI")
    return Uri(lower, None, "", opaque=rest)


def _parse_sip(scheme: str, rest: str) -> Uri:
    before, at, after = rest.partition("@")
    user, tail = (before, after) if at else (None, rest)
    if user == "" or "@" in tail:
        raise UriError("bad user part in URI")
    tail, _, headers = tail.partition("?")
    hostport, *params = tail.split(";")
    host, port = split_host_port(hostport)
    return Uri(scheme, user, host, port, _parse_params(params) if params else (), headers)


def _parse_params(parts: list[str]) -> Params:
    if len(parts) > MOST_PARAMS:
        raise UriError("too many parameters in URI")
    params: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not name:
            raise UriError("empty parameter in URI")
        params.append((name, value if equals else None))
    return tuple(params)


def split_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]` or `[v6]:port`; brackets stay part of the host.

    Raises:
        UriError: an empty or malformed host, or a port outside 1..65535.
    """
    if text.startswith("["):
        host, bracket, after = text.partition("]")
        host += bracket
        if not _IPV6.fullmatch(host) or (after and not after.startswith(":")):
            raise UriError("bad IPv6 reference")
        colon, port = after[:1], after[1:]
    else:
        host, colon, port = text.partition(":")
        if not _HOST.fullmatch(host):
            raise UriError("bad host")
    if not colon:
        return host, None
    return host, parse_port(port)


def parse_port(text: str) -> int:
    """1 to 65535. Raises: UriError."""
    if not _PORT.fullmatch(text) or not 0 < int(text) < 65536:
        raise UriError("bad port")
    return int(text)


def ip_literal(host: str) -> str | None:
    """The address if `host` is an IPv4 or (bracketed) IPv6 literal, else None."""
    text = host[1:-1] if host.startswith("[") else host
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def equivalent(one: Uri, other: Uri) -> bool:
    """Comparison of RFC 3261 19.1.4; opaque URIs are compared as text."""
    if one.scheme != other.scheme or one.opaque != other.opaque:
        return False
    if (one.host.lower(), one.port) != (other.host.lower(), other.port):
        return False
    if _comparable(one.user) != _comparable(other.user):
        return False
    headers = [
        sorted(_comparable(part) or "" for part in u.headers.split("&")) for u in (one, other)
    ]
    return headers[0] == headers[1] and _params_match(one, other)


# These make two URIs different even when only one of them has the parameter.
_SIGNIFICANT: Final = frozenset({"user", "ttl", "method", "maddr", "transport"})


def _params_match(one: Uri, other: Uri) -> bool:
    mine, theirs = (
        {name.lower(): unescape(value or "").lower() for name, value in uri.params}
        for uri in (one, other)
    )
    for name in mine.keys() | theirs.keys():
        if name in mine and name in theirs:
            if mine[name] != theirs[name]:
                return False
        elif name in _SIGNIFICANT:
            return False
    return True


def _comparable(text: str | None) -> str | None:
    return None if text is None else unescape(text)
