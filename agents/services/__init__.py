"""Writes of the agents' tables: one door each."""

from agents.services.checking import Place, place_of, problems_of
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
    "Place",
    "Published",
    "copy_to_draft",
    "load_agent",
    "place_of",
    "problems_of",
    "publish_agent",
    "publish_snapshot",
    "roll_back",
    "write_draft",
]
