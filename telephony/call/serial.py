"""Events and records as plain JSON values, strictly: what is not understood is refused by name, never guessed.

An event is an object of its fields; its kind and version stand beside it in the record. A field with a default may be
missing (older writers); an unknown field, kind or version is an `UnknownEventError`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from telephony.call.errors import UnknownEventError
from telephony.call.events import AgentRef, CallEvent, Recorded
from telephony.call.ids import CallId
from telephony.call.state import CallState, Phase

EVENTS: Final[Mapping[str, type[CallEvent]]] = {kind.__name__: kind for kind in get_args(CallEvent)}
"""All kinds of events by name."""

VERSION: Final = 1
"""Version of the event schemas; a kind whose fields change their meaning gets a reader for the old one."""

Reader = Callable[[Any], Any]


def _plain(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"wants {kind.__name__}")
        return value

    return read


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("wants a number")
    return float(value)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError("wants an object")
    text = _plain(str)
    return {text(name): text(entry) for name, entry in value.items()}


def _agent(value: Any) -> AgentRef:
    if not isinstance(value, Mapping) or set(value) != {"agent", "version"}:
        raise TypeError("wants agent and version")
    return AgentRef(_plain(str)(value["agent"]), _plain(int)(value["version"]))


def _one_of(choices: tuple[str, ...]) -> Reader:
    def read(value: Any) -> Any:
        if value not in choices:
            raise TypeError(f"wants one of {', '.join(choices)}")
        return value

    return read


def _optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _reader(hint: Any) -> Reader:
    origin = get_origin(hint)
    if origin is Literal:
        return _one_of(get_args(hint))
    if origin in (Union, types.UnionType):
        (some,) = (part for part in get_args(hint) if part is not type(None))
        return _optional(_reader(some))
    if origin is not None:
        return _texts
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    return {float: _number, AgentRef: _agent}.get(hint) or _plain(hint)


def _is_structured(hint: Any) -> bool:
    """Whether values of this type may be objects: an agent, or a mapping."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return any(part is AgentRef or get_origin(part) is Mapping for part in parts)


@dataclass(frozen=True, slots=True)
class _Schema:
    kind: type[CallEvent]
    readers: Mapping[str, Reader]
    required: frozenset[str]
    private: bool
    later: Mapping[str, Any]
    structured: tuple[str, ...]


def _schema(kind: type[CallEvent]) -> _Schema:
    hints = get_type_hints(kind)
    known: tuple[Field[Any], ...] = fields(kind)
    return _Schema(
        kind,
        {field.name: _reader(hints[field.name]) for field in known},
        frozenset(
            field.name
            for field in known
            if field.default is MISSING and field.default_factory is MISSING
        ),
        any(field.metadata.get("pii") for field in known),
        {field.name: field.default for field in known if field.metadata.get("later")},
        tuple(field.name for field in known if _is_structured(hints[field.name])),
    )


_SCHEMAS: Final = {name: _schema(kind) for name, kind in EVENTS.items()}


def holds_personal_data(kind: str) -> bool:
    """Whether events of this kind have fields that are encrypted at rest."""
    return _SCHEMAS[kind].private


def event_to_json(event: CallEvent) -> dict[str, Any]:
    """The fields of the event as plain values; those that older logs do not have only where they say something."""
    schema = _SCHEMAS[type(event).__name__]
    body: dict[str, Any] = {name: getattr(event, name) for name in schema.readers}
    for name in schema.structured:
        body[name] = _plain_value(body[name])
    for name, default in schema.later.items():
        if body[name] == default:
            del body[name]
    return body


def _plain_value(value: Any) -> Any:
    if isinstance(value, AgentRef):
        return {"agent": value.agent, "version": value.version}
    return dict(value) if isinstance(value, Mapping) else value


def event_from_json(kind: str, body: Mapping[str, Any], version: int = VERSION) -> CallEvent:
    """Raises: UnknownEventError naming the kind and the field, never the value."""
    schema = _SCHEMAS.get(kind)
    if schema is None or version != VERSION:
        raise UnknownEventError(f"event {kind!r} version {version!r}")
    if not isinstance(body, Mapping):
        raise UnknownEventError(f"event {kind}: wants an object")
    if unknown := sorted(set(map(str, body)) - set(schema.readers)):
        raise UnknownEventError(f"event {kind}: unknown field {unknown[0]!r}")
    if missing := sorted(schema.required - set(body)):
        raise UnknownEventError(f"event {kind}: field {missing[0]!r} is missing")
    values = {name: _read(schema, name, value) for name, value in body.items()}
    return schema.kind(**values)


def _read(schema: _Schema, name: str, value: Any) -> Any:
    try:
        return schema.readers[name](value)
    except TypeError as error:
        raise UnknownEventError(f"event {schema.kind.__name__}: field {name!r} {error}") from error


def record_to_json(record: Recorded) -> dict[str, Any]:
    """A record as the bus carries it: `call seq at_us kind version actor id event`."""
    return {
        "call": record.call,
        "seq": record.seq,
        "at_us": record.at_us,
        "kind": record.kind,
        "version": VERSION,
        "actor": record.actor,
        "id": record.idempotency_key,
        "event": event_to_json(record.event),
    }


def record_from_json(body: Mapping[str, Any]) -> Recorded:
    """The other way; keys that are not a record's (`row`) are left alone. Raises: UnknownEventError."""
    try:
        return Recorded(
            call=CallId(_plain(str)(body["call"])),
            seq=_plain(int)(body["seq"]),
            at_us=_plain(int)(body["at_us"]),
            event=event_from_json(
                _plain(str)(body["kind"]), body["event"], body.get("version", VERSION)
            ),
            actor=_plain(str)(body["actor"]),
            idempotency_key=_optional(_plain(str))(body.get("id")),
        )
    except KeyError as error:
        raise UnknownEventError(f"record without {error.args[0]!r}") from error
    except TypeError as error:
        raise UnknownEventError(f"record: {error}") from error


def row(state: CallState, node: str) -> dict[str, Any]:
    """What a list shows of a call (docs/wire.md)."""
    talk = state.conversation
    last = talk.said[-1] if talk.said else None
    return {
        "id": state.id,
        "node": node,
        "phase": state.phase.value,
        "state": condition(state),
        "direction": state.direction,
        "transport": state.transport,
        "caller": state.caller,
        "called": state.called,
        "agent": state.agent.agent if state.agent else None,
        "version": state.agent.version if state.agent else None,
        "step": talk.step,
        "floor": state.floor,
        "controller": state.controller,
        "listeners": [leg.who for leg in state.legs.values() if leg.listening],
        "last": {"role": last.role, "text": last.text} if last else None,
        "answer_ms": talk.last_answer_ms,
        "barge_ins": talk.barge_ins,
        "person_requested": talk.person_requested,
        "transfer": _transfer(state),
        "started_us": state.started_us,
        "answered_us": state.answered_us,
        "ended_us": state.ended_us,
        "end_cause": state.end_cause,
        "seq": state.seq,
    }


def _transfer(state: CallState) -> dict[str, Any] | None:
    transfer = state.transfer
    if transfer is None:
        return None
    return {
        "id": transfer.id,
        "mode": transfer.mode,
        "stage": transfer.stage,
        "by": transfer.by,
        "who": transfer.who,
        "to": transfer.destination,
        "name": transfer.name,
    }


_CONDITIONS: Final[Mapping[Phase, str]] = {
    Phase.NEW: "ringing",
    Phase.RINGING: "ringing",
    Phase.RECONNECTING: "reconnecting",
    Phase.HELD: "hold",
    Phase.ENDED: "ended",
}


def condition(state: CallState) -> str:
    """One word for the call.

    ringing, listening, thinking, speaking, human, transferring, hold, reconnecting, degraded, ended.
    """
    if state.phase in _CONDITIONS:
        return _CONDITIONS[state.phase]
    if state.transfer is not None:
        return "transferring"
    if state.person_speaks:
        return "human"
    if state.conversation.agent_failed is not None:
        return "degraded"
    said = state.conversation.said
    if any(part.heard is None for part in said):
        return "speaking"
    return "thinking" if said and said[-1].role == "caller" else "listening"
