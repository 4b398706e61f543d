"""Identifiers of the call core: distinct types, so that one cannot stand where another is meant."""

from typing import Final, NewType

CallId = NewType("CallId", str)
LegId = NewType("LegId", str)
TurnId = NewType("TurnId", int)
"""Turns of a call, numbered 1.. in the order in which the caller took them."""
UtteranceId = NewType("UtteranceId", str)
"""One sentence (or clause) that an agent says: `<turn>.<generation>.<n>`."""
TransferId = NewType("TransferId", str)
UserName = NewType("UserName", str)
"""Login name of a person at the desk; never a caller's name."""

CALLER: Final = LegId("caller")
"""The leg of the person who called (or was called): every call has exactly one."""
AGENT: Final = LegId("agent")
"""The leg of the AI agent; a call may have none."""

RINGBACK: Final = LegId("ringback")
COMFORT: Final = LegId("comfort")
"""No legs, but what a waiting person hears: that it rings, and that nobody has gone away."""
