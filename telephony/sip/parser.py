"""From octets to a verdict: a message, a refusal that can be sent back, or nothing to answer.

What is tolerated and what is not: the table "Bad input" of the SIP design; RFC 4475 for the reasons.
"""

import re
from dataclasses import dataclass
from typing import Final

from telephony.sip.errors import SipSyntaxError
from telephony.sip.headers import TOKEN, parse_number
from telephony.sip.message import METHODS, SPELLED, HeaderPair, Headers, Request, Response


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes above which a message is refused, in octets, headers and lines that go on with one."""

    datagram_bytes: int = 8192
    message_bytes: int = 65536
    header_count: int = 100
    fold_count: int = 500
    line_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class Parsed:
    """A message whose mandatory headers were read."""

    message: Request | Response


@dataclass(frozen=True, slots=True)
class Refuse:
    """A request that gets a final response made of whatever `headers` it had."""

    status: int
    reason: str
    method: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing to answer; `reason` is a short stable name for the counter."""

    reason: str


Verdict = Parsed | Refuse | Drop

_VERSION: Final = re.compile(r"SIP/[0-9]+\.[0-9]+", re.ASCII | re.IGNORECASE)
_STATUS: Final = re.compile(r"[1-6][0-9]{2}", re.ASCII)
_BARE_CONTROL: Final = re.compile(r"\r|(?<!\\)\x00")
_SINGLE: Final = ("from", "to", "call-id", "cseq", "max-forwards")
DEFAULT_LIMITS: Final = Limits()


class _Fault(Exception):  # noqa: N818 - it becomes a verdict, never leaves this module
    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason


def find_head_end(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """(end of the head, start of the body); LF alone is accepted as a line end."""
    crlf = data.find(b"\r\n\r\n", start)
    bare = data.find(b"\n\n", start, crlf if crlf >= 0 else len(data))
    mixed = data.find(b"\n\r\n", start, crlf + 2 if crlf >= 0 else len(data))  # may overlap by two
    if mixed >= 0 and (bare < 0 or mixed < bare):
        return mixed, mixed + 3
    if bare >= 0:
        return bare, bare + 2
    return (crlf, crlf + 4) if crlf >= 0 else None


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS, *, stream: bool = False) -> Verdict:
    """Read one datagram, or one message that `stream.StreamFramer` cut out (`stream=True`)."""
    data = data.lstrip(b"\r\n")
    if not data:
        return Drop("keepalive")
    found = find_head_end(data)
    head_end, body_start = found or (len(data), len(data))
    fault: _Fault | None = None
    most = limits.message_bytes if stream and found else limits.datagram_bytes
    if len(data) > most:
        head_end = min(head_end, limits.datagram_bytes)
        fault = _Fault(513, "Message Too Large")
    elif found is None:
        fault = _Fault(400, "No End of Headers")
    lines, line_fault = _split_lines(data[:head_end])
    items, item_fault = _split_headers(lines[1:], limits)
    # Whatever is wrong first is named, but all that can be read is read: the reply needs it.
    fault = fault or line_fault or item_fault
    headers, start = Headers(items), lines[0]
    if start[:4].upper() == "SIP/":
        return _judge_response(start, headers, data[body_start:], fault)
    return _judge_request(start, headers, data[body_start:], fault, limits)


def _split_lines(head: bytes) -> tuple[list[str], _Fault | None]:
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    count = len(lines) - 1
    if text.count("\n") == count and text.count("\r") == count and "\x00" not in text:
        return lines, None
    text = text.replace("\r\n", "\n")
    clean = _BARE_CONTROL.sub(" ", text)  # what is echoed in the refusal may not break its lines
    fault = None if clean == text else _Fault(400, "Control Character in Headers")
    return clean.split("\n"), fault


def _split_headers(lines: list[str], limits: Limits) -> tuple[list[HeaderPair], _Fault | None]:
    items: list[HeaderPair] = []
    fault: _Fault | None = None
    longest, most, folds = limits.line_bytes, limits.header_count, 0
    for line in lines:
        name, colon, value = line.partition(":")
        if name in SPELLED and colon and len(line) <= longest and len(items) < most:
            items.append((name, value.strip(" \t")))
            continue
        if line[:1] in (" ", "\t"):
            if not items:
                fault = fault or _Fault(400, "Folded Start Line")
                continue
            name, value = items[-1]
            value = f"{value} {line.strip()}".strip(" ")
            folds += 1  # each copies the value, and a blank one does not make it longer
            if len(value) > longest or folds > limits.fold_count:
                return items, fault or _Fault(513, "Message Too Large")
            items[-1] = (name, value)
            continue
        name = name.rstrip(" \t")
        if (name not in SPELLED and not TOKEN.fullmatch(name)) or not colon:
            fault = fault or _Fault(400, "Malformed Header Line")
            continue
        if len(line) > longest or len(items) >= most:
            return items, fault or _Fault(513, "Message Too Large")
        items.append((name, value.strip(" \t")))
    return items, fault


def _judge_request(
    start: str, headers: Headers, body: bytes, fault: _Fault | None, limits: Limits
) -> Verdict:
    method = start.partition(" ")[0]
    try:
        if fault is not None:
            raise fault
        uri_text = _check_request_line(start)
        body = _cut_body(headers, body, limits)
        request = Request(headers, body, method, uri_text)
        _check_request(request)
    except _Fault as wrong:
        fault = wrong
    else:
        return Parsed(request)
    if method == "ACK" or not TOKEN.fullmatch(method):
        return Drop("malformed_ack" if method == "ACK" else "not_sip")
    if headers.first("via") is None:
        return Drop("no_via")
    return Refuse(fault.status, fault.reason, method, headers)


def _check_request_line(start: str) -> str:
    parts = start.split(" ")
    if len(parts) != 3 or not (parts[0] in METHODS or TOKEN.fullmatch(parts[0])):
        raise _Fault(400, "Malformed Request Line")
    if parts[2].upper() != "SIP/2.0":
        if _VERSION.fullmatch(parts[2]):
            raise _Fault(505, "Version Not Supported")
        raise _Fault(400, "Malformed Request Line")
    return parts[1]


def _check_request(request: Request) -> None:
    headers = request.headers
    repeated = headers.repeated(_SINGLE)
    if repeated is not None:
        raise _Fault(400, f"More Than One {repeated.title()}")
    checked = "Request-URI"
    try:
        if request.uri.headers:
            raise _Fault(400, "Headers in Request-URI")
        checked = "Via"
        _ = request.via
        checked = "From"
        _ = request.from_
        checked = "To"
        _ = request.to
        checked = "Call-ID"
        if not request.call_id:
            raise _Fault(400, "Empty Call-ID")
        checked = "CSeq"
        cseq = request.cseq
        checked = "Max-Forwards"
        parse_number(headers.first("max-forwards") or "70", 255)
        checked = "Contact"
        _ = request.contacts
        checked = "Record-Route"
        _ = request.record_routes
    except SipSyntaxError as error:
        raise _Fault(400, f"Bad {checked}: {error}") from error
    if cseq.method != request.method:
        known = request.method in METHODS
        raise _Fault(*(400, "CSeq Method Mismatch") if known else (501, "Not Implemented"))
    date = headers.first("date")
    if date is not None and not date.endswith("GMT"):  # RFC 3261 20.17: SIP knows no other zone
        raise _Fault(400, "Bad Date")


def _cut_body(headers: Headers, body: bytes, limits: Limits) -> bytes:
    found = headers.all("content-length")
    if not found:
        return body
    if len(found) > 1 and len(set(found)) > 1:
        raise _Fault(400, "Differing Content-Length Values")
    try:
        length = parse_number(found[0], 2**31)
    except SipSyntaxError as error:
        raise _Fault(400, "Bad Content-Length") from error
    if length > limits.message_bytes:
        raise _Fault(513, "Message Too Large")
    if length > len(body):
        raise _Fault(400, "Body Shorter Than Content-Length")
    return body[:length]


def _judge_response(start: str, headers: Headers, body: bytes, fault: _Fault | None) -> Verdict:
    version, _, rest = start.partition(" ")
    code, _, reason = rest.partition(" ")
    if fault is not None or version.upper() != "SIP/2.0" or not _STATUS.fullmatch(code):
        return Drop("malformed_response")
    try:
        response = Response(headers, _cut_body(headers, body, DEFAULT_LIMITS), int(code), reason)
        _ = (response.via, response.from_, response.to, response.cseq, response.call_id)
        _ = (response.contacts, response.record_routes)
    except (SipSyntaxError, _Fault):
        return Drop("malformed_response")
    return Parsed(response)
