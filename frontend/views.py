"""Pages: live list, one call, history, and the page on which anybody can try the demo agent.

Each is rendered with its data, so that something true is on the screen before any script runs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from frontend import access, hub, options, records
from frontend import widget_script as script
from frontend.access import Viewer
from frontend.call_log import read_events
from frontend.hub import Hub
from frontend.presenters.events import present_event
from frontend.presenters.history import Filters, present_past
from frontend.presenters.rows import STATES, order_of, present_row

DEMO_KEY: Final = "demo"
SCRIPT_AGE_S: Final = 300

Page = Callable[..., Coroutine[Any, Any, HttpResponse]]


def for_viewers(page: Page) -> Page:
    """The page for people who may see calls; a stranger is asked to log in, others are refused."""

    @wraps(page)
    async def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        user = await request.auser()
        viewer = await database_sync_to_async(access.viewer_of)(user)
        if viewer is not None:
            return await page(request, viewer, **arguments)
        if user.is_authenticated:
            raise PermissionDenied("You may not see calls.")
        if request.headers.get("HX-Request"):
            answer = HttpResponse(status=204)
            answer.headers["HX-Redirect"] = reverse("login")
            return answer
        return redirect_to_login(request.get_full_path())

    return guarded


async def _hub() -> Hub:
    found = hub.current()
    await found.start()
    return found


async def render_page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """The template with its context. Templates look at the user's permissions, which may read the database."""
    response: HttpResponse = await database_sync_to_async(render)(request, template, context)
    return response


def _page_data(viewer: Viewer) -> dict[str, Any]:
    """What every live page's script starts from."""
    return {
        "socket": "/ws/supervisor/",
        "user": viewer.name,
        "permissions": sorted(viewer.permissions),
        "ice_servers": options.ice_servers(),
        "states": {name: {"word": word.word, "icon": word.icon} for name, word in STATES.items()},
    }


@require_safe
@for_viewers
async def live(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """The live list."""
    board = (await _hub()).board
    rows = {call: present_row(row, viewer) for call, row in board.rows.items()}
    now_us = datetime.now(UTC).timestamp() * 1e6
    shown = [
        {
            **rows[name],
            "shown": STATES[rows[name]["state"]],
            "seconds": _seconds(rows[name], now_us),
        }
        for name in order_of(rows)
    ]
    past = await database_sync_to_async(records.past_calls)(records.RECENT)
    context = {
        "page": "live",
        "rows": shown,
        "recent": [present_past(line, viewer) for line in past],
        "sum": board.figures.numbers(board.rows.values(), 0.0),
        "data": _page_data(viewer),
    }
    return await render_page(request, "desk/live.html", context)


def _seconds(row: dict[str, Any], now_us: float) -> float:
    began = row["answered_us"] or row["started_us"] or now_us
    return max(0.0, ((row["ended_us"] or now_us) - began) / 1e6)


@require_safe
@for_viewers
async def call(request: HttpRequest, viewer: Viewer, call: str) -> HttpResponse:
    """One call, live or ended: the same page from the same events."""
    found = await _hub()
    row = found.board.rows.get(call) or await database_sync_to_async(records.row_of)(call)
    if row is None:
        raise Http404("There is no such call.")
    shown = present_row(row, viewer)
    events = [present_event(body, viewer) for body in await read_events(found, call, 0)]
    deeds = await database_sync_to_async(records.audit_of)(call)
    targets = []
    if viewer.may(access.TRANSFER):
        targets = await database_sync_to_async(records.transfer_targets)()
    summary = ""
    if viewer.may(access.TRANSCRIPT):
        summary = await database_sync_to_async(records.summary_of)(call)
    context = {
        "page": "call",
        "row": shown,
        "shown": STATES[shown["state"]],
        "summary": summary,
        "data": _page_data(viewer)
        | {
            "call": call,
            "row": shown,
            "events": events,
            "targets": targets,
            "audit": [{"at_us": d.at_us, "who": d.who, "what": d.what} for d in deeds],
        },
    }
    return await render_page(request, "desk/call.html", context)


@require_safe
@for_viewers
async def history(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Ended calls; an htmx request gets the table alone."""
    filters = Filters.from_query(request.GET)
    past = await database_sync_to_async(records.past_calls)()
    lines = [present_past(line, viewer) for line in past]
    context = {
        "page": "history",
        "lines": [line for line in lines if filters.match(line)],
        "filters": filters,
        "agents": sorted({line.agent for line in lines if line.agent}),
    }
    is_partial = request.headers.get("HX-Request") == "true"
    template = "partials/history_lines.html" if is_partial else "desk/history.html"
    response = await render_page(request, template, context)
    response.headers["Vary"] = "HX-Request"
    return response


@require_safe
def try_it(request: HttpRequest) -> HttpResponse:
    """The demo agent behind one button; needs no login."""
    return render(request, "widget/try.html", {"page": "try", "key": DEMO_KEY})


@require_safe
def widget_script(request: HttpRequest) -> HttpResponse:
    """The widget as one file that any site may load; who may call with it is checked at the WebSocket."""
    built = script.built(options.ice_servers(), fresh=settings.DEBUG)
    if request.headers.get("If-None-Match") == built.etag:
        response: HttpResponse = HttpResponseNotModified()
    elif "gzip" in request.headers.get("Accept-Encoding", ""):
        response = HttpResponse(built.gzipped, content_type="text/javascript; charset=utf-8")
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = HttpResponse(built.text, content_type="text/javascript; charset=utf-8")
    response.headers["ETag"] = built.etag
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={SCRIPT_AGE_S}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
