"""The child's end of the socket to its parent: blocking, framed, ends with the parent.

Frame: payload length (u32), kind (u8), context (u32), payload. Used by `*_child` modules, which run
engines that hold the interpreter lock, crash, or carry a licence that must stay out of our process.
"""

import json
import select
import signal
import socket
import struct
import sys
from enum import IntEnum
from typing import Any, Final, NamedTuple

HEADER: Final = struct.Struct("<IBI")


class Kind(IntEnum):
    """What a frame says; (p) from the parent, (c) from the child."""

    READY = 1  # (c) loaded and warm; JSON about the engine
    REFUSED = 2  # (c) cannot run here; JSON {"why"}
    SPEAK = 3  # (p) JSON {"text", "voice", "rate_hz"}
    CANCEL = 4  # (p) stop speaking the context, or forget the turn
    AUDIO = 5  # (c) a frame of speech; (p) a frame of the caller
    DONE = 6  # (c) the context's sentence is complete or cancelled
    FAILED = 7  # (c) JSON {"why"}: this context only
    OPEN = 8  # (p) JSON {"rate_hz"}: a recogniser for the context
    EXPECT = 9  # (p) JSON {"turn", "jsgf", "words"}
    FINISH = 10  # (p) the turn's speech is over
    CLOSE = 11  # (p) the context's recogniser is free again
    PARTIAL = 12  # (c) JSON {"turn", "text", "words"}
    FINAL = 13  # (c) JSON {"turn", "text", "words", "confidence"}


class Frame(NamedTuple):
    """One message between parent and child."""

    kind: int
    context: int
    payload: bytes

    def pack(self) -> bytes:
        return HEADER.pack(len(self.payload), self.kind, self.context) + self.payload

    def json(self) -> Any:
        return json.loads(self.payload)


def packed(kind: int, context: int = 0, values: Any = None, payload: bytes = b"") -> bytes:
    """A frame as bytes; `values` becomes JSON."""
    return Frame(kind, context, payload if values is None else json.dumps(values).encode()).pack()


def unpack_from(buffer: bytearray) -> list[Frame]:
    """Takes all whole frames off the front of `buffer`."""
    frames = []
    at = 0
    while len(buffer) - at >= HEADER.size:
        length, kind, context = HEADER.unpack_from(buffer, at)
        end = at + HEADER.size + length
        if len(buffer) < end:
            break
        frames.append(Frame(kind, context, bytes(buffer[at + HEADER.size : end])))
        at = end
    del buffer[:at]
    return frames


class Channel:
    """Blocking reader and writer over the inherited socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()

    @classmethod
    def inherited(cls) -> "Channel":
        """The socket whose number is the first argument of the program.

        Ctrl-C in a terminal reaches the whole group: the parent decides when the child ends.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return cls(socket.socket(fileno=int(sys.argv[1])))

    def read(self, wait: bool = True) -> list[Frame]:
        """Frames received; waits for the first one if asked to. Raises: EOFError without parent."""
        frames = unpack_from(self._buffer)
        while not frames:
            if not wait and not select.select([self._socket], [], [], 0)[0]:
                return []
            data = self._socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._buffer += data
            frames = unpack_from(self._buffer)
        return frames

    def write(self, kind: int, context: int, values: Any = None, payload: bytes = b"") -> None:
        """Raises: OSError once the parent is gone."""
        self._socket.sendall(packed(kind, context, values, payload))
