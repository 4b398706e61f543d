"""Any endpoint with the wire of OpenAI's chat completions (OpenAI, Groq, vLLM, Ollama, ...).

Streaming over one kept connection pool. Deadlines per stage: connect, first event, between events.
Texts of the vendor go nowhere: errors carry the status only.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httpx

from agents.providers.openai_wire import ReplyReader, request_body
from agents.providers.sse import EventDecoder
from agents.speech.errors import (
    ModelBusyError,
    ModelFailedError,
    ModelRefusedError,
    ModelReplyError,
    SpeechError,
    StageTimeoutError,
)
from agents.speech.ports import Message, ModelEvent, ToolSpec

TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = 500


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Where the model is; `options` are further fields of the request, such as `temperature`."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    connect_seconds: float = 2.0
    first_event_seconds: float = 6.0
    next_event_seconds: float = 3.0
    options: Mapping[str, Any] = field(default_factory=dict)


class OpenAiCompatible:
    """LanguageModel over httpx."""

    def __init__(
        self, endpoint: ModelEndpoint, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._endpoint = endpoint
        headers = {"accept": "text/event-stream"}
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=endpoint.connect_seconds),
            follow_redirects=False,  # a redirect would carry the key to another host
            trust_env=False,
            transport=transport,
        )

    async def close(self) -> None:
        """See the port."""
        await self._client.aclose()

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ModelEvent, None]:
        """See the port."""
        endpoint = self._endpoint
        body = request_body(endpoint.model, messages, tools, endpoint.options)
        url = endpoint.base_url.rstrip("/") + "/chat/completions"
        request = self._client.build_request("POST", url, json=body)
        try:
            async with _deadline("model_first_event", endpoint.first_event_seconds):
                response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _failed(error, endpoint) from error
        try:
            _refuse(response)
            async with aclosing(self._events(response)) as events:
                async for event in events:
                    yield event
        finally:
            await response.aclose()

    async def _events(self, response: httpx.Response) -> AsyncGenerator[ModelEvent, None]:
        decoder, reader = EventDecoder(), ReplyReader()
        seconds, stage = self._endpoint.first_event_seconds, "model_first_event"
        received = cast("AsyncGenerator[bytes, None]", response.aiter_bytes())
        async with aclosing(received) as pieces:
            while not reader.ended:
                piece = await _piece(pieces, stage, seconds)
                for data in decoder.push(piece):
                    for event in reader.read(data):
                        yield event
                    seconds, stage = self._endpoint.next_event_seconds, "model_next_event"


async def _piece(pieces: AsyncGenerator[bytes, None], stage: str, seconds: float) -> bytes:
    try:
        async with _deadline(stage, seconds):
            piece = await anext(pieces, None)
    except httpx.HTTPError as error:
        raise ModelReplyError("the connection broke inside the reply") from error
    if piece is None:
        raise ModelReplyError("the reply broke off before its end")
    return piece


@asynccontextmanager
async def _deadline(stage: str, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise StageTimeoutError(stage, seconds) from error


def _failed(error: httpx.HTTPError, endpoint: ModelEndpoint) -> SpeechError:
    if isinstance(error, httpx.ConnectTimeout):
        return StageTimeoutError("model_connect", endpoint.connect_seconds)
    return ModelFailedError(f"the endpoint cannot be reached ({type(error).__name__})")


def _refuse(response: httpx.Response) -> None:
    """Raises the error that a status stands for."""
    status = response.status_code
    if status == TOO_MANY_REQUESTS:
        after = response.headers.get("retry-after", "")
        raise ModelBusyError("the endpoint answered 429", float(after) if after.isdigit() else None)
    if status >= SERVER_ERRORS:
        raise ModelFailedError(f"the endpoint answered {status}")
    if status != httpx.codes.OK:
        raise ModelRefusedError(f"the endpoint answered {status}")
