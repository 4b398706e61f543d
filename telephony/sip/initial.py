"""Requests of ours that begin outside of a dialog (RFC 3261 8.1.1)."""

from collections.abc import Sequence

from telephony.sip.core import Core
from telephony.sip.flow import Flow
from telephony.sip.headers import parse_name_addr
from telephony.sip.message import HeaderPair, Headers, Request, body_headers
from telephony.sip.uri import parse_uri


def initial_request(
    core: Core,
    method: str,
    target: str,
    flow: Flow,
    *,
    from_: str,
    to: str | None = None,
    call_id: str = "",
    tag: str = "",
    cseq: int = 1,
    extra: Sequence[HeaderPair] = (),
    body: bytes = b"",
) -> Request:
    """`from_` and `to` are URIs or name-addrs without tag; Call-ID and tag are new if they are not given.

    Raises:
        SipSyntaxError: `target`, `from_` or `to` cannot be read.
    """
    parse_uri(target)
    items = [
        core.via(flow, core.ids.branch()),
        ("Max-Forwards", "70"),
        ("From", f"{parse_name_addr(from_)};tag={tag or core.ids.tag()}"),
        ("To", str(parse_name_addr(to or f"<{target}>"))),
        ("Call-ID", call_id or core.ids.call_id()),
        ("CSeq", f"{cseq} {method}"),
        *core.product("User-Agent"),
        *extra,
        *body_headers(body),
    ]
    return Request(Headers(items), body, method, target)
