"""The page on which people see how trunks are doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from channels.db import database_sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from frontend import access, hub
from frontend.access import Viewer
from frontend.presenters.quality import TrunkCard, present_trunk
from frontend.views import for_viewers, render_page
from telephony import selectors
from telephony.services import utc_now

SPANS: Final = (6, 24, 72)
"""Hours that can be asked for."""
USUAL: Final = 24


@dataclass(frozen=True, slots=True)
class _Asked:
    viewer: Viewer
    hours: int
    health: dict[str, Any]


def _cards(asked: _Asked) -> list[TrunkCard]:
    now = utc_now()
    states = selectors.trunk_states(asked.health) or {}
    found = selectors.trunk_quality(now, asked.hours)
    found.sort(key=lambda quality: not quality.enabled)  # the others keep their order
    failed = [failure.call for quality in found for failure in quality.failures]
    called = selectors.called_numbers(failed)
    return [
        present_trunk(
            quality,
            states.get(quality.name),
            asked.viewer,
            called,
            selectors.trunk_days(quality.name, now),
        )
        for quality in found
    ]


@require_safe
@for_viewers
async def trunks(request: HttpRequest, viewer: Viewer) -> HttpResponse:
    """Each trunk: up or down, calls now, and its figures over the last hours."""
    if not viewer.may(access.QUALITY):
        raise PermissionDenied("You may not see the quality of trunks.")
    hours = {str(span): span for span in SPANS}.get(request.GET.get("hours", ""), USUAL)
    found = hub.current()
    await found.start()
    asked = _Asked(viewer, hours, dict(found.health))
    context = {
        "page": "trunks",
        "trunks": await database_sync_to_async(_cards)(asked),
        "hours": hours,
        "spans": SPANS,
    }
    return await render_page(request, "desk/trunks.html", context)
