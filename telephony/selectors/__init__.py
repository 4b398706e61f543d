"""Reads of the telephony tables."""

from telephony.selectors.calls import (
    UNREADABLE,
    audit_of,
    due_outbox,
    has_tables,
    known_state_of_call,
    log_of_call,
    masked,
    readable,
    recent_calls,
    recorded,
    row_of_call,
    shipped_position,
    state_of_call,
    summary_of_call,
)
from telephony.selectors.routing import (
    AnsweringAgent,
    answering_agents,
    origins_of_widget,
    plan_in_force,
    rule_always_applies,
    snapshot_opener,
    snapshot_routing,
    trunk_values,
)
from telephony.selectors.tokens import placed_with, token_of
from telephony.selectors.trunks import TrunkState, trunk_states

__all__ = [
    "UNREADABLE",
    "AnsweringAgent",
    "TrunkState",
    "answering_agents",
    "audit_of",
    "due_outbox",
    "has_tables",
    "known_state_of_call",
    "log_of_call",
    "masked",
    "origins_of_widget",
    "placed_with",
    "plan_in_force",
    "readable",
    "recent_calls",
    "recorded",
    "row_of_call",
    "rule_always_applies",
    "shipped_position",
    "snapshot_opener",
    "snapshot_routing",
    "state_of_call",
    "summary_of_call",
    "token_of",
    "trunk_states",
    "trunk_values",
]
