"""A model endpoint on a loopback port that speaks OpenAI's streaming wire, well or badly.

Behaviour is chosen per request by `script`: a list of bytes to send, numbers to pause for (seconds) and
`HANG` to stay silent until the client goes; then the connection is closed.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

HANG = object()
END = b"data: [DONE]\n\n"


def event(values: Any) -> bytes:
    return b"data: " + json.dumps(values).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]})


def tool(index: int, *, id: str = "", name: str = "", arguments: str = "") -> bytes:
    function = {"arguments": arguments, **({"name": name} if name else {})}
    call = {"index": index, "function": function, **({"id": id, "type": "function"} if id else {})}
    return event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})


def finish(reason: str = "stop") -> bytes:
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def usage(prompt: int, completion: int) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": counts})


@dataclass
class FakeOpenAi:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    script: list[Any] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = await reader.readexactly(int(fields["content-length"]))
            self.requests.append({"line": lines[0], **json.loads(body)})
            self.keys.append(fields.get("authorization", ""))
            extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            writer.write(
                f"HTTP/1.1 {self.status} X\r\ncontent-type: text/event-stream\r\n{extra}"
                "connection: close\r\n\r\n".encode()
            )
            for part in self.script:
                await self._send(part, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.dropped.set()
        finally:
            writer.close()

    async def _send(
        self, part: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if part is HANG:
            await reader.read(1)  # ends when the client goes
            self.dropped.set()
        else:
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def fake_openai(**values: Any) -> AsyncIterator[FakeOpenAi]:
    fake = FakeOpenAi(**values)
    server = await asyncio.start_server(fake.answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        fake.url = f"http://127.0.0.1:{port}/v1"
        yield fake
