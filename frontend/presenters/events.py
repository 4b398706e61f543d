"""Events of one call for the person who looks at it; what they may not see is named and withheld."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from frontend.access import PII, TRANSCRIPT, Viewer
from frontend.presenters import masking

SPOKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "SegmentHeard": ("text",),
    "UtteranceStarted": ("text",),
    "UtteranceEnded": ("heard",),
    "FloorReturned": ("brief",),
    "TransferRequested": ("brief",),
    "SlotFilled": ("value",),
    "RuleRefused": ("detail",),
    "ToolRequested": ("arguments",),
    "ToolFinished": ("result",),
}
"""Fields that hold what was said, by event kind."""

HIDDEN_WHOLE: Final = frozenset({"DigitReceived"})
"""Kinds that are nothing but personal data."""


def present_event(body: Mapping[str, Any], viewer: Viewer) -> dict[str, Any]:
    """One event as the page gets it: `seq kind at_us actor` and the event's own fields.

    Without the transcript permission the words are left out and `withheld` is set; without the one for personal data
    numbers are masked.
    """
    kind = str(body["kind"])
    shown: dict[str, Any] = {"seq": body["seq"], "kind": kind, "at_us": body.get("at_us")}
    if kind in HIDDEN_WHOLE and not viewer.may(PII):
        return {**shown, "kind": "withheld"}
    shown["actor"] = body.get("actor") or ""
    fields = dict(body.get("event") or {})
    if kind == "CallStarted":
        fields = _present_start(fields, viewer)
    if kind == "TransferRequested":
        to = masking.party(str(fields.get("destination") or ""), "sip")
        fields["destination"] = masking.destination(to, unmasked=viewer.may(PII))
        if name := fields.get("name"):
            fields["name"] = masking.destination(str(name), unmasked=viewer.may(PII))
    for name in SPOKEN.get(kind, ()):
        if not viewer.may(TRANSCRIPT):
            fields.pop(name, None)
            shown["withheld"] = True
        elif not viewer.may(PII):
            fields[name] = _mask(fields.get(name))
    return {**shown, "event": fields}


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return masking.mask_numbers(value)
    if isinstance(value, Mapping):
        return {name: _mask(item) for name, item in value.items()}
    return value


def _present_start(fields: dict[str, Any], viewer: Viewer) -> dict[str, Any]:
    """The person's number is masked, whoever of us called the other."""
    person, own = masking.parties(fields, unmasked=viewer.may(PII))
    outbound = fields.get("direction") == "outbound"
    fields |= {"called": person, "caller": own} if outbound else {"caller": person, "called": own}
    if not viewer.may(PII):
        fields.pop("variables", None)
    return fields


def present_partial(body: Mapping[str, Any], viewer: Viewer) -> dict[str, Any] | None:
    """Growing words of somebody in the open call."""
    if not viewer.may(TRANSCRIPT):
        return None
    words = str(body.get("text") or "")
    return {
        "type": "partial",
        "call": body["call"],
        "leg": body.get("leg") or "",
        "role": body.get("role") or "",
        "turn": body.get("turn"),
        "text": words if viewer.may(PII) else masking.mask_numbers(words),
    }
