"""What the plane counts; one object, written by the plane's thread, read by anyone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since start. `malformed` by kind; `strays` are datagrams of unknown sources, never heard.

    `unsent`: RTP that the sockets did not take.
    """

    received: int = 0
    sent: int = 0
    unsent: int = 0
    strays: int = 0
    truncated: int = 0
    over_limit: int = 0
    stale_commands: int = 0
    refused_commands: int = 0
    handler_errors: int = 0
    inbox_dropped: int = 0
    overruns: int = 0
    sub_ticks: int = 0
    malformed: Counter[str] = field(default_factory=Counter)
