"""Frames of the local bus: a length of 4 bytes, big-endian, and that many bytes of one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

FRAME_BYTES: Final = 4 * 1024 * 1024
"""A longer frame is refused on both sides: nothing on the bus comes near it."""
LENGTH_BYTES: Final = 4


class FrameError(Exception):
    """What arrived is not a frame; the connection cannot be trusted to be in step any more."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Raises: FrameError if the message is too long, TypeError for what is not JSON."""
    body = orjson.dumps(message)
    if len(body) > FRAME_BYTES:
        raise FrameError(f"{len(body)} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode(body: bytes) -> dict[str, Any]:
    """The object in a frame's body. Raises: FrameError."""
    try:
        message = orjson.loads(body)
    except ValueError as error:
        raise FrameError("not JSON") from error
    if not isinstance(message, dict):
        raise FrameError("not an object")
    return message


def body_length(prefix: bytes | bytearray) -> int:
    """Raises: FrameError."""
    length = int.from_bytes(prefix, "big")
    if length > FRAME_BYTES:
        raise FrameError(f"{length} bytes announced")
    return length


class FrameReader:
    """Bytes in, messages out, at any cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Raises: FrameError; after it the reader is of no use."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + body_length(self._buffer[:LENGTH_BYTES])
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            yield decode(body)
