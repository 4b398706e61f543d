"""What goes out with a transfer: a reference to the call, and the context that came in with it. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from telephony.call.state import CallState, Transfer
from telephony.gateway.trunk_address import is_header
from telephony.gateway.user_to_user import write_user_to_user
from telephony.sip.message import HeaderPair

REFERENCE: Final = "X-Call-Reference"
"""Name of the call in our log: who gets the call can look it up."""
MOST_VARIABLES: Final = 20


def context_headers(state: CallState, transfer: Transfer) -> tuple[HeaderPair, ...]:
    """Headers of the INVITE to a target: the call's reference as X- header and User-to-User, and the caller's own X-."""
    passed = [
        (name, value)
        for name, value in state.variables.items()
        if is_header(name, value) and name.lower() != REFERENCE.lower()
    ]
    own = [(REFERENCE, state.id), ("User-to-User", write_user_to_user(_reference(state)))]
    if transfer.by in ("caller", "target"):
        own = own[:1]  # what a phone of theirs arranges is not told what we know
    return (*own, *passed[:MOST_VARIABLES])


def refer_to(uri: str, state: CallState, transfer: Transfer) -> str:
    """The URI of a Refer-To with the same context as headers of the call to come (RFC 3261 19.1.1)."""
    pairs = [
        f"{quote(name, safe='-')}={quote(value, safe='')}"
        for name, value in context_headers(state, transfer)
    ]
    return f"{uri}?{'&'.join(pairs)}"


def _reference(state: CallState) -> str:
    return f"call={state.id};step={state.conversation.step or ''}"
