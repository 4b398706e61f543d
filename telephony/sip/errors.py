"""Errors of the SIP core, status texts, and the one table between SIP, Q.850 and our own words.

SipError                 sip  retry
├── SipSyntaxError       400  no      text that is not what RFC 3261 25 says; the parser turns it into a verdict
│   ├── UriError
│   └── HeaderError
├── SipWriteError        500  no      a value of ours that may not go on the wire (CR, LF, NUL)
├── TlsError             503  no      a handshake or record failed, or the certificate is for somebody else
└── SipStateError        480  no      a verb the phase of the session does not allow
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal


class SipError(Exception):
    """Root of the tree; `sip_status` is what a peer is told."""

    sip_status: ClassVar[int] = 500
    user_message: ClassVar[str] = "The call could not be handled."
    metric: ClassVar[str] = "sip_error"
    retry: ClassVar[Literal["no", "safe", "later"]] = "no"


class SipSyntaxError(SipError):
    """What was wrong, in words fit for a reason phrase (no octet of the input in it)."""

    sip_status = 400
    user_message = "The other side sent a message that cannot be read."
    metric = "sip_syntax"


class UriError(SipSyntaxError):
    """Text that is no URI."""

    metric = "sip_uri"


class HeaderError(SipSyntaxError):
    """A header value that does not follow its grammar."""

    metric = "sip_header"


class SipWriteError(SipError):
    """A header value of ours holds CR, LF or NUL."""

    metric = "sip_write"


class TlsError(SipError):
    """A TLS connection that is of no use: handshake or record failed, or the certificate is for another name."""

    sip_status = 503
    user_message = "The other side could not be reached securely."
    metric = "sip_tls"


class SipStateError(SipError):
    """The phase of the session does not allow this verb."""

    sip_status = 480
    user_message = "That is not possible at this point of the call."
    metric = "sip_state"


REASON_PHRASES: Final[dict[int, str]] = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued",
    183: "Session Progress", 200: "OK", 202: "Accepted", 300: "Multiple Choices",
    301: "Moved Permanently", 302: "Moved Temporarily", 305: "Use Proxy",
    380: "Alternative Service", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
    413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required",
    422: "Session Interval Too Small", 423: "Interval Too Brief",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
    493: "Undecipherable", 500: "Server Internal Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out",
    505: "Version Not Supported", 513: "Message Too Large", 580: "Precondition Failure",
    600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip


def reason_phrase(status: int) -> str:
    """The registered phrase, or one made of the class of the status."""
    return REASON_PHRASES.get(status) or ("OK" if status < 300 else "Refused")


@dataclass(frozen=True, slots=True)
class CauseRow:
    """One line of the cause map: SIP status, Q.850 cause, and the name our events use."""

    status: int
    q850: int
    name: str


# RFC 3398 7.2 and 8.2.6, in the direction SIP -> Q.850; the first row of a cause is the way back.
CAUSES: Final[tuple[CauseRow, ...]] = (
    CauseRow(404, 1, "unknown_number"),
    CauseRow(604, 1, "unknown_number"),
    CauseRow(200, 16, "normal"),
    CauseRow(487, 16, "cancelled"),
    CauseRow(486, 17, "busy"),
    CauseRow(600, 17, "busy"),
    CauseRow(408, 18, "timeout"),
    CauseRow(480, 19, "no_answer"),
    CauseRow(403, 21, "forbidden"),
    CauseRow(401, 21, "forbidden"),
    CauseRow(407, 21, "forbidden"),
    CauseRow(603, 21, "declined"),
    CauseRow(410, 22, "number_changed"),
    CauseRow(502, 27, "out_of_order"),
    CauseRow(484, 28, "incomplete_number"),
    CauseRow(503, 41, "unavailable"),
    CauseRow(500, 41, "failed"),
    CauseRow(488, 88, "incompatible_media"),
    CauseRow(606, 88, "incompatible_media"),
    CauseRow(415, 88, "incompatible_media"),
    CauseRow(504, 102, "timeout"),
    CauseRow(400, 127, "failed"),
)
_BY_STATUS: Final = {row.status: row for row in reversed(CAUSES)}
_BY_Q850: Final = {row.q850: row for row in reversed(CAUSES)}
_FAILED: Final = CauseRow(500, 127, "failed")


def cause_of_status(status: int) -> CauseRow:
    """The row of a final status; unknown ones fall back to their class (RFC 3261 8.1.3.2)."""
    class_row = _BY_STATUS.get(status // 100 * 100, _FAILED)
    return _BY_STATUS.get(status, class_row)


def cause_of_q850(cause: int) -> CauseRow:
    """The row of a Q.850 cause value."""
    return _BY_Q850.get(cause, _FAILED)


def reason_header(q850: int, text: str = "") -> str:
    """Value of a Reason header (RFC 3326) with a Q.850 cause."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'Q.850;cause={q850};text="{quoted}"' if text else f"Q.850;cause={q850}"
