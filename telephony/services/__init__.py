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
from telephony.services.placing import (
    CapReachedError,
    KeyReusedError,
    Reservation,
    new_token,
    note_placed,
    note_refused,
    reserve_call,
    revoke_token,
    token_used,
)
from telephony.services.routing import (
    allow_widget,
    announce_routing,
    ensure_outbound_policy,
    route_number,
    routing_changed,
    set_extension_password,
)

__all__ = [
    "CALL_ENDED",
    "CapReachedError",
    "KeyReusedError",
    "Projection",
    "Reservation",
    "SpoolName",
    "SpoolRow",
    "Stored",
    "allow_widget",
    "announce_routing",
    "deliver_due",
    "ensure_outbound_policy",
    "from_us",
    "new_token",
    "note_placed",
    "note_refused",
    "record_audit",
    "reserve_call",
    "revoke_token",
    "route_number",
    "routing_changed",
    "save_summary",
    "set_extension_password",
    "store_batch",
    "token_used",
    "utc_now",
]
