"""Publishes the snapshot that media nodes answer by (docs/wire.md): to a file, and to each node that is up."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from agents.models import SnapshotRevision
from agents.selectors import snapshot_agents
from telephony.dialplan import parse_snapshot
from telephony.selectors import snapshot_opener, snapshot_routing
from telephony.services import utc_now

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a snapshot. `refusals`: node -> why it did not take it (it keeps the one before)."""

    revision: int
    refusals: Mapping[str, str]

    def __str__(self) -> str:
        if not self.refusals:
            return "The next call uses it."
        nodes = "; ".join(f"{node}: {why}" for node, why in self.refusals.items())
        return f"It is saved, but not every media node has it yet; a node takes it when it is back ({nodes})."


def publish_snapshot() -> Published:
    """Writes the committed state to the file, then tells the nodes. Call it outside of transactions.

    Raises: SnapshotError, with the file and the nodes untouched.
    """
    with _one_at_a_time(settings.SNAPSHOT_FILE):
        snapshot = _next_snapshot()
        parse_snapshot(snapshot, snapshot_opener())
        _replace_file(settings.SNAPSHOT_FILE, snapshot)
        refusals = import_string(settings.NODE_COMMANDS)("config.load", {"snapshot": snapshot})
    log.info(
        "snapshot_published",
        extra={"revision": snapshot["revision"], "not_taken_by": sorted(refusals)},
    )
    return Published(snapshot["revision"], refusals)


@transaction.atomic
def _next_snapshot() -> dict[str, Any]:
    revision, _ = SnapshotRevision.objects.select_for_update().get_or_create(pk=1)
    revision.number += 1
    revision.save()
    return {"revision": revision.number, "agents": snapshot_agents()} | snapshot_routing(utc_now())


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Two publishers must not bring their snapshots to the file or a node in the wrong order."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace_file(path: Path, snapshot: Mapping[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(snapshot, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
