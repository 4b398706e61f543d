from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from telephony.dialplan import SnapshotError, parse_snapshot
from telephony.trunks import Trunk, is_destination

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TRUNK: dict[str, Any] = {
    "name": "carrier",
    "hosts": ["sip.example.com", "10.0.0.1:5070", "[2001:db8::1]:5061"],
    "networks": ["192.0.2.0/24"],
    "username": "acme",
    "password": "sealed:trunk carrier",
    "caller_ids": ["+4930123456"],
    "allowed_prefixes": ["+49", "2XX"],
}


def opened(sealed: str, belongs_to: str) -> str:
    if sealed != f"sealed:{belongs_to}":
        raise ValueError("not ours")
    return "opensesame"


def snapshot(*trunks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "revision": 1,
        "agents": {},
        "routes": [],
        "widgets": [],
        "trunks": list(trunks),
        **more,
    }


def parse(**changes: Any) -> Trunk:
    return parse_snapshot(snapshot(TRUNK | changes), opened).trunks["carrier"]


def test_a_trunk_is_read_with_sensible_values_for_what_is_not_said() -> None:
    trunk = parse()
    assert trunk.enabled
    assert (trunk.transport, trunk.srtp, trunk.dtmf) == ("udp", "off", "auto")
    assert trunk.password == "opensesame"
    assert not trunk.trusted
    assert not trunk.allow_refer_in


def test_no_repr_shows_a_secret() -> None:
    extension = {"name": "200", "ha1": {"SHA-256": "sealed:extension 200 SHA-256"}}
    plan = parse_snapshot(snapshot(TRUNK, extensions=[extension]), opened)
    assert plan.extensions["200"].ha1 == {"SHA-256": "opensesame"}
    for shown in (repr(plan), str(plan.trunks["carrier"]), f"{plan.extensions}"):
        assert "opensesame" not in shown


@pytest.mark.parametrize("sealed", ["sealed:trunk other", "nonsense"])
def test_a_secret_that_cannot_be_opened_refuses_the_snapshot_at_its_place(sealed: str) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse(password=sealed)
    assert refused.value.where == "trunks[0].password"
    assert sealed not in str(refused.value)


def test_a_process_without_the_key_takes_no_snapshot_with_secrets() -> None:
    with pytest.raises(SnapshotError):
        parse_snapshot(snapshot(TRUNK))


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("192.0.2.77", True),
        ("::ffff:192.0.2.77", True),
        ("10.0.0.1", True),  # a host that is an address is a source as well
        ("2001:db8::1", True),
        ("10.0.0.2", False),
        ("sip.example.com", False),
        ("", False),
    ],
)
def test_sources_are_the_networks_and_the_hosts_that_are_addresses(host: str, ours: bool) -> None:
    assert parse().accepts(host) is ours


def test_a_trunk_that_is_off_accepts_nobody() -> None:
    assert not parse(enabled=False).accepts("192.0.2.77")


def test_the_narrowest_network_says_whose_call_it_is() -> None:
    wide = {"name": "wide", "networks": ["192.0.0.0/16"]}
    off = {"name": "off", "networks": ["192.0.2.77/32"], "enabled": False}
    plan = parse_snapshot(snapshot(wide, off, TRUNK), opened)
    found = [plan.trunk_of(host) for host in ("192.0.2.77", "192.0.3.1", "198.51.100.1")]
    assert [trunk and trunk.name for trunk in found] == ["carrier", "wide", None]


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"name": ""}, "name"),
        ({"hosts": "x"}, "hosts"),
        ({"hosts": [7]}, "hosts[0]"),
        ({"hosts": ["a\nb"]}, "hosts[0]"),
        ({"transport": "ws"}, "transport"),
        ({"networks": ["192.0.2.0/24", "x"]}, "networks[1]"),
        ({"media_networks": ["::/129"]}, "media_networks[0]"),
        ({"register": True, "username": ""}, "register"),
        ({"challenge_inbound": True, "password": ""}, "challenge_inbound"),
        ({"register_expires_s": 5}, "register_expires_s"),
        ({"register_expires_s": "60"}, "register_expires_s"),
        ({"srtp": "required"}, "srtp"),
        ({"number_format": "national"}, "country"),
        ({"country": "+49"}, "country"),
        ({"prefix": "abc"}, "prefix"),
        ({"codecs": ["PCMU", "GSM"]}, "codecs[1]"),
        ({"session_expires_s": 60}, "session_expires_s"),
        ({"max_calls": -1}, "max_calls"),
        ({"max_cps": "2"}, "max_cps"),
        ({"max_cps": True}, "max_cps"),
        ({"caller_ids": ["+49 30;x=y"]}, "caller_ids[0]"),
        ({"allowed_prefixes": ["*"]}, "allowed_prefixes[0]"),
        ({"allowed_prefixes": ["+"]}, "allowed_prefixes[0]"),
        ({"trusted": "yes"}, "trusted"),
        ({"enabled": 1}, "enabled"),
    ],
)
def test_a_wrong_trunk_refuses_the_snapshot_with_the_place(
    changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse(**changes)
    assert refused.value.where == f"trunks[0].{where}"


def test_srtp_keys_in_clear_need_the_operators_word() -> None:
    assert parse(srtp="required", srtp_without_tls=True).srtp == "required"
    assert parse(srtp="required", transport="tls").srtp == "required"


def test_two_trunks_of_one_name_are_refused() -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(snapshot(TRUNK, TRUNK), opened)
    assert refused.value.where == "trunks[1].name"


@pytest.mark.parametrize(
    ("extension", "where"),
    [
        ({"name": "200"}, "ha1"),
        ({"name": "200", "ha1": {}}, "ha1"),
        ({"name": "200", "ha1": {"SHA-256": "x"}}, "ha1.SHA-256"),
        ({"ha1": {}}, "name"),
    ],
)
def test_a_wrong_extension_refuses_the_snapshot(extension: dict[str, Any], where: str) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(snapshot(extensions=[extension]), opened)
    assert refused.value.where == f"extensions[0].{where}"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("+49", True),
        ("2XX", True),
        ("112", True),
        ("+", False),
        ("", False),
        ("49 30", False),
        ("2xx", False),
        ("XXXXXXXXXX", False),  # telephone numbers would pass as own ones
        ("+١٢", False),
        ("+1234567890123456", False),
    ],
)
def test_what_may_stand_in_an_allow_list(text: str, fits: bool) -> None:
    assert is_destination(text) is fits


def test_a_trunk_is_a_value() -> None:
    assert replace(parse(), label="x") != parse()


def test_bans_are_networks_with_an_end_or_without() -> None:
    rows = [{"network": "203.0.113.7"}, {"network": "2001:db8::/32", "until": NOON.isoformat()}]
    bans = parse_snapshot(snapshot(bans=rows)).bans
    assert [(str(ban.network), ban.until) for ban in bans] == [
        ("203.0.113.7/32", None),
        ("2001:db8::/32", NOON),
    ]


@pytest.mark.parametrize(
    "row", [{"network": "x"}, {}, {"network": "::", "until": "2026-11-20T12:00"}]
)
def test_a_wrong_ban_refuses_the_snapshot(row: dict[str, Any]) -> None:
    with pytest.raises(SnapshotError) as refused:
        parse_snapshot(snapshot(bans=[row]))
    assert refused.value.where.startswith("bans[0]")
