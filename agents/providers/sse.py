"""Server-sent events as model endpoints send them: bytes in, data texts out. No I/O.

WHATWG HTML, 9.2.6, as far as `data` lines and comments go; other fields are ignored.
"""

from typing import Final

from agents.speech.errors import ModelReplyError

LONGEST_EVENT_BYTES: Final = 1 << 20


class EventDecoder:
    """One stream's decoder."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def push(self, received: bytes) -> list[str]:
        """Data of the events that are complete. Raises: ModelReplyError for what is no event."""
        events: list[str] = []
        self._line += received
        if len(self._line) + self._size > LONGEST_EVENT_BYTES:
            raise ModelReplyError("an event of the reply is longer than 1 MiB")
        *lines, rest = self._line.split(b"\n")
        self._line = rest
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(bytes(line[5:].removeprefix(b" ")))
                self._size += len(line)
            elif not line and self._data:
                events.append(self._text())
        return events

    def _text(self) -> str:
        data, self._data, self._size = b"\n".join(self._data), [], 0
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ModelReplyError("an event of the reply is not UTF-8") from error
