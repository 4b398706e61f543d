"""Log lines: one JSON object each, and no personal data unless the operator asked for it."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

PERSONAL: Final = "pii_"
OUR_PACKAGES: Final = ("telephony.", "agents.", "frontend.", "voiceapp.")
LONGEST_CHAIN: Final = 10
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
    """Time (UTC), level, logger, event and the values given in `extra`, on one line.

    Of an exception that is not ours only class and lines are told: the text of a `ValueError` is often the value.
    """

    def __init__(self, *, personal_data: bool = False) -> None:
        super().__init__()
        self._personal_data = personal_data

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.processName,
            "event": self._event(record),
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self._exception(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)

    def _event(self, record: logging.LogRecord) -> str:
        event = record.getMessage()
        if record.name == "asyncio" and not self._personal_data:
            return event.partition("\n")[0]  # what follows is the exception, as text
        return event

    def _exception(self, error: BaseException) -> str:
        if self._personal_data:
            return "".join(traceback.format_exception(error))
        return "".join(_without_foreign_texts(error, LONGEST_CHAIN))


def _without_foreign_texts(error: BaseException, depth: int) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    if depth and before is not None:
        yield from _without_foreign_texts(before, depth - 1)
    yield from traceback.format_tb(error.__traceback__)
    kind = type(error)
    told = isinstance(error, OSError) or kind.__module__.startswith(OUR_PACKAGES)
    yield f"{kind.__module__}.{kind.__qualname__}{f': {error}' if told else ''}\n"
    for part in parts if depth else ():
        yield from _without_foreign_texts(part, depth - 1)


def logging_configuration(*, level: str, personal_data: bool) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything to stderr, which the supervisor of the processes keeps."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"personal_data": {"()": PersonalDataFilter, "allowed": personal_data}},
        "formatters": {"json": {"()": JsonFormatter, "personal_data": personal_data}},
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
