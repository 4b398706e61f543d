"""Log lines: one JSON object each, and no personal data unless the operator asked for it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

PERSONAL: Final = "pii_"
STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes every record has; the rest came through `extra`."""


class PersonalDataFilter(logging.Filter):
    """Takes `pii_…` out of the record, and what Django adds that may name a person (request, cookies)."""

    def __init__(self, *, allowed: bool = False) -> None:
        super().__init__()
        self._allowed = allowed

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.pop("request", None)
        if not self._allowed:
            for name in [name for name in vars(record) if name.startswith(PERSONAL)]:
                delattr(record, name)
        return True


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, event and the values given in `extra`, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.processName,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def logging_configuration(*, level: str, personal_data: bool) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything to stderr, which the supervisor of the processes keeps."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"personal_data": {"()": PersonalDataFilter, "allowed": personal_data}},
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["personal_data"],
                "formatter": "json",
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        # Paths may hold a call's address: one line per request tells nothing that metrics do not.
        "loggers": {
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            "daphne.server": {"level": "WARNING"},
            # They write the addresses of callers.
            "aioice": {"level": "WARNING"},
            "aiortc": {"level": "WARNING"},
            "websockets": {"level": "WARNING"},
        },
    }
