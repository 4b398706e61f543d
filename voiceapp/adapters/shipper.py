"""Copies the spools of the media nodes into the Django database, and hands out what the outbox holds.

May be killed at any moment: events, rows of calls, outbox and position are written in one transaction per batch, and
what was written is recognised when it comes again. It empties a spool only of what the database has.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from celery import Task
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils.module_loading import import_string

from telephony.selectors import shipped_position
from telephony.services import Projection, SpoolName, deliver_due, store_batch, utc_now
from voiceapp.adapters.encryption import Keyring
from voiceapp.adapters.spool import SpoolFile
from voiceapp.celery import application

log = logging.getLogger(__name__)

BATCH: Final = 500
KEPT_IN_SPOOL: Final = timedelta(minutes=10)
"""How long a node can still read an ended call from its own file."""
CLEAN_EVERY: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Source:
    """One node's spool, open, and how far it is copied."""

    name: SpoolName
    path: Path
    file: SpoolFile
    inode: int
    position: int
    cleaned_at: datetime


class Shipper:
    """One pass at a time: `ship` until it says 0, wait, again."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._folder = folder
        self._keyring = keyring
        self._sources: dict[str, Source] = {}
        self._projection = Projection()

    def ship(self) -> int:
        """One batch of each spool. Returns: rows taken; 0 when nothing waits or the database is away."""
        taken = 0
        for path in sorted(self._folder.glob("*.db")):
            try:
                taken += self._ship_spool(path)
            except (OperationalError, InterfaceError) as error:
                self._forget(path)
                close_old_connections()
                log.warning("database_away", extra={"reason": type(error).__name__})
            except FileNotFoundError:
                self._forget(path)  # its node is making it, or has set it aside
            except (sqlite3.Error, OSError) as error:
                self._forget(path)
                log.warning("spool_unreadable", extra={"file": path.name, "reason": str(error)})
        return taken

    def close(self) -> None:
        for source in self._sources.values():
            source.file.close()
        self._sources.clear()

    def _ship_spool(self, path: Path) -> int:
        source = self._source(path)
        now = utc_now()
        rows = source.file.rows_after(source.position, BATCH)
        if rows:
            stored = store_batch(
                source=source.name, rows=rows, projection=self._projection, now=now
            )
            source.position = rows[-1].position
            if stored.rejected:
                log.error(
                    "events_rejected", extra={"node": source.name.node, "count": stored.rejected}
                )
        elif now - source.cleaned_at > CLEAN_EVERY:
            source.cleaned_at = now
            ended_before = int((now - KEPT_IN_SPOOL).timestamp() * 1_000_000)
            source.file.delete_shipped(source.position, ended_before)
        return len(rows)

    def _source(self, path: Path) -> Source:
        known = self._sources.get(path.name)
        if known and known.inode == path.stat().st_ino:
            return known
        self._forget(path)
        file = SpoolFile.attach(path, self._keyring)
        name = SpoolName(path.stem, file.spool_id)
        position = shipped_position(name.node, name.spool)
        source = Source(name, path, file, path.stat().st_ino, position, utc_now())
        self._sources[path.name] = source
        return source

    def _forget(self, path: Path) -> None:
        source = self._sources.pop(path.name, None)
        if source:
            source.file.close()
        self._projection.states.clear()


def deliver(topic: str, body: Mapping[str, Any]) -> None:
    """Gives a task to Celery where a broker is configured, else runs it here. Raises: whatever the task raises."""
    task: Task = import_string(settings.OUTBOX_HANDLERS[topic])
    if settings.CELERY_BROKER_URL:
        application.set_current()  # in this thread too: a shared task goes to the current application's broker
        task.apply_async(kwargs=dict(body), retry=False)
    else:
        task.run(**body)


def hand_out() -> int:
    """What is due in the outbox. Returns: how many were handed over; 0 also while the database is away."""
    try:
        return deliver_due(now=utc_now(), deliver=deliver)
    except (OperationalError, InterfaceError) as error:
        close_old_connections()
        log.warning("database_away", extra={"reason": type(error).__name__})
        return 0
