"""Typed header values: name-addr, Via, CSeq, media types and numbers. Pure functions, one pass each.

Each `parse_*` takes an unfolded value and raises `HeaderError` (or its sibling `UriError`).
"""

import re
from dataclasses import dataclass, field
from typing import Final

from telephony.sip.errors import HeaderError
from telephony.sip.flow import Flow
from telephony.sip.uri import (
    MOST_PARAMS,
    Params,
    Uri,
    parse_port,
    parse_uri,
    split_host_port,
    write_params,
)

MOST_ELEMENTS: Final = 64
"""As `MOST_PARAMS`: more of one header is no message of a peer."""

TOKEN: Final = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+", re.ASCII)
_QUOTED: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\?(.[^\\]*+)", re.DOTALL)  # each piece without its backslash
_ELEMENT: Final = re.compile(r'(?:[^,"<]++|"(?:[^"\\]++|\\.)*+"|<[^>]*+>)*+', re.DOTALL)
_QUOTED_PARAM: Final = re.compile(r'(?:[^;"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
# Wider than a token: received=2001:db8::1 and empty values are common, and harmless.
_PARAM_VALUE: Final = re.compile(r'[^\s",;<>]*|"(?:[^"\\]|\\.)*"', re.DOTALL)
# Usual parameters and Via elements in one linear match each; the rest is taken apart piece by piece.
_USUAL_PARAMS: Final = re.compile(
    r"""(?:;[A-Za-z0-9\-.!%*_+`'~]++(?:=[^\s",;<>]*+)?+)*+""", re.DOTALL
)
_USUAL_ADDRESS: Final = re.compile(r"<([^<>]++)>(;.*+)?", re.DOTALL)
_USUAL_VIA: Final = re.compile(
    r"SIP/2\.0/([A-Z]++) ([A-Za-z0-9._\-]++)(?::([0-9]++))?+(;.*)?", re.DOTALL
)
_CSEQ: Final = re.compile(r"([0-9]{1,10})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_SLASH: Final = re.compile(r"[ \t]*/[ \t]*")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A From, To, Contact or Route value; `display` is unquoted and without control characters."""

    uri: Uri
    display: str = field(default="", repr=False)
    params: Params = field(default=(), repr=False)

    def param(self, name: str) -> str | None:
        return find_param(self.params, name)

    @property
    def tag(self) -> str:
        return find_param(self.params, "tag") or ""

    def __str__(self) -> str:
        shown = self.display.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{shown}" ' if shown else ""
        return f"{name}<{self.uri}>{write_params(self.params)}"


@dataclass(frozen=True, slots=True)
class Via:
    """One hop: `transport` upper case, `host` and `port` its sent-by."""

    transport: str
    host: str
    port: int | None
    params: Params = ()

    @property
    def branch(self) -> str:
        return find_param(self.params, "branch") or ""

    @property
    def sent_by(self) -> str:
        return self.host.lower() if self.port is None else f"{self.host.lower()}:{self.port}"

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{write_params(self.params)}"

    def stamped(self, flow: Flow) -> "Via":
        """With `received` and `rport` of the flow it came by (RFC 3261 18.2.1, RFC 3581 4)."""
        address, port = flow.remote
        asked = find_param(self.params, "rport") is not None
        if not asked and self.host.strip("[]") == address:
            return self
        params = [p for p in self.params if p[0].lower() not in ("received", "rport")]
        params.append(("received", address))
        if asked:
            params.append(("rport", str(port)))
        return Via(self.transport, self.host, self.port, tuple(params))


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number and method."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def find_param(params: Params, name: str) -> str | None:
    """First value of a parameter by lower-case name; "" for one without value, None if absent."""
    for key, value in params:
        if key == name or key.lower() == name:
            return value or ""
    return None


def split_commas(value: str, most: int = MOST_ELEMENTS) -> list[str]:
    """The elements of a comma-separated header; commas in quotes and in <> do not count.

    What comes after `most` of them is not looked at: 8 KiB may hold a thousand.
    """
    if "," not in value:
        return [value]
    parts: list[str] = []
    start = 0
    while len(parts) < most:
        end = _end_of_element(value, start)
        parts.append(value[start:end].strip())
        if end == len(value):
            break
        start = end + 1
    return parts


def cut_first(value: str) -> tuple[str, str]:
    """The first element of a comma-separated header, and the rest of the text with its comma."""
    if "," not in value:
        return value, ""
    end = _end_of_element(value, 0)
    return value[:end].strip(), value[end:]


def _end_of_element(value: str, start: int) -> int:
    match = _ELEMENT.match(value, start)
    end = start if match is None else match.end()
    if end < len(value) and value[end] != ",":
        raise HeaderError("unclosed quote" if value[end] == '"' else "unclosed <")
    return end


def _end_of_quoted(text: str, start: int) -> int:
    match = _QUOTED.match(text, start)
    if match is None:
        raise HeaderError("unclosed quote")
    return match.end()


def parse_params(text: str) -> Params:
    """`;a=b;c;d="e;f"`, surrounding space allowed; an empty value (`;x=`) is tolerated, a nameless one is not."""
    text = text.strip(" \t")
    if not text:
        return ()
    if text.count(";") > MOST_PARAMS:
        raise HeaderError("too many parameters")
    if _USUAL_PARAMS.fullmatch(text):
        pairs = [part.partition("=") for part in text[1:].split(";")]
        return tuple([(name, value if equals else None) for name, equals, value in pairs])
    if text[0] != ";":
        raise HeaderError("text after the value")
    parts = text[1:].split(";") if '"' not in text else _split_quoted(text[1:])
    params: list[tuple[str, str | None]] = []
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip(" \t")
        if not TOKEN.fullmatch(name):
            raise HeaderError("bad parameter name")
        value = value.strip(" \t")
        if not _PARAM_VALUE.fullmatch(value):
            raise HeaderError("bad parameter value")
        params.append((name, value if equals else None))
    return tuple(params)


def _split_quoted(text: str) -> list[str]:
    parts: list[str] = []
    start = 0
    while True:
        match = _QUOTED_PARAM.match(text, start)
        end = start if match is None else match.end()
        parts.append(text[start:end])
        if end == len(text):
            return parts
        if text[end] == '"':
            raise HeaderError("unclosed quote")
        start = end + 1


def parse_name_addr(value: str) -> NameAddr:
    """A single name-addr or addr-spec with header parameters (RFC 3261 20.10, 20.20, 20.39)."""
    usual = _USUAL_ADDRESS.fullmatch(value)
    if usual is not None:
        params = usual[2]
        return NameAddr(parse_uri(usual[1]), "", parse_params(params) if params else ())
    display = ""
    if value.startswith('"'):
        end = _end_of_quoted(value, 0)
        display, value = _unquote(value[:end]), value[end:].lstrip(" \t")
        if not value.startswith("<"):
            raise HeaderError("no <URI> after the display name")
    opening = value.find("<")
    if opening < 0:
        return _parse_addr_spec(value)
    if opening:
        display = value[:opening].strip(" \t")
        if "," in display or '"' in display or ">" in display:
            raise HeaderError("display name needs quotes")
        display = _printable(display)
    closing = value.find(">", opening)
    if closing < 0:
        raise HeaderError("unclosed <")
    return NameAddr(
        parse_uri(value[opening + 1 : closing]), display, parse_params(value[closing + 1 :])
    )


def _parse_addr_spec(value: str) -> NameAddr:
    # RFC 3261 20.10: without <>, parameters belong to the header, and neither "," nor "?" may occur.
    before, at, after = value.partition("@")
    address, semicolon, rest = (after if at else value).partition(";")
    if "?" in address or "," in address:
        raise HeaderError("URI needs < and >")
    user = before + at if at else ""
    uri = parse_uri((user + address).rstrip(" \t"))
    return NameAddr(uri, "", parse_params(semicolon + rest))


def parse_name_addrs(value: str) -> list[NameAddr]:
    """A comma-separated list such as Contact, Route, P-Asserted-Identity, Diversion or History-Info."""
    return [parse_name_addr(part) for part in split_commas(value)]


def _unquote(text: str) -> str:
    inside = text[1:-1]
    return _printable("".join(_ESCAPED.findall(inside)) if "\\" in inside else inside)


def _printable(text: str) -> str:
    return _CONTROLS.sub("\ufffd", text)


def parse_via(value: str) -> Via:
    """One Via element: `SIP/2.0/UDP host:port;branch=...`; white space around slashes and colon is legal."""
    usual = _USUAL_VIA.fullmatch(value)
    if usual is not None:
        transport, host, digits, params = usual.groups()
        return Via(
            transport,
            host,
            None if digits is None else parse_port(digits),
            () if params is None else parse_params(params),
        )
    hop, semicolon, params = value.partition(";")
    words = hop.split()
    if len(words) != 2 or not words[0].startswith("SIP/2.0/"):
        words = _SLASH.sub("/", hop).split(None, 1)
        if len(words) != 2:
            raise HeaderError("bad Via")
        words[1] = "".join(words[1].split()) if ":" in words[1] else words[1].strip()
    name, version, transport = [*words[0].split("/", 2), "", ""][:3]
    if name.upper() != "SIP" or version != "2.0" or not TOKEN.fullmatch(transport):
        raise HeaderError("bad protocol in Via")
    host, port = split_host_port(words[1])
    return Via(transport.upper(), host, port, parse_params(semicolon + params))


def parse_cseq(value: str) -> CSeq:
    """Number below 2**31 (RFC 3261 8.1.1.5) and method."""
    match = _CSEQ.fullmatch(value)
    number = -1 if match is None else int(match[1])
    if match is None or number >= 2**31:
        raise HeaderError("bad CSeq")
    return CSeq(number, match[2])


def parse_number(value: str, highest: int) -> int:
    """ASCII digits, at most `highest`."""
    number = int(value) if _NUMBER.fullmatch(value) else highest + 1
    if number > highest:
        raise HeaderError("bad number")
    return number


def media_type(value: str) -> str:
    """`type/subtype` in lower case, without parameters."""
    return value.partition(";")[0].strip().lower().replace(" ", "")
