"""Writes of numbers, phones, policies and widget keys. What they publish is heard by whoever answers calls."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Final

from django.db import transaction
from django.dispatch import Signal

from telephony.models import Extension, Number, OutboundPolicy, Route, WidgetKey
from telephony.sip.digest import ha1_of
from telephony.trunks import ALGORITHMS, REALM

log = logging.getLogger(__name__)

routing_changed: Final = Signal()
"""Sent after the commit of a change that callers should notice."""


def announce_routing(report: Callable[[str], None] | None = None) -> None:
    """Tells, once the change is committed, that routes or widget keys are different now.

    `report` gets one sentence from each listener: what became of the change.
    """

    def announce() -> None:
        for _, outcome in routing_changed.send_robust(sender=None):
            if isinstance(outcome, Exception):
                log.error("routing_not_published", exc_info=outcome)
                why = getattr(outcome, "user_message", "the log says why")
                outcome = f"It is saved, but could not be published: {why}."
            if report is not None:
                report(str(outcome))

    transaction.on_commit(announce)


@transaction.atomic
def route_number(*, dialled: str, label: str, agent: str) -> Route:
    """The number, answered by the agent. Idempotent: what people changed since then stays."""
    number, _ = Number.objects.get_or_create(dialled=dialled, defaults={"label": label})
    return number.routes.first() or Route.objects.create(number=number, agent=agent)


@transaction.atomic
def allow_widget(*, key: str, label: str, agent: str, origins: Sequence[str]) -> WidgetKey:
    """The key with at least these origins. Idempotent. Raises: ValidationError for a bad origin."""
    widget, _ = WidgetKey.objects.get_or_create(
        key=key, defaults={"label": label, "agent": agent, "origins": list(origins)}
    )
    missing = [origin for origin in origins if origin not in widget.origins]
    if missing:
        widget.origins = [*widget.origins, *missing]
        widget.save(update_fields=["origins"])
    return widget


def set_extension_password(extension: Extension, password: str) -> None:
    """Keeps what SIP needs of the password (HA1 for our realm), not the password; the caller saves the row."""
    values = {each: ha1_of(each, extension.name, REALM, password) for each in ALGORITHMS}
    extension.ha1 = json.dumps(values)


def ensure_outbound_policy() -> OutboundPolicy:
    """The one row, made if it is not there. Idempotent."""
    policy, _ = OutboundPolicy.objects.get_or_create(pk=1)
    return policy
