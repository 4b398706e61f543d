"""Whom SIP comes from: trunks by their networks, names and digests, extensions, and the open network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from telephony.admission import parse_networks
from telephony.dialplan import DialPlan
from telephony.gateway.origins import OpenNetworks, Origin, Origins
from telephony.sip.auth import Challenge
from telephony.sip.digest import ha1_of
from telephony.sip.flow import Flow, Transport
from telephony.sip.message import Headers, Request
from telephony.sip.source_guard import SourceGuard
from telephony.trunks import Extension, SourceBan, Trunk

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LOCAL = parse_networks(("127.0.0.0/8", "192.168.0.0/16"))
CARRIER = Trunk(name="carrier", networks=(ip_network("198.51.100.0/24"),))
PBX = Trunk(name="pbx", networks=(ip_network("198.51.100.7"),), transport="tls")
ASKED = Trunk(
    name="asked",
    networks=(ip_network("203.0.113.0/24"),),
    username="u1",
    password="p1",
    challenge_inbound=True,
)
DESK = Extension(name="200", ha1={"SHA-256": "ab", "MD5": "cd"})


def origins(
    *trunks: Trunk,
    explicit: bool = False,
    registrar: bool = False,
    extensions: tuple[Extension, ...] = (),
) -> Origins:
    made = Origins(OpenNetworks(LOCAL, explicit, registrar), lambda: NOON)
    made.take(
        DialPlan(
            1,
            {},
            {},
            {trunk.name: trunk for trunk in trunks},
            {extension.name: extension for extension in extensions},
        )
    )
    return made


def flow(host: str, transport: Transport = "udp", port: int = 5060) -> Flow:
    return Flow(transport, ("192.0.2.1", 5060), (host, port))


def request(method: str = "INVITE", user: str = "ann") -> Request:
    headers = Headers([("From", f"<sip:{user}@x>;tag=1"), ("To", "<sip:desk@x>")])
    return Request(headers, b"", method, "sip:desk@x")


# --------------------------------------------------------------------------------- who is heard at all


def test_without_trunks_the_networks_of_the_settings_are_answered() -> None:
    who = origins()
    assert who.source("127.0.0.1") is not None
    assert who.source("192.168.3.4") is not None
    assert who.source("198.51.100.7") is None
    assert who.of(flow("127.0.0.1"), None) == Origin()
    assert who.policy(request(), flow("127.0.0.1")) == "accept"


def test_once_there_is_a_trunk_unknown_sources_are_dropped() -> None:
    who = origins(CARRIER)
    guard = SourceGuard(table=who.source)
    assert guard.admit("198.51.100.9", 0.0)
    assert not guard.admit("127.0.0.1", 0.0)
    assert guard.dropped["unknown_source"] == 1


def test_networks_that_the_operator_named_count_beside_trunks() -> None:
    who = origins(CARRIER, explicit=True)
    assert who.source("192.168.3.4") is not None
    assert who.of(flow("192.168.3.4"), None) == Origin()


def test_a_trunk_that_is_off_is_no_trunk() -> None:
    off = Trunk(name="off", networks=CARRIER.networks, enabled=False)
    who = origins(off)
    assert who.source("198.51.100.9") is None
    assert who.source("127.0.0.1") is not None


def test_addresses_that_a_host_resolves_to_are_sources_of_its_trunk() -> None:
    named = Trunk(name="named", hosts=("sip.example.com",))
    who = origins(named)
    assert who.source("192.0.2.77") is None
    assert who.learn("named", ["192.0.2.77"])
    assert not who.learn("named", ["192.0.2.77"])
    assert who.source("192.0.2.77") is not None
    assert who.of(flow("192.0.2.77"), None) == Origin(trunk=named)


def test_a_trunk_that_was_taken_away_is_a_stranger() -> None:
    who = origins(CARRIER)
    who.take(DialPlan(2, {}, {}, {"asked": ASKED}))
    assert who.source("198.51.100.9") is None


@pytest.mark.parametrize(("until", "heard"), [(None, False), (1, False), (-1, True)])
def test_a_banned_source_is_not_heard_while_its_ban_lasts(until: int | None, heard: bool) -> None:
    end = None if until is None else NOON + timedelta(hours=until)
    plan = DialPlan(1, {}, {}, {"carrier": CARRIER})
    who = origins()
    who.take(replace(plan, bans=(SourceBan(ip_network("198.51.100.9"), end),)))
    assert (who.source("198.51.100.9") is not None) is heard
    assert who.source("198.51.100.8") is not None


# --------------------------------------------------------------------------------- which trunk


def test_the_narrowest_network_says_which_trunk_it_is() -> None:
    wide = Trunk(name="wide", networks=(ip_network("198.51.0.0/16"),))
    assert origins(wide, CARRIER).of(flow("198.51.100.7"), None) == Origin(trunk=CARRIER)


def test_of_two_trunks_on_one_machine_the_port_says_which() -> None:
    networks = (ip_network("198.51.100.7"),)
    one = Trunk(name="one", hosts=("198.51.100.7:5070",), networks=networks)
    two = Trunk(name="two", hosts=("198.51.100.7:5080",), networks=networks)
    assert origins(one, two).of(flow("198.51.100.7", port=5080), None) == Origin(trunk=two)


def test_a_trunk_that_speaks_tls_is_not_believed_by_udp() -> None:
    who = origins(PBX)
    assert who.of(flow("198.51.100.7"), None) is None
    assert who.of(flow("198.51.100.7", "tls"), None) == Origin(trunk=PBX)


def test_a_trunk_that_is_challenged_has_to_prove_itself() -> None:
    who = origins(ASKED)
    there = flow("203.0.113.5")
    challenge = who.policy(request(), there)
    assert isinstance(challenge, Challenge)
    assert challenge.algorithms[0] == "SHA-256"
    assert who.of(there, None) is None
    assert who.of(there, "u1") == Origin(trunk=ASKED)
    assert who.of(there, "u2") is None
    assert who.ha1("u1", challenge.realm, "MD5") == ha1_of("MD5", "u1", challenge.realm, "p1")
    assert who.ha1("nobody", challenge.realm, "MD5") is None


def test_options_of_a_trunk_are_answered_without_a_digest() -> None:
    assert origins(ASKED).policy(request("OPTIONS"), flow("203.0.113.5")) == "accept"


# --------------------------------------------------------------------------------- extensions


def test_extensions_prove_themselves_and_others_call_as_before() -> None:
    who = origins(registrar=True, extensions=(DESK,))
    here = flow("192.168.1.5")
    assert isinstance(who.policy(request("REGISTER", "200"), here), Challenge)
    assert isinstance(who.policy(request("INVITE", "200"), here), Challenge)
    assert who.policy(request("INVITE", "ann"), here) == "accept"
    assert who.of(here, "200") == Origin(extension=DESK)


def test_a_name_that_does_not_exist_is_challenged_like_one_that_does() -> None:
    who = origins(registrar=True, extensions=(DESK,))
    here = flow("192.168.1.5")
    known = who.policy(request("REGISTER", "200"), here)
    assert who.policy(request("REGISTER", "999"), here) == known


def test_beside_trunks_only_phones_that_prove_themselves_are_heard_from_the_office() -> None:
    who = origins(CARRIER, registrar=True, extensions=(DESK,))
    here = flow("192.168.1.5")
    assert who.source("192.168.1.5") is not None
    assert isinstance(who.policy(request("INVITE", "ann"), here), Challenge)
    assert who.policy(request("OPTIONS"), here) == "drop"


def test_a_phone_on_a_trunks_machine_is_known_by_its_port() -> None:
    pbx = Trunk(name="pbx", hosts=("192.168.1.7:5060",), networks=(ip_network("192.168.1.7"),))
    who = origins(pbx, registrar=True, extensions=(DESK,))
    assert isinstance(
        who.policy(request("INVITE", "200"), flow("192.168.1.7", port=40000)), Challenge
    )
    assert who.of(flow("192.168.1.7", port=40000), "200") == Origin(extension=DESK)
    assert who.policy(request("INVITE", "200"), flow("192.168.1.7")) == "accept"
    assert who.of(flow("192.168.1.7"), None) == Origin(trunk=pbx)


def test_an_extension_that_is_off_cannot_prove_anything() -> None:
    off = Extension(name="200", ha1={"MD5": "cd"}, enabled=False)
    who = origins(registrar=True, extensions=(off,))
    assert who.ha1("200", "voiceapp", "MD5") is None
    assert origins(registrar=True, extensions=(DESK,)).ha1("200", "other", "MD5") is None


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_the_sum_of_an_extension_is_the_one_of_the_snapshot(algorithm: str) -> None:
    who = origins(registrar=True, extensions=(DESK,))
    assert who.ha1("200", "voiceapp", algorithm) == DESK.ha1[algorithm]


def test_beside_trunks_the_password_of_a_trunk_opens_no_door_from_elsewhere() -> None:
    made = origins(ASKED, registrar=True, extensions=(DESK,))
    assert made.of(flow("127.0.0.1"), "u1") is None
    assert made.of(flow("127.0.0.1"), "200") == Origin(extension=DESK)


def test_calls_that_are_up_are_heard_to_their_end_when_their_trunk_is_gone() -> None:
    made = origins(ASKED)
    made.talk(["198.51.100.1"])
    assert made.source("198.51.100.1") is not None
    assert made.policy(request(), flow("198.51.100.1")) == "drop"
    made.talk(())
    assert made.source("198.51.100.1") is None
