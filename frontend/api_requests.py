"""What a program may ask of the API, and how it is answered when it may not. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_BODY: Final = 16 * 1024
MAX_KEY: Final = 100
MAX_VARIABLES: Final = 50
MAX_NAME: Final = 64
MAX_VALUE: Final = 2_000
_TEXTS: Final = {"destination": 128, "agent": 64, "trunk": 32, "caller_id": 32}
_NEEDED: Final = ("destination", "agent")


class ApiError(Exception):
    """An answer other than success. `code`: stable, for programs; `message`: for people; `field`: where it is."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        error = {"code": self.code, "message": self.message}
        return {"error": error | ({"field": self.field} if self.field else {})}


@dataclass(frozen=True, slots=True)
class DialRequest:
    """A call to place. No repr shows whom."""

    destination: str = field(repr=False)
    agent: str
    trunk: str = ""
    caller_id: str = field(default="", repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def arguments(self) -> dict[str, Any]:
        """Of the bus request `outbound.dial`."""
        given: dict[str, Any] = {"destination": self.destination, "agent": self.agent}
        if self.trunk:
            given["trunk"] = self.trunk
        if self.caller_id:
            given["caller_id"] = self.caller_id
        if self.variables:
            given["variables"] = dict(self.variables)
        return given

    def canonical(self) -> str:
        """The same text for the same request."""
        return json.dumps(self.arguments(), sort_keys=True)


def read_dial_request(body: bytes) -> DialRequest:
    """Raises: ApiError 400 naming the field."""
    if len(body) > MAX_BODY:
        raise ApiError(413, "too_large", f"The request is larger than {MAX_BODY} bytes.")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "not_json", "The request is not JSON.") from None
    if not isinstance(values, dict):
        raise ApiError(400, "not_json", "The request is not a JSON object.")
    unknown = sorted(set(values) - set(_TEXTS) - {"variables"})
    if unknown:
        name = unknown[0][:MAX_NAME]
        raise ApiError(400, "unknown_field", "There is no such field.", field=name)
    texts = {name: _text(values, name, most) for name, most in _TEXTS.items()}
    for name in _NEEDED:
        if not texts[name]:
            raise ApiError(400, "missing_field", "This field is needed.", field=name)
    return DialRequest(**texts, variables=_variables(values.get("variables")))


def read_key(given: str) -> str:
    """The Idempotency-Key, or nothing. Raises: ApiError."""
    if len(given) > MAX_KEY or not given.isascii() or not given.isprintable():
        raise ApiError(
            400,
            "bad_key",
            f"An Idempotency-Key is at most {MAX_KEY} printable ASCII characters.",
            field="Idempotency-Key",
        )
    return given


def _text(values: Mapping[str, Any], name: str, most: int) -> str:
    value = values.get(name, "")
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        text = f"A text of at most {most} characters is needed."
        raise ApiError(400, "bad_field", text, field=name)
    return value.strip()


def _variables(values: Any) -> dict[str, str]:
    if values is None:
        return {}
    if not isinstance(values, dict) or len(values) > MAX_VARIABLES:
        text = f"An object of at most {MAX_VARIABLES} names is needed."
        raise ApiError(400, "bad_field", text, field="variables")
    for name, value in values.items():
        fits = isinstance(value, str) and len(name) <= MAX_NAME and len(value) <= MAX_VALUE
        if not fits:
            text = f"Names of at most {MAX_NAME} and texts of at most {MAX_VALUE} characters are needed."
            raise ApiError(400, "bad_field", text, field="variables")
    return dict(values)


STATUS_OF: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        (
            "too_long", "parameters", "not_a_number", "not_international", "short_code", "foreign_host",
            "unknown_extension", "unknown_trunk", "unknown_agent", "message",
        ),
        422,
    ),
    **dict.fromkeys(
        (
            "no_trunk", "agent_may_not_dial", "agent_trunk", "agent_destination", "destination", "costly", "blocked",
            "hours", "caller_id",
        ),
        403,
    ),
    **dict.fromkeys(("calls", "cps", "calls_per_day", "minutes_per_day"), 429),
    **dict.fromkeys(("busy", "full", "draining", "overloaded", "no_agents"), 503),
}  # fmt: skip
"""HTTP status of a media node's refusal."""
RETRY_AFTER_S: Final[Mapping[str, int]] = {"cps": 1, "calls": 10}


def refused_by_node(code: str, text: str) -> ApiError:
    """A refusal of `outbound.dial` as HTTP tells it."""
    status = STATUS_OF.get(code, 409)
    retry = RETRY_AFTER_S.get(code, 30 if status == 503 else None)
    return ApiError(status, code, text, retry_after_s=retry)
