"""Tables of agents. Written through `agents.services`, read through `agents.selectors`."""

from agents.models import lines
from agents.models.draft import Intent, Step
from agents.models.versions import Agent, AgentVersion, SnapshotRevision, VersionIsFinalError

__all__ = [
    "Agent",
    "AgentVersion",
    "Intent",
    "SnapshotRevision",
    "Step",
    "VersionIsFinalError",
    "lines",
]
