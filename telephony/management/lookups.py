"""What the commands about calls have in common: one line for what is not there, and how values are printed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from telephony.call.errors import CallError, CallGoneError
from telephony.call.events import Recorded
from telephony.selectors import has_tables, log_of_call

UNKNOWN = 2
"""Exit code for an id that is not there."""


def refuse(text: str) -> NoReturn:
    """One line on stderr, exit 2."""
    sys.stderr.write(f"{text}\n")
    sys.exit(UNKNOWN)


def need_tables() -> None:
    """Exits with 2 on a data folder that no start has filled yet."""
    if not has_tables():
        refuse("The database is empty: `make run` fills it, or `manage.py migrate`.")


def log_or_refusal(call: str) -> list[Recorded]:
    """The call's log; exits with 2 if there is no such call or its log cannot be read."""
    need_tables()
    try:
        return log_of_call(call)
    except CallGoneError:
        refuse(f"There is no call {call!r} in the database; `manage.py calls` lists them.")
    except CallError as error:
        refuse(f"{call}: {error.user_message}")


def plain(value: Any) -> Any:
    """Dataclasses, mappings and enums as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    return value


def as_json(value: Any) -> str:
    """One JSON document, indented."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2, default=str)
