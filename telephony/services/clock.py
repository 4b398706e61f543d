"""The database's idea of now: one place, so that a test can move it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Wall time with zone."""
    return datetime.now(UTC)


def from_us(at_us: int | None) -> datetime | None:
    """A log's stamp (Unix microseconds) for a database column."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1_000_000, UTC)
