"""The API by which programs place calls (docs/api.md): a token in, JSON out. No session, no cookie.

A call is reserved among the token's calls before the media node is asked, so that caps hold when requests race.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, Literal

from channels.db import database_sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from frontend import api_records, hub
from frontend.api_limits import RateLimit
from frontend.api_records import Caller
from frontend.api_requests import (
    ApiError,
    DialRequest,
    read_dial_request,
    read_key,
    refused_by_node,
)
from frontend.call_log import read_events
from frontend.presenters.outcome import present_outcome
from telephony.call.errors import NodeUnreachableError, RequestError
from telephony.services import Reservation

log = logging.getLogger(__name__)

STRANGERS_PER_MINUTE: Final = 30
DIAL_TIMEOUT_S: Final = 10.0

_tokens: Final = RateLimit()
_strangers: Final = RateLimit()

Answer = Callable[..., Coroutine[Any, Any, HttpResponse]]
Scope = Literal["dial", "read"]


def for_tokens(scope: Scope) -> Callable[[Answer], Answer]:
    """The answer for programs whose token has this scope; every refusal is JSON."""

    def decorate(answer: Answer) -> Answer:
        @wraps(answer)
        async def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                caller = await _caller_of(request, scope)
                return await answer(request, caller, **arguments)
            except ApiError as error:
                return _refusal(error)

        return guarded

    return decorate


def _refusal(error: ApiError) -> HttpResponse:
    response = JsonResponse(error.body(), status=error.status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="calls"'
    return response


async def _caller_of(request: HttpRequest, scope: Scope) -> Caller:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    now = asyncio.get_running_loop().time()
    caller: Caller | None = None
    if scheme.lower() == "bearer" and 0 < len(secret) <= 128:
        caller = await database_sync_to_async(api_records.api_caller)(secret.strip())
    if caller is None:
        source = str(request.META.get("REMOTE_ADDR", ""))
        _check_rate(_strangers, source, STRANGERS_PER_MINUTE, now)
        raise ApiError(401, "unauthorised", "A token in force is needed: Authorization: Bearer …")
    _check_rate(_tokens, str(caller.id), caller.per_minute, now)
    if not (caller.may_dial if scope == "dial" else caller.may_read):
        raise ApiError(403, "scope", f"This token may not {scope}.")
    return caller


def _check_rate(limit: RateLimit, key: str, per_minute: int, now: float) -> None:
    wait = limit.wait_s(key, per_minute, now)
    if wait > 0:
        raise ApiError(429, "rate", "Too many requests.", retry_after_s=wait)


@csrf_exempt
async def calls(request: HttpRequest) -> HttpResponse:
    """POST places a call."""
    if request.method != "POST":
        error = _refusal(ApiError(405, "method", "POST places a call."))
        error.headers["Allow"] = "POST"
        return error
    response: HttpResponse = await _place(request)
    return response


@for_tokens("dial")
async def _place(request: HttpRequest, caller: Caller) -> HttpResponse:
    if request.content_type != "application/json":
        raise ApiError(415, "content_type", "Send application/json.")
    order = read_dial_request(request.body)
    key = read_key(request.headers.get("Idempotency-Key", "")) or secrets.token_urlsafe(16)
    if order.agent not in caller.agents:
        raise ApiError(403, "agent", "This token may not use that agent.", field="agent")
    call = await _dial(caller, order, key)
    address = reverse("api-call", args=[call])
    body = {"id": call, "state": "dialling", "url": address}
    return JsonResponse(body, status=202, headers={"Location": address})


async def _dial(caller: Caller, order: DialRequest, key: str) -> str:
    found = hub.current()
    await found.start()
    place: Reservation = await database_sync_to_async(api_records.reserve)(
        caller, key, order.canonical(), found.node_for_new_call()
    )
    if place.call:
        return place.call
    arguments = {**order.arguments(), "id": f"api-{caller.id}-{key}"}
    try:
        reply = await found.request(place.node, "outbound.dial", arguments, DIAL_TIMEOUT_S)
    except RequestError as error:
        await database_sync_to_async(api_records.note_refused)(
            caller, place, error.code, order.agent
        )
        raise refused_by_node(error.code, error.text) from error
    except NodeUnreachableError as error:
        await database_sync_to_async(api_records.note_refused)(
            caller, place, "node_unreachable", order.agent
        )
        text = "No media node can be reached."
        raise ApiError(503, "node_unreachable", text, retry_after_s=5) from error
    except (
        TimeoutError
    ) as error:  # it may be ringing: the place stays taken, and the same key asks again
        text = "The media node did not answer in time; repeat the request with the same Idempotency-Key."
        raise ApiError(504, "timeout", text, retry_after_s=2) from error
    call = str(reply["call"])
    await database_sync_to_async(api_records.note_placed)(caller, place, call, order.agent)
    log.info("call_dialled", extra={"call_id": call, "by": "api"})
    return call


@for_tokens("read")
async def _tell(request: HttpRequest, caller: Caller, call: str) -> HttpResponse:
    if not await database_sync_to_async(api_records.is_own)(caller, call):
        raise ApiError(404, "unknown_call", "This token placed no such call.")
    found = hub.current()
    await found.start()
    return JsonResponse(present_outcome(call, await read_events(found, call, 0)))


@csrf_exempt
async def one_call(request: HttpRequest, call: str) -> HttpResponse:
    """GET tells what became of a call that the token placed."""
    if request.method not in {"GET", "HEAD"}:
        error = _refusal(ApiError(405, "method", "GET tells what became of a call."))
        error.headers["Allow"] = "GET"
        return error
    response: HttpResponse = await _tell(request, call=call)
    return response
