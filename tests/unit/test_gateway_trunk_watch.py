"""The life of trunks on a clock that tests move: addresses, pings, registrations, and tables that change."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from telephony.gateway.trunk_address import Identity
from telephony.gateway.trunk_watch import PING_ANSWER_S, RESOLVE_S, TrunkWatch
from telephony.sip.auth import Credentials
from telephony.sip.events import OptionsAnswered, RegistrationChanged, RegistrationState
from telephony.sip.flow import Flow
from telephony.trunks import Trunk
from tests.fakes.manual_clock import ManualClock

CARRIER = Trunk(name="carrier", hosts=("one.example.com", "two.example.com:5070"), ping_s=30)
MEMBER = replace(CARRIER, register=True, username="u1", password="p1", ping_s=0)


def flow(address: str) -> Flow:
    return Flow("udp", ("192.0.2.1", 5060), (address, 5060))


@dataclass
class Registration:
    id: str
    moved: list[Flow] = field(default_factory=list)
    stopped: bool = False
    service_route: tuple[str, ...] = ("<sip:edge;lr>",)

    def move(self, flow: Flow, now: float) -> None:
        self.moved.append(flow)

    def stop(self, now: float) -> None:
        self.stopped = True


class Scene:
    """An engine, a wire and a resolver that keep what they were asked."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.names = {
            "sip:one.example.com": ["198.51.100.1"],
            "sip:two.example.com:5070": ["198.51.100.2"],
        }
        self.pings: list[tuple[str, str]] = []
        self.registrations: list[Registration] = []
        self.asked: list[dict[str, Any]] = []
        self.addresses: dict[str, frozenset[str]] = {}
        self.waiting: list[Coroutine[Any, Any, None]] = []
        self.watch = TrunkWatch(
            self,
            self,
            self.clock,
            lambda name, work: self.waiting.append(work),
            Identity("192.0.2.1", 5060),
            self.addresses.__setitem__,
        )

    def now(self) -> float:
        return self.clock.monotonic()

    def flush(self) -> None:
        pass

    async def resolve(self, uri: str, *, transport: Any = None, within: float = 3.0) -> list[Flow]:
        return [flow(address) for address in self.names.get(uri, [])]

    def options(self, target: str, *, from_: str, flow: Flow, now: float) -> str:
        self.pings.append((f"o{len(self.pings)}", flow.remote[0]))
        return self.pings[-1][0]

    def register(
        self,
        registrar: str,
        *,
        aor: str,
        flow: Flow,
        now: float,
        credentials: Credentials,
        expires: int = 3600,
    ) -> Registration:
        self.asked.append({"registrar": registrar, "aor": aor, "expires": expires, "flow": flow})
        self.registrations.append(Registration(f"r{len(self.registrations)}"))
        return self.registrations[-1]

    async def take(self, *trunks: Trunk) -> None:
        self.watch.take({trunk.name: trunk for trunk in trunks})
        await self.settle()

    async def settle(self) -> None:
        while self.waiting:
            await self.waiting.pop(0)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.settle()

    def answer(self, address: str, status: int) -> None:
        [id_] = [ping for ping, where in self.pings[-2:] if where == address]
        self.watch.handle(OptionsAnswered(id_, status))

    def state(self, trunk: str = "carrier") -> str:
        return str(self.watch.states()[trunk]["state"])

    def changed(self, state: RegistrationState, status: int = 200) -> None:
        self.watch.handle(RegistrationChanged(self.registrations[-1].id, state, status))

    @property
    def ways(self) -> list[str]:
        return [way.flow.remote[0] for way in self.watch.ways("carrier")]


async def test_the_hosts_of_a_trunk_are_looked_up_and_pinged_in_order() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    assert scene.ways == ["198.51.100.1", "198.51.100.2"]
    assert [where for _, where in scene.pings] == scene.ways
    assert scene.addresses["carrier"] == {"198.51.100.1", "198.51.100.2"}
    assert scene.state() == "unknown"


async def test_a_host_that_answers_with_anything_is_up() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.answer("198.51.100.1", 405)
    assert scene.state() == "up"
    assert scene.watch.down == frozenset()


async def test_a_host_that_is_silent_is_tried_last_until_it_answers() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.answer("198.51.100.2", 200)
    await scene.advance(PING_ANSWER_S)
    assert scene.ways == ["198.51.100.2", "198.51.100.1"]
    assert scene.state() == "up"
    await scene.advance(30)
    scene.answer("198.51.100.1", 200)
    assert scene.ways == ["198.51.100.1", "198.51.100.2"]


async def test_a_trunk_whose_hosts_are_all_away_is_down() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.answer("198.51.100.1", 503)
    scene.answer("198.51.100.2", 408)
    assert scene.state() == "down"
    assert scene.watch.down == {"carrier"}
    assert scene.watch.states()["carrier"]["last_error"] == "status 408"


async def test_the_late_answer_to_a_ping_that_was_given_up_changes_nothing() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    ids = [ping for ping, _ in scene.pings]
    await scene.advance(PING_ANSWER_S)
    scene.watch.handle(OptionsAnswered(ids[0], 200))
    assert scene.state() == "down"


async def test_a_call_that_found_nobody_marks_the_host() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.watch.failed("carrier", flow("198.51.100.1"), 408)
    assert scene.ways == ["198.51.100.2", "198.51.100.1"]


async def test_names_are_asked_again_and_the_old_addresses_outlive_a_dead_dns() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.names["sip:one.example.com"] = ["198.51.100.9"]
    await scene.advance(RESOLVE_S)
    assert scene.ways == ["198.51.100.9", "198.51.100.2"]
    scene.names.clear()
    await scene.advance(RESOLVE_S)
    assert scene.ways == ["198.51.100.9", "198.51.100.2"]
    assert scene.watch.states()["carrier"]["last_error"] == "dns"


async def test_an_address_that_is_no_longer_the_trunks_is_forgotten() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.watch.failed("carrier", flow("198.51.100.1"), 408)
    scene.names["sip:one.example.com"] = ["198.51.100.9"]
    await scene.advance(RESOLVE_S)
    assert scene.watch.states()["carrier"]["hosts_down"] == 1
    assert scene.ways[0] == "198.51.100.9"


async def test_a_trunk_that_is_no_longer_pinged_is_not_held_down() -> None:
    scene = Scene()
    await scene.take(CARRIER)
    scene.answer("198.51.100.1", 503)
    scene.answer("198.51.100.2", 503)
    await scene.take(replace(CARRIER, ping_s=0))
    assert scene.state() == "unknown"
    assert scene.watch.down == frozenset()


async def test_a_trunk_that_wants_it_is_registered_with() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    assert scene.asked == [
        {
            "registrar": "sip:one.example.com",
            "aor": "sip:u1@one.example.com",
            "expires": 3600,
            "flow": flow("198.51.100.1"),
        }
    ]
    assert scene.state() == "registering"
    scene.changed(RegistrationState.REGISTERED)
    assert scene.state() == "registered"
    assert scene.watch.service_route("carrier") == ("<sip:edge;lr>",)


async def test_a_registration_that_fails_is_seen_and_counts_as_down() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    scene.changed(RegistrationState.FAILED, 403)
    assert scene.state() == "failed"
    assert scene.watch.down == {"carrier"}
    assert scene.watch.states()["carrier"]["last_error"] == "status 403"
    assert not scene.registrations[0].moved


async def test_a_registrar_that_is_silent_is_left_for_the_next_address() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    scene.changed(RegistrationState.FAILED, 408)
    assert scene.registrations[0].moved == [flow("198.51.100.2")]
    scene.changed(RegistrationState.FAILED, 503)
    assert len(scene.registrations[0].moved) == 1, "all addresses were tried: the engine backs off"


async def test_what_did_not_change_goes_on_undisturbed() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    scene.changed(RegistrationState.REGISTERED)
    await scene.take(replace(MEMBER, max_calls=3))
    assert scene.state() == "registered"
    assert not scene.registrations[0].stopped


async def test_another_password_means_another_registration() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    await scene.take(replace(MEMBER, password="p2"))
    assert scene.registrations[0].stopped
    assert len(scene.registrations) == 2


async def test_a_trunk_that_is_gone_is_left_and_asked_no_more() -> None:
    scene = Scene()
    await scene.take(replace(MEMBER, ping_s=30))
    await scene.take()
    assert scene.registrations[0].stopped
    pings = len(scene.pings)
    await scene.advance(120)
    assert len(scene.pings) == pings
    assert scene.watch.states() == {}


async def test_a_node_that_stops_takes_its_registrations_back() -> None:
    scene = Scene()
    await scene.take(MEMBER)
    scene.watch.close()
    assert scene.registrations[0].stopped
    assert scene.clock.pending == 0


async def test_a_host_that_dns_forgets_for_a_moment_is_still_the_trunks() -> None:
    """Its calls are up: their BYE must not be dropped as a stranger's."""
    scene = Scene()
    await scene.take(CARRIER)
    del scene.names["sip:two.example.com:5070"]
    await scene.advance(RESOLVE_S)
    assert scene.ways == ["198.51.100.1", "198.51.100.2"]
    assert scene.addresses["carrier"] == {"198.51.100.1", "198.51.100.2"}
