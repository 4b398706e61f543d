"""SIP at an IPv4 and an IPv6 address at once, over real loopback sockets: each peer is met in its own family."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from telephony.sip.core import EngineSettings
from telephony.sip.events import Answered, IncomingInvite, Terminated
from telephony.sip.flow import Transport
from telephony.sip.session import EndKind
from tests.fakes.certificates import Authority
from tests.fakes.dns_server import DnsServer
from tests.fakes.sip_end import End
from tests.unit.sip_line import OFFER

BOTH = ("127.0.0.1", "::1")


async def call(
    caller: End, called: End, transport: Transport, host: str, port: int
) -> IncomingInvite:
    """A whole call of `caller` to an address; the INVITE as `called` saw it."""
    engine = caller.transport.engine
    session = engine.invite(
        "sip:desk@gw.test", from_="sip:us@us.test", flow=caller.transport.flow(transport, host, port),
        sdp=OFFER, now=caller.transport.now(),
    )  # fmt: skip
    caller.transport.flush()
    invite = await called.next(IncomingInvite)
    await caller.next(Answered)
    invite.session.bye(called.transport.now())
    called.transport.flush()
    assert (await caller.next(Terminated)).cause.kind is EndKind.REMOTE
    assert session is not None
    return invite


@pytest.mark.parametrize("host", BOTH)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_one_node_is_called_in_both_families(ends, transport, host):
    node, peer = await ends(bind_v6=("::1", 0)), await ends(host)

    port = node.transport.listening(transport, beside=":" in host)[1]
    invite = await call(peer, node, transport, host, port)

    assert invite.session.flow.local == (host, port)
    assert invite.session.flow.remote[0] == host


@pytest.mark.parametrize("host", BOTH)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_one_node_calls_in_both_families_and_names_itself_so(ends, transport, host):
    node, peer = await ends(bind_v6=("::1", 0)), await ends(host)
    written = f"[{host}]" if ":" in host else host

    invite = await call(node, peer, transport, host, peer.transport.address[1])

    assert invite.session.request.via.host == written
    assert invite.session.request.contacts[0].uri.host == written
    assert invite.session.request.contacts[0].uri.port == node.transport.address[1]


async def test_both_families_have_the_same_port(ends):
    node = await ends("0.0.0.0", bind_v6=("::", 0))

    assert node.transport.listening("udp", beside=True) == ("::", node.transport.address[1])
    assert node.transport.listening("tcp", beside=True) == ("::", node.transport.address[1])


async def test_beside_a_wildcard_each_peer_sees_the_address_that_leads_to_it(ends):
    node = await ends("0.0.0.0", bind_v6=("::", 0))

    assert node.transport.local_for("127.0.0.1", "udp")[0] == "127.0.0.1"
    assert node.transport.local_for("::1", "udp")[0] == "::1"


async def test_without_an_ipv6_address_none_is_served(ends):
    node = await ends()
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as peer:
        peer.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(
                peer, ("::1", node.transport.address[1])
            )  # fmt: skip
    assert node.transport.listening("udp", beside=True) is None


@pytest.mark.parametrize("host", BOTH)
async def test_tls_is_served_in_both_families(ends, tmp_path, host):
    tls = Authority(tmp_path).settings("gw.test", *BOTH)
    tls = replace(tls, bind=("127.0.0.1", 0))
    node = await ends(bind_v6=("::1", 0), tls=tls, tls_bind_v6=("::1", 0))
    peer = await ends(host, tls=replace(tls, bind=(host, 0)))

    port = node.transport.listening("tls", beside=":" in host)[1]
    invite = await call(peer, node, "tls", host, port)

    assert invite.session.flow.secure


async def test_an_advertised_address_is_told_to_its_own_family_alone(ends):
    told = EngineSettings(advertised=("203.0.113.1", 5060))
    node, fourth, sixth = (
        await ends(bind_v6=("::1", 0), engine=told),
        await ends(),
        await ends("::1"),
    )

    by_fourth = await call(node, fourth, "udp", "127.0.0.1", fourth.transport.address[1])
    by_sixth = await call(node, sixth, "udp", "::1", sixth.transport.address[1])

    assert by_fourth.session.request.contacts[0].uri.host == "203.0.113.1"
    assert by_sixth.session.request.contacts[0].uri.host == "[::1]"


async def test_received_and_rport_of_an_ipv6_peer_behind_another_address(ends):
    node = await ends(bind_v6=("::1", 0))
    request = (
        "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::9]:5060;rport;branch=z9hG4bK1\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:b@c>;tag=1\r\nTo: <sip:a@c>\r\nCall-ID: six\r\n"
        "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.bind(("::1", 0))
        peer.connect(("::1", node.transport.address[1]))
        peer.setblocking(False)
        peer.send(request.encode())
        reply = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(peer, 2000), 2)
        port = peer.getsockname()[1]

    assert reply.startswith(b"SIP/2.0 200 ")
    assert f"rport={port}".encode() in reply
    assert b"received=::1" in reply


async def test_a_name_with_only_an_ipv6_address_is_found_by_a_node_of_both(ends):
    zone = {("six.gw.test", "AAAA"): ["::1"], ("two.gw.test", "AAAA"): ["::1"]}
    with DnsServer(zone | {("two.gw.test", "A"): ["127.0.0.11"]}) as server:
        node = await ends(bind_v6=("::1", 0), nameservers=(server.address,))
        only = await node.transport.resolve("sip:bob@six.gw.test:5060")
        both = await node.transport.resolve("sip:bob@two.gw.test:5060")

    assert [(flow.local[0], flow.remote[0]) for flow in only] == [("::1", "::1")]
    assert [flow.remote[0] for flow in both] == ["127.0.0.11", "::1"]


async def test_an_address_that_is_taken_stops_the_start_and_leaves_nothing_open(ends):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        taken.bind(("::1", 0))
        taken.listen()
        end = End(bind_v6=taken.getsockname()[:2])
        with pytest.raises(OSError, match="in use"):
            await asyncio.wait_for(end.transport.start(), 5)
        assert end.transport.listening("udp") is None
