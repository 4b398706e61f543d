"""Phones that register: who may, for how long, and where they are reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from telephony.dialplan import DialPlan
from telephony.gateway.phones import LONGEST_S, MOST_PLACES, Phones
from telephony.sip.events import RegisterReceived
from telephony.sip.flow import Flow
from telephony.sip.registrar import Binding
from telephony.trunks import Extension

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.168.1.5", 5060))
DESK = Extension(name="200", ha1={"MD5": "x"}, person="ann")
OFF = Extension(name="201", ha1={"MD5": "x"}, enabled=False)


@dataclass
class Registration:
    """An `IncomingRegistration` that keeps the answer."""

    aor: str
    username: str
    expires: int = 7200
    contacts: tuple[str, ...] = ("sip:200@192.168.1.5",)
    flow: Flow = FLOW
    accepted: list[int] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)

    def accept(self, now: float, expires: int) -> None:
        self.accepted.append(expires)

    def reject(self, status: int, now: float) -> None:
        self.rejected.append(status)


class Scene:
    """Bindings by address of record, as the engine keeps them."""

    def __init__(self) -> None:
        self.bindings: dict[str, tuple[Binding, ...]] = {}
        self.flushes = 0
        plan = DialPlan(1, {}, {}, {}, {"200": DESK, "201": OFF})
        self.phones = Phones(self, self, lambda: plan)

    def of(self, aor: str, now: float) -> tuple[Binding, ...]:
        return tuple(b for b in self.bindings.get(aor, ()) if b.expires_at > now)

    def now(self) -> float:
        return 100.0

    def flush(self) -> None:
        self.flushes += 1

    def registers(self, aor: str, username: str = "200") -> Registration:
        registration = Registration(aor, username)
        self.phones.handle(RegisterReceived(cast("Any", registration)))
        return registration


def bound(contact: str, expires_at: float, q: float = 1.0) -> Binding:
    return Binding(contact, FLOW, expires_at, q)


def test_a_phone_has_to_come_back_before_it_is_forgotten() -> None:
    scene = Scene()
    assert scene.registers("sip:200@gw").accepted == [LONGEST_S]
    assert scene.flushes == 1


@pytest.mark.parametrize(
    ("aor", "username"),
    [("sip:200@gw", "201"), ("sip:201@gw", "201"), ("sip:999@gw", "999"), ("rubbish", "200")],
)
def test_nobody_is_an_extension_but_itself(aor: str, username: str) -> None:
    scene = Scene()
    assert scene.registers(aor, username).rejected == [403]
    assert scene.phones.counters["forbidden"] == 1


def test_a_phone_is_reached_under_whatever_host_it_registers() -> None:
    scene = Scene()
    scene.registers("sip:200@gw")
    scene.registers("sip:200@192.0.2.1")
    scene.bindings = {
        "sip:200@gw": (bound("sip:a", 500, 0.5), bound("sip:b", 900)),
        "sip:200@192.0.2.1": (bound("sip:c", 700),),
    }
    assert [way.contact for way in scene.phones.ways("200", 100)] == ["sip:b", "sip:c", "sip:a"]
    assert scene.phones.states() == {"200": {"connected": 3, "person": "ann"}}


def test_a_registration_that_has_run_out_reaches_nobody() -> None:
    scene = Scene()
    scene.registers("sip:200@gw")
    scene.bindings = {"sip:200@gw": (bound("sip:a", 500),)}
    assert scene.phones.ways("200", 499)
    assert scene.phones.ways("200", 501) == ()


def test_places_of_one_extension_are_bounded() -> None:
    scene = Scene()
    for number in range(3 * MOST_PLACES):
        scene.registers(f"sip:200@host{number}")
    scene.bindings = {"sip:200@host0": (bound("sip:a", 500),)}
    assert scene.phones.ways("200", 100) == ()
