"""Trunks over IPv6 on real sockets: known by their address, called at it, and offered audio of their family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.trunk_plan import (
    NUMBER,
    dial,
    end_of,
    ended,
    health,
    load,
    of_kind,
    trunk,
    until_up,
)
from tests.fakes.carrier import refuses, running_carrier
from tests.fakes.node import running_node

SIXTH = "::1"


async def test_a_call_by_a_trunk_of_ipv6_reaches_its_agent(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(ip=SIXTH) as carrier:
        await load(node, trunk(carrier))
        carrier.call("0301234567", node.configuration.sip.port)
        await carrier.until(lambda: carrier.answered)
        [row] = (await node.ask("calls.rows"))["rows"]
        assert row["called"] == NUMBER
        assert (await health(node))["trunks"]["carrier"]["calls"] == 1
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)


async def test_networks_say_which_sources_of_ipv6_are_a_trunk(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(ip=SIXTH) as carrier:
        elsewhere = trunk(carrier, hosts=["[2001:db8::10]:5060"], networks=["2001:db8::/32"])
        await load(node, elsewhere)
        carrier.ask(node.configuration.sip.port)
        await carrier.until(
            lambda: node.node._sip.health()["dropped"].get("unknown_source"), seconds=3
        )
        assert carrier.options == []
        await load(node, elsewhere | {"networks": ["::1/128"]}, revision=3)
        carrier.ask(node.configuration.sip.port)
        await carrier.until(lambda: carrier.options == [200])


async def test_a_call_out_to_a_trunk_of_ipv6_offers_our_ipv6_address(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, running_carrier(ip=SIXTH) as carrier:
        await load(node, trunk(carrier))
        call = await dial(node)
        await carrier.until(lambda: carrier.invites)
        invite = carrier.invites[0]
        port = node.configuration.sip.port
        assert (invite.via.host, invite.via.port) == ("[::1]", port)
        assert (invite.contacts[0].uri.host, invite.contacts[0].uri.port) == ("[::1]", port)
        assert invite.from_.uri.host == "[::1]"
        assert b"c=IN IP6 ::1\r\n" in invite.body
        await until_up(node)
        carrier.hang_up()
        assert end_of(await ended(node, call))["by"] == "caller"


@pytest.mark.parametrize("first", ["127.0.0.1", SIXTH])
async def test_failover_from_one_family_to_the_other_moves_the_audio(
    tmp_path: Path, first: str
) -> None:
    second = SIXTH if first != SIXTH else "127.0.0.1"
    async with (
        running_node(tmp_path) as node,
        running_carrier(refuses(503), ip=first) as busy,
        running_carrier(ip=second) as carrier,
    ):
        await load(node, trunk(busy, hosts=[busy.host, carrier.host]))
        call = await dial(node)
        await carrier.until(lambda: carrier.invites)
        families = [b"IP6" if one == SIXTH else b"IP4" for one in (first, second)]
        assert b"c=IN " + families[0] in busy.invites[0].body
        assert b"c=IN " + families[1] in carrier.invites[0].body
        await until_up(node)
        carrier.hang_up()
        assert of_kind(await ended(node, call), "TrunkMeasured")
        assert node.node._plane.free_rtp_slots == node.node._plane._engine.registry.rtp._count


async def test_an_offer_of_ipv6_to_a_node_without_it_is_488(tmp_path: Path) -> None:
    sdp = b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    async with running_node(tmp_path, VOICEAPP_IPV6="off") as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        carrier.call(NUMBER, node.configuration.sip.port, sdp=sdp)
        await carrier.until(lambda: carrier.ended)
        assert carrier.ended[0].status == 488


async def test_an_offer_of_ipv6_by_signalling_of_ipv4_is_answered_in_ipv6(tmp_path: Path) -> None:
    sdp = b"v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
    async with running_node(tmp_path) as node, running_carrier() as carrier:
        await load(node, trunk(carrier))
        session = carrier.call(NUMBER, node.configuration.sip.port, sdp=sdp)
        await carrier.until(lambda: carrier.answered)
        assert session is carrier.answered[0]
        carrier.hang_up()
        await carrier.until(lambda: carrier.ended)
