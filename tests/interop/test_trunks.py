"""Trunks of the running product: whom it answers, how many calls it takes, what it reads in an INVITE, and changes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import sipp
from tests.interop.office import (
    CALLER_HZ,
    CARRIER,
    NARROW,
    Office,
    ToneParty,
    open_office,
    until_published,
)

pytestmark = pytest.mark.timeout(60)
LATER = "127.0.0.7"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Without a registrar: who is no trunk is nobody."""
    with open_office(tmp_path_factory.mktemp("office"), VOICEAPP_REGISTRAR="0") as made:
        yield made


@pytest.fixture
def user() -> str:
    return f"t{secrets.token_hex(3)}"


def calling(user: str, more: str = "") -> str:
    return sipp.invite(user).replace("Max-Forwards: 70\n", f"Max-Forwards: 70\n{more}")


def refused(user: str, status: int, *checks: str) -> str:
    """A final refusal that has these patterns in it, and its ACK."""
    actions = "".join(
        f'<ereg regexp="{check}" search_in="msg" check_it="true" assign_to="seen{i}"/>'
        for i, check in enumerate(checks)
    )
    used = ",".join(f"seen{i}" for i in range(len(checks)))
    got = f'<recv response="{status}"><action>{actions}</action></recv>\n'
    return sipp.maybe(100) + got + sipp.ack_refusal(user, 1) + f'<Reference variables="{used}"/>\n'


def test_headers_of_a_trusted_trunk_reach_the_call(
    office: Office, tmp_path: Path, user: str
) -> None:
    """X-, User-to-User, Diversion, and the number that the trunk vouches for."""
    number = f"+4930{secrets.randbelow(10**6):06d}"
    headers = (
        "X-Order: 17\nUser-to-User: 6f726465723d3137;encoding=hex\n"
        "Diversion: <sip:+4930555@carrier.test>;reason=user-busy\n"
        f"P-Asserted-Identity: <sip:{number}@carrier.test>\n"
    )
    steps = calling(user, headers) + sipp.answered(user) + sipp.hang_up(user, 2)
    with office.party(tmp_path / "a", steps, at=CARRIER) as phone:
        result = phone.wait(10)

    assert result.code == 0, result.log
    [started] = office.facts(office.call_of(number), "CallStarted")
    variables = started["variables"]
    assert variables["x-order"] == "17"
    assert variables["user-to-user"] == "order=17"
    assert variables["forwarded-from"] == "+4930555"
    assert variables["forwarded-reason"] == "user-busy"


def test_what_a_trunk_asserts_without_being_trusted_is_ignored(
    office: Office, tmp_path: Path, user: str
) -> None:
    more = "P-Asserted-Identity: <sip:+4930111@carrier.test>\n"
    steps = calling(user, more) + sipp.answered(user) + sipp.hang_up(user, 2)
    with office.party(tmp_path / "a", steps, at=NARROW) as phone:
        result = phone.wait(10)

    assert result.code == 0, result.log
    assert office.row(office.call_of(user))["end_cause"] == "caller_hung_up"


def test_one_call_too_many_is_refused_and_the_other_is_not_disturbed(
    office: Office, tmp_path: Path, user: str
) -> None:
    """503 and Retry-After, by this trunk alone; the place is free again after the call."""
    with ToneParty(CALLER_HZ, NARROW) as caller:
        first = sipp.invite(user, str(caller.port)) + sipp.answered(user) + sipp.hung_up_on()
        with office.party(tmp_path / "first", first, at=NARROW) as phone:
            call = office.call_of(user)
            office.until_fact(call, "LegConnected")
            other = f"{user}b"
            steps = calling(other) + refused(other, 503, "Retry-After: [1-9]")
            with office.party(tmp_path / "second", steps, at=NARROW) as second:
                result = second.wait(10)
            assert result.code == 0, result.log
            office.product.until(caller.hears_voice, what="the agent's voice")
            office.end(call)
            assert phone.wait(10).code == 0

    again = f"{user}c"
    steps = calling(again) + sipp.answered(again) + sipp.hang_up(again, 2)
    with office.party(tmp_path / "third", steps, at=NARROW) as third:
        assert third.wait(10).code == 0
    assert office.row(call)["end_cause"] == "ended_by_supervisor"


NEW_TRUNK = """
from agents.services import publish_snapshot
from telephony.models import Trunk
Trunk.objects.update_or_create(name="later", defaults=dict(hosts=["{host}:5060"], ping_s=0, enabled={enabled}))
print(publish_snapshot().revision)
"""


def change(office: Office, *, enabled: bool) -> None:
    script = NEW_TRUNK.format(host=LATER, enabled=enabled)
    until_published(office.product, int(office.product.administer(script).split()[-1]))


def test_strangers_get_no_reply_and_a_new_trunk_is_known_at_once(
    office: Office, tmp_path: Path, user: str
) -> None:
    """Changes need no restart, and a call that is up goes on through them. Any response in its pause fails sipp."""
    other = f"{user}b"
    silence = calling(other).replace(' retrans="500"', "") + sipp.pause(1.5)
    answered = calling(other) + sipp.answered(other) + sipp.hang_up(other, 2)

    def tried(name: str, steps: str) -> sipp.Sipp:
        with office.party(tmp_path / name, steps, at=LATER) as phone:
            return phone.wait(8)

    with ToneParty(CALLER_HZ, CARRIER) as caller:
        steps = sipp.invite(user, str(caller.port)) + sipp.answered(user) + sipp.hung_up_on()
        with office.party(tmp_path / "up", steps, at=CARRIER) as phone:
            call = office.call_of(user)
            results = [tried("stranger", silence)]
            change(office, enabled=True)
            results.append(tried("known", answered))
            change(office, enabled=False)
            results.append(tried("off", silence))
            office.end(call)
            results.append(phone.wait(10))

    assert [result.code for result in results] == [0, 0, 0, 0], [each.log for each in results]
    health = office.product.ask("node.health")["health"]
    assert sum(health["sip"]["dropped"].values()) >= 2
    assert [row["caller"] for row in office.product.rows()].count(other) == 1
