"""Writes of the agents' tables: one door each."""

from agents.services.checking import problems_of
from agents.services.publishing import (
    NotPublishableError,
    copy_to_draft,
    load_agent,
    publish_agent,
    roll_back,
    write_draft,
)
from agents.services.snapshot import Published, publish_snapshot

__all__ = [
    "NotPublishableError",
    "Published",
    "copy_to_draft",
    "load_agent",
    "problems_of",
    "publish_agent",
    "publish_snapshot",
    "roll_back",
    "write_draft",
]
