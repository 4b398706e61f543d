"""Tables of numbers, trunks, calls and audit. Written through `telephony.services`, read through `telephony.selectors`."""

from telephony.models.api import ApiToken, PlacedCall
from telephony.models.audit import AuditEvent, AuditIsFinalError
from telephony.models.calls import (
    CallEventRow,
    CallRecord,
    CallSummary,
    Outbox,
    RejectedEvent,
    ShipperPosition,
)
from telephony.models.outbound import Ban, CallingWindow, DialRight, OutboundPolicy
from telephony.models.quality import TrunkCall
from telephony.models.routing import Number, Route, RouteTarget, WidgetKey, origin_problem
from telephony.models.trunks import (
    CallerId,
    Destination,
    Extension,
    Peer,
    Queue,
    QueueMember,
    Trunk,
)

__all__ = [
    "ApiToken",
    "AuditEvent",
    "AuditIsFinalError",
    "Ban",
    "CallEventRow",
    "CallRecord",
    "CallSummary",
    "CallerId",
    "CallingWindow",
    "Destination",
    "DialRight",
    "Extension",
    "Number",
    "OutboundPolicy",
    "Outbox",
    "Peer",
    "PlacedCall",
    "Queue",
    "QueueMember",
    "RejectedEvent",
    "Route",
    "RouteTarget",
    "ShipperPosition",
    "Trunk",
    "TrunkCall",
    "WidgetKey",
    "origin_problem",
]
