"""Writes of the telephony tables: one door each."""

from telephony.services.audit import record_audit
from telephony.services.calls import (
    CALL_ENDED,
    Projection,
    SpoolName,
    SpoolRow,
    Stored,
    save_summary,
    store_batch,
)
from telephony.services.clock import from_us, utc_now
from telephony.services.outbox import deliver_due
from telephony.services.routing import (
    allow_widget,
    announce_routing,
    route_number,
    routing_changed,
)

__all__ = [
    "CALL_ENDED",
    "Projection",
    "SpoolName",
    "SpoolRow",
    "Stored",
    "allow_widget",
    "announce_routing",
    "deliver_due",
    "from_us",
    "record_audit",
    "route_number",
    "routing_changed",
    "save_summary",
    "store_batch",
    "utc_now",
]
