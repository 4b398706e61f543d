"""Tables of numbers, calls and audit. Written through `telephony.services`, read through `telephony.selectors`."""

from telephony.models.audit import AuditEvent, AuditIsFinalError
from telephony.models.calls import (
    CallEventRow,
    CallRecord,
    CallSummary,
    Outbox,
    RejectedEvent,
    ShipperPosition,
)
from telephony.models.routing import Number, Route, WidgetKey, origin_problem

__all__ = [
    "AuditEvent",
    "AuditIsFinalError",
    "CallEventRow",
    "CallRecord",
    "CallSummary",
    "Number",
    "Outbox",
    "RejectedEvent",
    "Route",
    "ShipperPosition",
    "WidgetKey",
    "origin_problem",
]
