"""What both of our WebSockets share: JSON in and out, limits, words before each close, owned tasks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from channels.generic.websocket import AsyncWebsocketConsumer

from frontend.messages import MessageError, Patience, Shape, parse
from frontend.tasks import TaskOwner

CLOSE_MESSAGE: Final = 4400
CLOSE_TIMEOUT: Final = 4408
CLOSE_TOO_LARGE: Final = 1009
CLOSE_FAILED: Final = 1011


class JsonSocket(AsyncWebsocketConsumer):
    """Parses each message by `shapes` and hands it to `on_<type>`."""

    shapes: ClassVar[Mapping[str, Shape]]
    max_bytes: ClassVar[int]
    hello_s: ClassVar[float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tasks = TaskOwner(self._on_failure)
        self.greeted = asyncio.Event()
        self.closed = asyncio.Event()
        self._patience = Patience()

    async def begin(self) -> None:
        """Accepts, and waits for the first message in the background."""
        await self.accept()
        self.tasks.spawn("socket-hello", self._expect_hello())

    async def _expect_hello(self) -> None:
        try:
            async with asyncio.timeout(self.hello_s):
                await self.greeted.wait()
        except TimeoutError:
            await self.refuse("timeout", "No first message came.", CLOSE_TIMEOUT)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self.closed.is_set():
            return
        try:
            if text_data is None:
                raise MessageError("Messages are text.")
            message = parse(text_data, self.shapes, maximum=self.max_bytes)
            await self.on_message(message)
        except MessageError as error:
            await self.on_bad_message(error)

    async def on_message(self, message: dict[str, Any]) -> None:
        """A well-formed message. Raises: MessageError."""
        raise NotImplementedError

    async def on_bad_message(self, error: MessageError) -> None:
        """Refuses it; the tenth within 10 s closes, as does one that is far too large."""
        if error.code == "too-large":
            await self.refuse(error.code, error.text, CLOSE_TOO_LARGE, ref=error.ref)
        elif self._patience.refused(self.now()):
            await self.refuse(error.code, error.text, CLOSE_MESSAGE, ref=error.ref)
        else:
            await self.say_error(error.code, error.text, ref=error.ref)

    async def say(self, message: Mapping[str, Any]) -> None:
        """Sends one message; after the close nothing more is said."""
        if not self.closed.is_set():
            await self.send(
                text_data=json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            )

    async def say_error(
        self, code: str, text: str, *, ref: str = "", retryable: bool = False
    ) -> None:
        await self.say(
            {"type": "error", "code": code, "text": text, "ref": ref, "retryable": retryable}
        )

    async def refuse(
        self, code: str, text: str, close: int, *, ref: str = "", retryable: bool = False
    ) -> None:
        """Says why, then closes."""
        await self.say_error(code, text, ref=ref, retryable=retryable)
        await self.leave(close)

    async def leave(self, code: int) -> None:
        if not self.closed.is_set():
            self.closed.set()
            await self.close(code=code)

    async def disconnect(self, code: int) -> None:
        self.closed.set()
        await self.on_disconnect()
        await self.tasks.close()

    def _on_failure(self, task: str) -> None:
        # A page whose socket goes on without one of its tasks would show old things as new: it comes back instead.
        if not self.closed.is_set():
            self.tasks.spawn("socket-leave", self.leave(CLOSE_FAILED))

    async def on_disconnect(self) -> None:
        """The socket is gone; what it watched is let go."""

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()
