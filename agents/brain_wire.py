"""How brain messages and frames travel between media node and worker. Bytes in, values out; no I/O.

A message is `u32 length of the rest | u32 length of the head | head, JSON | audio`, big-endian. The head holds the
fields and `"m"`, the class name; audio is the field `pcm`, if there is one. Frames of calls travel in datagrams of
their own (`frame_loops`): `VAF1 | u32 source | u16 samples per frame | u16 rows`, then the columns of `Frames`, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from agents.brain import Audio, FromWorker, Prepared, ToWorker

LARGEST_MESSAGE: Final = 4 << 20
_LENGTHS: Final = struct.Struct("!II")
FRAMES_HEAD: Final = struct.Struct("!4sIHH")
FRAMES_MAGIC: Final = b"VAF1"


class BrainMessageError(Exception):
    """A peer sent something that is no message of ours; the text says what is wrong, never its content."""


_MESSAGES: Final[Mapping[str, type]] = {
    each.__name__: each for each in (*ToWorker.__args__, *FromWorker.__args__)
}
_AUDIO: Final = "pcm"
_OBJECT: Final = (dict,)
_PLAIN: Final[Mapping[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "Mapping[str, Any]": _OBJECT,
}
_FIELDS: Final[Mapping[type, Mapping[str, tuple[type, ...]]]] = {
    kind: {each.name: _PLAIN[str(each.type)] for each in fields(kind) if each.name != _AUDIO}
    for kind in _MESSAGES.values()
}
"""Of each kind of message: its fields but audio, and what JSON may hold for them."""
_WITH_AUDIO: Final = frozenset(
    kind for kind in _MESSAGES.values() if any(each.name == _AUDIO for each in fields(kind))
)


def encode(message: ToWorker | FromWorker) -> bytes:
    """The message with its lengths."""
    kind = type(message)
    head: dict[str, Any] = {"m": kind.__name__}
    for name, types in _FIELDS[kind].items():
        value = getattr(message, name)
        head[name] = dict(value) if types is _OBJECT else value
    pcm = message.pcm if isinstance(message, Audio | Prepared) else b""
    text = orjson.dumps(head)
    return _LENGTHS.pack(4 + len(text) + len(pcm), len(text)) + text + pcm


class Decoder:
    """Messages from a byte stream, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[ToWorker | FromWorker | BrainMessageError]:
        """Whole messages; a bad one within intact lengths comes out as an error and the next follows.

        Raises: BrainMessageError when the lengths themselves cannot be: the stream is lost.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            length, head = _LENGTHS.unpack_from(self._buffer)
            if not 4 <= length <= LARGEST_MESSAGE or head > length - 4:
                raise BrainMessageError("impossible length of a message")
            if len(self._buffer) < 4 + length:
                return
            body = bytes(self._buffer[_LENGTHS.size : 4 + length])
            del self._buffer[: 4 + length]
            try:
                yield _message(body[:head], body[head:])
            except BrainMessageError as error:
                yield error


def _message(head: bytes, pcm: bytes) -> ToWorker | FromWorker:
    try:
        values = orjson.loads(head)
    except ValueError as error:
        raise BrainMessageError("the head is no JSON") from error
    kind = _MESSAGES.get(values.pop("m", "")) if isinstance(values, dict) else None
    if kind is None:
        raise BrainMessageError("unknown message")
    known = _FIELDS[kind]
    for name, value in values.items():
        if name not in known or not _fits(value, known[name]):
            raise BrainMessageError(f"{kind.__name__}: a field is unknown or of the wrong type")
    if kind in _WITH_AUDIO:
        if len(pcm) % 2:
            raise BrainMessageError("audio of an odd length")
        values[_AUDIO] = pcm
    try:
        made: ToWorker | FromWorker = kind(**values)
    except TypeError as error:
        raise BrainMessageError(f"{kind.__name__}: a field is missing") from error
    return made


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


@dataclass(frozen=True, slots=True)
class Frames:
    """20 ms frames of several taps of one media node (`source`) at one rate; row i of each array belongs together.

    `taps` (n,) int64, `numbers` (n,) int64 frame numbers, `speech` (n,) bool, `pcm` (n, rate_hz // 50) int16.
    """

    source: int
    rate_hz: int
    taps: NDArray[np.int64]
    numbers: NDArray[np.int64]
    speech: NDArray[np.bool_]
    pcm: NDArray[np.int16]


def decode_frames(datagram: bytes) -> Frames:
    """Raises: BrainMessageError."""
    if len(datagram) < FRAMES_HEAD.size:
        raise BrainMessageError("a datagram is too short")
    magic, source, width, count = FRAMES_HEAD.unpack_from(datagram)
    if magic != FRAMES_MAGIC or len(datagram) != FRAMES_HEAD.size + count * (17 + 2 * width):
        raise BrainMessageError("a datagram is no batch of frames")
    taps = np.frombuffer(datagram, "<i8", count, FRAMES_HEAD.size)
    numbers = np.frombuffer(datagram, "<i8", count, FRAMES_HEAD.size + 8 * count)
    speech = np.frombuffer(datagram, "u1", count, FRAMES_HEAD.size + 16 * count) != 0
    pcm = np.frombuffer(datagram, "<i2", count * width, FRAMES_HEAD.size + 17 * count)
    return Frames(source, width * 50, taps, numbers, speech, pcm.reshape(count, width))
