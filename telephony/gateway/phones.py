"""Phones that register with us: a softphone or desk phone that is a person's, under its extension's name.

Who a phone is was proved by digest before (`Origins`); here only whether it may be that extension, and for how long.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from telephony.dialplan import DialPlan
from telephony.sip.errors import SipError
from telephony.sip.events import RegisterReceived
from telephony.sip.registrar import Binding
from telephony.sip.uri import parse_uri

log = logging.getLogger(__name__)

LONGEST_S: Final = 300
"""Bindings live in the memory of the node: after a restart a phone is away until it registers again. NAT forgets too."""
FORBIDDEN: Final = 403
MOST_PLACES: Final = 8
"""Domains one extension registers under at once; more are not remembered."""


class Bindings(Protocol):
    """Where phones are reached: `SipEngine.bindings`."""

    def of(self, aor: str, now: float) -> tuple[Binding, ...]: ...


class Wire(Protocol):
    """The sockets behind the engine."""

    def now(self) -> float: ...
    def flush(self) -> None: ...


class Phones:
    """The registered phones. `counters`: registrations by outcome."""

    def __init__(self, bindings: Bindings, wire: Wire, plan: Callable[[], DialPlan]) -> None:
        self.counters: Counter[str] = Counter()
        self._bindings = bindings
        self._wire = wire
        self._plan = plan
        self._addresses: dict[str, list[str]] = {}

    def handle(self, event: RegisterReceived) -> None:
        """A REGISTER whose digest was right."""
        registration = event.registration
        now = self._wire.now()
        name = _user(registration.aor)
        extension = self._plan().extensions.get(name)
        if extension is None or not extension.enabled or registration.username != name:
            self.counters["forbidden"] += 1
            registration.reject(FORBIDDEN, now)
        else:
            self._remember(name, registration.aor)
            self.counters["accepted"] += 1
            registration.accept(now, min(registration.expires, LONGEST_S))
        self._wire.flush()

    def _remember(self, name: str, aor: str) -> None:
        """Phones register under whatever host they were told to; all of them are this extension."""
        known = self._addresses.setdefault(name, [])
        if aor not in known:
            known.insert(0, aor)
            del known[MOST_PLACES:]

    def ways(self, extension: str, now: float) -> tuple[Binding, ...]:
        """Where the extension is reached, best first; empty if it is off or no phone is connected."""
        found = self._plan().extensions.get(extension)
        if found is None or not found.enabled:
            return ()
        places = [
            binding
            for aor in self._addresses.get(extension, ())
            for binding in self._bindings.of(aor, now)
        ]
        return tuple(sorted(places, key=lambda place: (-place.q, -place.expires_at)))

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """For health: by extension."""
        now = self._wire.now()
        return {
            name: {"connected": len(self.ways(name, now)), "person": extension.person}
            for name, extension in self._plan().extensions.items()
            if extension.enabled
        }


def _user(aor: str) -> str:
    try:
        return parse_uri(aor).number
    except SipError:
        return ""
