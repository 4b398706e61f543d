"""`SipTransport.resolve` with a real DNS server on loopback: order, failover, TTL, silence, and a loop that goes on."""

import asyncio

import dns.resolver
import pytest

from telephony.sip.errors import UriError
from telephony.sip.transport_dns import Resolver
from tests.fakes.dns_server import DnsServer

ZONE = {
    ("gw.test", "NAPTR"): [
        '20 10 "S" "SIP+D2U" "" _sip._udp.gw.test.',
        '10 10 "S" "SIPS+D2T" "" _sips._tcp.gw.test.',
    ],
    ("_sips._tcp.gw.test", "SRV"): ["10 0 5061 one.gw.test."],
    ("_sip._udp.gw.test", "SRV"): ["20 0 5070 two.gw.test.", "10 0 5060 one.gw.test."],
    ("one.gw.test", "A"): ["127.0.0.11"],
    ("one.gw.test", "AAAA"): ["::1"],
    ("two.gw.test", "A"): ["127.0.0.12", "127.0.0.13"],
    ("plain.test", "A"): ["127.0.0.14"],
}


async def test_a_domain_is_resolved_in_failover_order(ends):
    with DnsServer(ZONE) as server:
        end = await ends(nameservers=(server.address,))
        flows = await end.transport.resolve("sip:bob@gw.test")

    found = [(flow.transport, *flow.remote, flow.name) for flow in flows]
    assert found[:2] == [("tls", "127.0.0.11", 5061, "gw.test"), ("udp", "127.0.0.11", 5060, "")]
    assert set(found[2:]) == {("udp", "127.0.0.12", 5070, ""), ("udp", "127.0.0.13", 5070, "")}
    assert ("one.gw.test", "AAAA") not in server.asked  # the socket is bound to IPv4


async def test_ipv6_addresses_are_for_an_ipv6_socket(ends):
    with DnsServer(ZONE) as server:
        sixth = await ends("::1", nameservers=(server.address,))
        both = await ends("::", nameservers=(server.address,))
        only = await sixth.transport.resolve("sip:bob@one.gw.test:5060")
        all_of_it = await both.transport.resolve("sip:bob@one.gw.test:5060")

    assert [flow.remote[0] for flow in only] == ["::1"]
    assert [flow.remote[0] for flow in all_of_it] == ["127.0.0.11", "::1"]
    assert all_of_it[0].local[0] == "127.0.0.1"


async def test_the_second_host_answers_where_the_first_does_not(ends):
    called = await ends()
    port = called.transport.address[1]
    zone = {("_sip._tcp.gw.test", "SRV"): [f"20 0 {port} b.test.", "10 0 9 a.test."]}
    zone |= {("a.test", "A"): ["127.0.0.1"], ("b.test", "A"): ["127.0.0.1"]}
    with DnsServer(zone) as server:
        end = await ends(nameservers=(server.address,))
        flows = await end.transport.resolve("sip:bob@gw.test;transport=tcp")

    assert [await end.asked(flow) for flow in flows] == [503, 200]


async def test_answers_are_kept_for_their_ttl(ends):
    with DnsServer(ZONE, ttl=1) as server:
        end = await ends(nameservers=(server.address,))
        for _ in range(3):
            await end.transport.resolve("sip:bob@plain.test:5060")
        once = server.asked["plain.test", "A"]
        await asyncio.sleep(1.1)
        await end.transport.resolve("sip:bob@plain.test:5060")

    assert (once, server.asked["plain.test", "A"]) == (1, 2)


async def test_a_silent_server_costs_the_time_allowed_and_the_loop_goes_on(ends):
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_later(0.005, turn)

    with DnsServer(ZONE) as server:
        server.silent = True
        end = await ends(nameservers=(server.address,))
        turn()
        began = end.transport.now()
        flows = await end.transport.resolve("sip:bob@gw.test", within=0.3)
        took = end.transport.now() - began

    assert flows == []
    assert 0.25 < took < 1.0
    assert turns > 20
    assert end.counters["dns_timeout"] == 1


async def test_the_next_server_is_asked_where_one_is_silent(ends):
    with DnsServer(ZONE) as silent, DnsServer(ZONE) as server:
        silent.silent = True
        end = await ends(nameservers=(silent.address, server.address))
        flows = await end.transport.resolve("sip:bob@plain.test:5060")

    assert [flow.remote for flow in flows] == [("127.0.0.14", 5060)]


async def test_a_name_that_does_not_exist_gives_nothing(ends):
    with DnsServer(ZONE) as server:
        end = await ends(nameservers=(server.address,))

        assert await end.transport.resolve("sip:bob@nowhere.test") == []
        assert await end.transport.resolve("tel:+4912345") == []
        with pytest.raises(UriError):
            await end.transport.resolve("nothing at all")


async def test_numbers_and_localhost_ask_nobody(ends):
    with DnsServer(ZONE) as server:
        end = await ends(nameservers=(server.address,))
        numeric = await end.transport.resolve("sip:bob@127.0.0.5")
        local = await end.transport.resolve("sip:bob@localhost:5090")

    assert [flow.remote for flow in numeric] == [("127.0.0.5", 5060)]
    assert [flow.remote for flow in local] == [("127.0.0.1", 5090)]
    assert server.asked == {}


async def test_names_of_the_hosts_file_are_known(tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("# a comment\n192.0.2.7 PBX pbx.lan # the office\nnonsense pbx\n::1 pbx\n\n")

    assert await Resolver(hosts=hosts).addresses("pbx") == ["192.0.2.7", "::1"]
    assert await Resolver(hosts=tmp_path / "none").addresses("localhost") == ["127.0.0.1", "::1"]


async def test_a_machine_without_name_servers_finds_nothing(ends, monkeypatch):
    def unconfigured(resolver, file):
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", unconfigured)
    end = await ends()

    assert await end.transport.resolve("sip:bob@gw.test") == []
