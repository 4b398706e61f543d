"""Marks on the fields of events: what is personal data, and what older logs do not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PII: Final[Mapping[str, Any]] = {"pii": True}
"""Speech or personal data: encrypted at rest, masked by presenters, in no log line."""
LATER: Final[Mapping[str, Any]] = {"later": True}
"""The field came after logs were written: it has a default and is written only if it differs from it."""
