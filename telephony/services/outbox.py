"""Hands due work out, once the fact behind it is committed; a failed try comes back later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from telephony.models import Outbox
from telephony.selectors import due_outbox

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 3600.0
MOST_DOUBLINGS: Final = 10
"""Past the longest pause; a task that fails for weeks must not overflow the sum."""

Deliver = Callable[[str, Mapping[str, Any]], None]
"""(topic, body): raises if it could not be handed over."""


def deliver_due(*, now: datetime, deliver: Deliver, limit: int = 20) -> int:
    """Hands over what is due; a task may come twice (its handlers are idempotent), never not at all.

    Returns: how many were handed over.
    """
    delivered = 0
    for task in due_outbox(now, limit):
        try:
            deliver(task.topic, task.body)
        except Exception as error:  # noqa: BLE001 - one bad task must not keep the others from running
            _postpone(task, now, error)
            continue
        Outbox.objects.filter(pk=task.pk).update(done_at=now, last_error="")
        delivered += 1
    return delivered


def _postpone(task: Outbox, now: datetime, error: Exception) -> None:
    tries = task.tries + 1
    doublings = min(tries - 1, MOST_DOUBLINGS)
    delay_s = min(FIRST_RETRY_S * 2**doublings, LONGEST_RETRY_S)
    extra = {"topic": task.topic, "key": task.key, "tries": tries, "reason": type(error).__name__}
    log.warning("outbox_postponed", extra=extra)
    Outbox.objects.filter(pk=task.pk).update(
        tries=tries, next_at=now + timedelta(seconds=delay_s), last_error=type(error).__name__
    )
