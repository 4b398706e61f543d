"""RFC 3263: which transports, hosts and ports a URI leads to, and in what order."""

import random
from collections import Counter

import pytest

from telephony.sip.resolve import Hop, Naptr, Srv, find_hops, in_order
from telephony.sip.uri import parse_uri


class Table:
    """`resolve.Dns` from dictionaries; `asked` in order."""

    def __init__(self, naptr=(), srv=(), addresses=()) -> None:
        self._naptr, self._srv, self._addresses = dict(naptr), dict(srv), dict(addresses)
        self.asked: list[str] = []

    async def naptr(self, name):
        self.asked.append(f"NAPTR {name}")
        return list(self._naptr.get(name, ()))

    async def srv(self, name):
        self.asked.append(f"SRV {name}")
        return list(self._srv.get(name, ()))

    async def addresses(self, name):
        self.asked.append(f"A {name}")
        return list(self._addresses.get(name, ()))


async def hops(uri: str, dns: Table, **more) -> list[tuple[str, str, int]]:
    found = await find_hops(parse_uri(uri), dns, random.Random(7).random, **more)
    return [(hop.transport, hop.host, hop.port) for hop in found]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:bob@192.0.2.1", ("udp", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.1:5070", ("udp", "192.0.2.1", 5070)),
        ("sip:bob@192.0.2.1;transport=TCP", ("tcp", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.1;transport=tls", ("tls", "192.0.2.1", 5061)),
        ("sips:bob@192.0.2.1", ("tls", "192.0.2.1", 5061)),
        ("sips:bob@192.0.2.1;transport=tcp", ("tls", "192.0.2.1", 5061)),
        ("sip:bob@[2001:db8::1]:5070", ("udp", "2001:db8::1", 5070)),
        ("sip:bob@gw.test;maddr=192.0.2.9", ("udp", "192.0.2.9", 5060)),
        ("sip:bob@192.0.2.1;transport=sctp", ("udp", "192.0.2.1", 5060)),
    ],
)
async def test_a_numeric_host_never_asks_dns(uri, expected):
    dns = Table()

    assert await hops(uri, dns) == [expected]
    assert dns.asked == []


async def test_naptr_says_the_transport_and_srv_the_hosts():
    dns = Table(
        naptr={"gw.test": [
            Naptr(50, 50, "s", "sip+d2u", "_sip._udp.gw.test"),
            Naptr(20, 60, "s", "sip+d2t", "_sip._tcp.gw.test"),
            Naptr(20, 50, "s", "sips+d2t", "_sips._tcp.gw.test"),
            Naptr(10, 10, "s", "sip+d2s", "_sip._sctp.gw.test"),
            Naptr(10, 10, "u", "e2u+sip", "elsewhere.test"),
        ]},
        srv={
            "_sips._tcp.gw.test": [Srv(0, 0, 5061, "a.gw.test")],
            "_sip._tcp.gw.test": [Srv(0, 0, 5080, "b.gw.test")],
            "_sip._udp.gw.test": [Srv(0, 0, 5070, "a.gw.test")],
        },
        addresses={"a.gw.test": ["192.0.2.1"], "b.gw.test": ["192.0.2.2", "2001:db8::2"]},
    )  # fmt: skip

    assert await hops("sip:bob@gw.test", dns) == [
        ("tls", "192.0.2.1", 5061),
        ("tcp", "192.0.2.2", 5080),
        ("tcp", "2001:db8::2", 5080),
        ("udp", "192.0.2.1", 5070),
    ]


async def test_a_sips_uri_takes_no_service_that_is_not_secure():
    dns = Table(
        naptr={"gw.test": [Naptr(1, 1, "s", "sip+d2u", "_sip._udp.gw.test")]},
        addresses={"gw.test": ["192.0.2.1"]},
    )

    assert await hops("sips:bob@gw.test", dns) == [("tls", "192.0.2.1", 5061)]
    assert dns.asked == ["NAPTR gw.test", "SRV _sips._tcp.gw.test", "A gw.test"]


async def test_without_naptr_each_service_is_asked_for_and_without_srv_the_address():
    dns = Table(addresses={"gw.test": ["192.0.2.1"]})

    assert await hops("sip:bob@gw.test", dns) == [("udp", "192.0.2.1", 5060)]
    assert dns.asked == [
        "NAPTR gw.test", "SRV _sip._udp.gw.test", "SRV _sip._tcp.gw.test", "SRV _sips._tcp.gw.test",
        "A gw.test",
    ]  # fmt: skip


async def test_a_port_or_a_transport_asks_for_less():
    dns = Table(addresses={"gw.test": ["192.0.2.1"]})

    assert await hops("sip:bob@gw.test:5070", dns) == [("udp", "192.0.2.1", 5070)]
    assert await hops("sip:bob@gw.test;transport=tcp", dns) == [("tcp", "192.0.2.1", 5060)]
    assert dns.asked == ["A gw.test", "SRV _sip._tcp.gw.test", "A gw.test"]


async def test_a_trunks_transport_is_above_the_one_of_the_uri():
    dns = Table(srv={"_sips._tcp.gw.test": [Srv(0, 0, 5081, "192.0.2.3")]})

    found = await hops("sip:bob@gw.test;transport=udp", dns, transport="tls")

    assert found == [("tls", "192.0.2.3", 5081)]


async def test_the_certificate_must_be_for_the_domain_and_not_for_the_host_that_srv_names():
    dns = Table(srv={"_sips._tcp.gw.test": [Srv(0, 0, 5061, "192.0.2.3")]})

    found = await find_hops(parse_uri("sip:bob@GW.test;transport=tls"), dns, random.random)

    assert found == [Hop("tls", "192.0.2.3", 5061, "gw.test")]


async def test_a_service_that_dns_denies_is_not_sought_at_the_bare_name():
    dns = Table(
        srv={"_sip._udp.gw.test": [Srv(0, 0, 0, ".")]}, addresses={"gw.test": ["192.0.2.1"]}
    )

    assert await hops("sip:bob@gw.test;transport=udp", dns) == []


async def test_a_name_that_leads_nowhere_gives_nothing():
    assert await hops("sip:bob@gw.test", Table()) == []


async def test_a_zone_of_a_thousand_hosts_is_cut_off():
    records = [Srv(0, 1, 5060, f"192.0.2.{n}") for n in range(1, 250)]

    assert (
        len(await hops("sip:b@gw.test;transport=udp", Table(srv={"_sip._udp.gw.test": records})))
        == 20
    )


def test_priority_goes_first_and_weight_decides_by_lot_within_it():
    heavy, light, spare = Srv(1, 90, 1, "heavy"), Srv(1, 10, 2, "light"), Srv(2, 0, 3, "spare")
    lots = random.Random(5)

    orders = [in_order([spare, light, heavy], lots.random) for _ in range(1000)]
    first = Counter(order[0].target for order in orders)

    assert all(order[2] is spare and len(order) == 3 for order in orders)
    assert 850 < first["heavy"] < 950


def test_records_without_weight_still_come_all():
    records = [Srv(1, 0, 1, "a"), Srv(1, 0, 2, "b"), Srv(1, 0, 3, "c")]

    assert {record.target for record in in_order(records, lambda: 0.999)} == {"a", "b", "c"}
