"""The life of the trunks: where their hosts are, whether they answer, and our registrations with them.

Addresses come from DNS, whose answers are kept for their time to live; OPTIONS tell which host answers; REGISTER is
refreshed by the engine. A new table of trunks changes only what differs. For the loop's thread; it logs changes alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, Protocol

from telephony.call.ports import Scheduler
from telephony.call.timers import TimerSet
from telephony.gateway.trunk_address import Identity, bare_host, credentials_of
from telephony.sip.auth import Credentials
from telephony.sip.errors import SipError
from telephony.sip.events import OptionsAnswered, RegistrationChanged, RegistrationState
from telephony.sip.flow import Flow, Transport
from telephony.trunks import Trunk

log = logging.getLogger(__name__)

RESOLVE_S: Final = 30.0
"""Names are asked again this often; what DNS said is kept for its TTL beneath."""
PING_ANSWER_S: Final = 4.0
"""A host that has not answered an OPTIONS by then counts as down."""
_DEAD: Final = frozenset((408, 503))
"""Silence, no transport, or "not now": any other answer to an OPTIONS shows that somebody is there."""

State = Literal["up", "down", "unknown", "registering", "registered", "failed"]


class RegistrationHandle(Protocol):
    """A registration of ours; `telephony.sip.registration.Registration`."""

    id: str

    @property
    def service_route(self) -> tuple[str, ...]: ...
    def move(self, flow: Flow, now: float) -> None: ...
    def stop(self, now: float) -> None: ...


class Engine(Protocol):
    """What the watch asks of `SipEngine`."""

    def options(self, target: str, *, from_: str, flow: Flow, now: float) -> str: ...
    def register(
        self,
        registrar: str,
        *,
        aor: str,
        flow: Flow,
        now: float,
        credentials: Credentials,
        expires: int = 3600,
    ) -> RegistrationHandle: ...


class Wire(Protocol):
    """The sockets: `telephony.sip.transport.SipTransport`."""

    def now(self) -> float: ...
    def flush(self) -> None: ...
    async def resolve(
        self, uri: str, *, transport: Transport | None = None, within: float = 3.0
    ) -> list[Flow]: ...


@dataclass(frozen=True, slots=True)
class Way:
    """One address of a trunk: the host as it is written in the table, and how it is reached."""

    host: str
    flow: Flow


@dataclass(slots=True)
class _Life:
    trunk: Trunk
    ways: tuple[Way, ...] = ()
    down: set[Flow] = field(default_factory=set)
    answered: set[Flow] = field(default_factory=set)
    registration: RegistrationHandle | None = None
    registered: State = "unknown"
    moves: int = 0
    status: int | None = None
    last_error: str = ""

    @property
    def state(self) -> State:
        if self.trunk.register:
            return self.registered
        if any(way.flow in self.answered for way in self.ways):
            return "up"
        return (
            "down" if self.ways and all(way.flow in self.down for way in self.ways) else "unknown"
        )


class TrunkWatch:
    """`on_addresses(trunk, addresses)`: the hosts of a trunk resolve to others than before."""

    def __init__(
        self,
        engine: Engine,
        wire: Wire,
        scheduler: Scheduler,
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
        identity: Identity,
        on_addresses: Callable[[str, frozenset[str]], None],
    ) -> None:
        self._engine = engine
        self._wire = wire
        self._timers = TimerSet(scheduler)
        self._spawn = spawn
        self._identity = identity
        self._on_addresses = on_addresses
        self._lives: dict[str, _Life] = {}
        self._pings: dict[str, tuple[str, Flow]] = {}
        self._registrations: dict[str, str] = {}

    # ------------------------------------------------------------------------------- the table

    def take(self, trunks: Mapping[str, Trunk]) -> None:
        """The trunks in use from now on; what has not changed goes on undisturbed."""
        for name in list(self._lives):
            if name not in trunks:
                self._end(name)
        for name, trunk in trunks.items():
            life = self._lives.get(name)
            if life is None:
                self._lives[name] = _Life(trunk)
                self._look_up(name)
            elif life.trunk != trunk:
                self._change(life, trunk)
        self._wire.flush()

    def _change(self, life: _Life, trunk: Trunk) -> None:
        before, life.trunk = life.trunk, trunk
        if _place(before) != _place(trunk):
            life.ways, life.down, life.answered = (), set(), set()
        if not trunk.ping_s:  # nobody would ever find it up again
            life.down.clear()
        if _registration(before) != _registration(trunk):
            self._stop_registration(life)
        self._look_up(trunk.name)

    def _end(self, name: str) -> None:
        life = self._lives.pop(name)
        self._stop_registration(life)
        for timer in ("look up", "ping"):
            self._timers.cancel(f"{timer}:{name}")
        self._pings = {id_: ping for id_, ping in self._pings.items() if ping[0] != name}

    def close(self) -> None:
        """Takes back our registrations; nothing is watched any more."""
        for name in list(self._lives):
            self._end(name)
        self._timers.close()
        self._wire.flush()

    # ------------------------------------------------------------------------------- addresses

    def _look_up(self, name: str) -> None:
        self._timers.cancel(f"look up:{name}")
        self._spawn("trunk_look_up", self.looked_up(name))

    async def looked_up(self, name: str) -> None:
        """Asks DNS now; returns when `ways` is as good as it gets. Of a host that is not found the old ones are kept."""
        life = self._lives.get(name)
        if life is None:
            return
        trunk = life.trunk
        ways: list[Way] = []
        answers = 0
        for host in trunk.hosts:
            found = [Way(host, flow) for flow in await self._resolved(trunk, host)]
            answers += len(found)
            ways += found or [way for way in life.ways if way.host == host]
        if self._lives.get(name) is not life or life.trunk != trunk:
            return  # the table changed meanwhile, and its look-up is on the way
        self._timers.set(f"look up:{name}", RESOLVE_S, partial(self._look_up, name))
        self._found(life, tuple(ways) if answers else ())

    async def _resolved(self, trunk: Trunk, host: str) -> list[Flow]:
        try:
            return await self._wire.resolve(f"sip:{host}", transport=trunk.transport)
        except SipError:
            return []

    def _found(self, life: _Life, ways: tuple[Way, ...]) -> None:
        name = life.trunk.name
        if not ways and life.trunk.hosts:
            self._trouble(life, "dns")
            return
        if ways != life.ways:
            life.ways = ways
            flows = {way.flow for way in ways}
            life.down &= flows
            life.answered &= flows
            self._on_addresses(name, frozenset(way.flow.remote[0] for way in ways))
        if life.trunk.register and life.registration is None:
            self._register(life)
        if not self._timers.has(f"ping:{name}"):
            self._ping(name)

    # ------------------------------------------------------------------------------- pings

    def _ping(self, name: str) -> None:
        life = self._lives.get(name)
        if life is None or not life.trunk.ping_s:
            return
        self._timers.set(f"ping:{name}", float(life.trunk.ping_s), partial(self._ping, name))
        for flow in dict.fromkeys(way.flow for way in life.ways):
            host = next(way.host for way in life.ways if way.flow == flow)
            id_ = self._engine.options(
                f"sip:{host}",
                from_=self._identity.towards(flow.remote[0]).ours(),
                flow=flow,
                now=self._wire.now(),
            )
            self._pings[id_] = (name, flow)
            late = partial(self._answered, OptionsAnswered(id_, 408))
            self._timers.set(f"pong:{id_}", PING_ANSWER_S, late)
        self._wire.flush()

    def _answered(self, event: OptionsAnswered) -> None:
        name, flow = self._pings.pop(event.id, ("", None))
        self._timers.cancel(f"pong:{event.id}")
        life = self._lives.get(name)
        if life is not None and flow is not None:
            self._heard(life, flow, event.status, alive=event.status not in _DEAD)

    def failed(self, trunk: str, flow: Flow, status: int) -> None:
        """A call found nobody at this address; others are tried first until it answers again."""
        life = self._lives.get(trunk)
        if life is not None and life.trunk.ping_s:
            self._heard(life, flow, status, alive=False)

    def _heard(self, life: _Life, flow: Flow, status: int, *, alive: bool) -> None:
        before = life.state
        life.status = status
        (life.down.discard if alive else life.down.add)(flow)
        (life.answered.add if alive else life.answered.discard)(flow)
        if life.state != before:
            log.info(
                "trunk_state_changed",
                extra={
                    "trunk": life.trunk.name,
                    "old": before,
                    "new": life.state,
                    "status": status,
                },
            )
        life.last_error = "" if alive else f"status {status}"

    # ------------------------------------------------------------------------------- registrations

    def _register(self, life: _Life) -> None:
        trunk = life.trunk
        host = trunk.hosts[0]
        user = trunk.username if "@" in trunk.username else f"{trunk.username}@{bare_host(host)}"
        try:
            life.registration = self._engine.register(
                f"sip:{host}",
                aor=f"sip:{user}",
                flow=self._first_way(life).flow,
                now=self._wire.now(),
                credentials=credentials_of(trunk) or Credentials(trunk.username, trunk.password),
                expires=trunk.register_expires_s,
            )
        except SipError:
            self._trouble(life, "username")
            return
        life.registered = "registering"
        self._registrations[life.registration.id] = trunk.name
        self._wire.flush()

    def _stop_registration(self, life: _Life) -> None:
        if life.registration is not None:
            life.registration.stop(self._wire.now())
            self._registrations.pop(life.registration.id, None)
        life.registration, life.registered = None, "unknown"

    def _registered(self, event: RegistrationChanged) -> None:
        life = self._lives.get(self._registrations.get(event.id, ""))
        if life is None or life.registration is None:
            return
        before, life.registered = life.registered, _REGISTERED[event.state]
        life.status = event.status or life.status
        life.last_error = "" if life.registered != "failed" else f"status {event.status}"
        if life.registered == "registered":
            life.moves = 0
        if life.registered != before:
            log.info(
                "trunk_registration_changed",
                extra={
                    "trunk": life.trunk.name,
                    "old": before,
                    "new": life.registered,
                    "status": event.status,
                },
            )
        if life.registered == "failed" and event.status in _DEAD:
            self._move_on(life)

    def _move_on(self, life: _Life) -> None:
        """To the next address at once; when all were tried, the engine's back-off goes on with the last."""
        life.moves += 1
        if life.registration is not None and life.moves < len(life.ways):
            way = life.ways[life.moves % len(life.ways)]
            life.registration.move(way.flow, self._wire.now())
            self._wire.flush()

    # ------------------------------------------------------------------------------- what others ask

    def handle(self, event: OptionsAnswered | RegistrationChanged) -> None:
        """An event of the engine."""
        if isinstance(event, OptionsAnswered):
            self._answered(event)
        else:
            self._registered(event)

    def ways(self, trunk: str) -> tuple[Way, ...]:
        """Where a new call may go, hosts that are not known to be down first; empty: not looked up yet."""
        life = self._lives.get(trunk)
        if life is None:
            return ()
        return tuple(sorted(life.ways, key=lambda way: way.flow in life.down))

    def service_route(self, trunk: str) -> tuple[str, ...]:
        """What our requests to the trunk have to pass (RFC 3608)."""
        life = self._lives.get(trunk)
        if life is None or life.registration is None:
            return ()
        return life.registration.service_route

    @property
    def down(self) -> frozenset[str]:
        """Trunks that do not answer, or do not let us register: tried last."""
        return frozenset(n for n, life in self._lives.items() if life.state in {"down", "failed"})

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """For health: by trunk."""
        return {
            name: {
                "state": life.state,
                "status": life.status,
                "last_error": life.last_error,
                "hosts": len({way.flow.remote for way in life.ways}),
                "hosts_down": len(life.down),
            }
            for name, life in self._lives.items()
        }

    def _first_way(self, life: _Life) -> Way:
        return min(life.ways, key=lambda way: way.flow in life.down)

    def _trouble(self, life: _Life, what: str) -> None:
        if life.last_error != what:
            life.last_error = what
            log.warning("trunk_trouble", extra={"trunk": life.trunk.name, "reason": what})


_REGISTERED: Final[Mapping[RegistrationState, State]] = {
    RegistrationState.REGISTERING: "registering",
    RegistrationState.REGISTERED: "registered",
    RegistrationState.FAILED: "failed",
    RegistrationState.STOPPED: "unknown",
}


def _place(trunk: Trunk) -> tuple[Any, ...]:
    return (trunk.hosts, trunk.transport)


def _registration(trunk: Trunk) -> tuple[Any, ...]:
    return (
        *_place(trunk),
        trunk.register,
        trunk.register_expires_s,
        trunk.username,
        trunk.password,
        trunk.realm,
    )
