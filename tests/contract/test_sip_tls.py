"""SIP over TLS on loopback: calls, refusals, reuse of connections, keep-alive, deadlines, reconnection."""

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest

from telephony.sip.events import Answered, IncomingInvite, Terminated
from telephony.sip.session import EndKind
from telephony.sip.stream import StreamTimes
from telephony.sip.tls import TlsSettings
from tests.fakes.certificates import Authority
from tests.unit.sip_line import ANSWER


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def tls(authority: Authority) -> TlsSettings:
    return authority.settings("gw.test", "127.0.0.1", "::1")


async def opened_by_hand(end, authority, **more):
    """A client of the standard library, which trusts the authority."""
    context = ssl.create_default_context(cafile=str(authority.file))
    if "chain" in more:
        context.load_cert_chain(*more["chain"])
    address = end.transport.listening("tls")
    return await asyncio.open_connection(*address, ssl=context, server_hostname="gw.test")


async def shut(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    await asyncio.sleep(0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_call_over_tls_from_invite_to_bye(ends, tls, host):
    tls = replace(tls, bind=(host, 0))
    caller, called = await ends(host, tls=tls), await ends(host, tls=tls)

    session = caller.call(called, "tls")
    answered = await caller.next(Answered)
    incoming = await called.next(IncomingInvite)
    session.bye(caller.transport.now())
    caller.transport.flush()
    ended = await called.next(Terminated)

    assert answered.sdp == ANSWER
    assert incoming.session.flow.secure
    assert incoming.session.request.via.transport == "TLS"
    assert ended.cause.kind is EndKind.REMOTE


async def test_the_certificate_must_be_for_the_name_that_was_asked_for(ends, tls):
    caller, called = await ends(tls=tls), await ends(tls=tls)

    right = await caller.asked(caller.towards(called, "tls", "gw.test"))
    wrong = await caller.asked(caller.towards(called, "tls", "bank.test"))

    assert (right, wrong) == (200, 503)
    assert caller.counters["tls_failed"] == 1


async def test_a_self_signed_peer_is_refused_unless_its_own_ca_says_so(
    ends, tls, authority, tmp_path
):
    stranger = Authority(tmp_path, "Stranger")
    called = await ends(tls=stranger.settings("pbx.test"))
    refusing = await ends(tls=tls)
    trusting = await ends(tls=authority.settings("us.test", ca_of={"pbx.test": stranger.pem}.get))

    refused = await refusing.asked(refusing.towards(called, "tls", "pbx.test"))
    trusted = await trusting.asked(trusting.towards(called, "tls", "pbx.test"))

    assert (refused, trusted) == (503, 200)


async def test_a_ca_of_a_peer_that_is_none_fails_the_request_only(ends, tls, authority):
    called = await ends(tls=tls)
    caller = await ends(tls=authority.settings("us.test", ca_of=lambda name: "no certificate"))

    assert await caller.asked(caller.towards(called, "tls", "gw.test")) == 503


async def test_a_node_without_certificate_can_call_tls_peers(ends, tls):
    caller, called = await ends(), await ends(tls=tls)
    caller.transport._streams._contexts.client("127.0.0.1").load_verify_locations(tls.ca)

    assert caller.transport.listening("tls") is None
    assert await caller.asked(caller.towards(called, "tls")) == 200


async def test_a_client_without_certificate_is_refused_where_one_is_asked_for(ends, authority):
    demanding = await ends(tls=authority.settings("gw.test", verify_peer=True))
    reader, writer = await opened_by_hand(demanding, authority)

    with pytest.raises(ssl.SSLError):
        await asyncio.wait_for(reader.read(), 2)
    await shut(writer)

    assert demanding.counters["tls_failed"] == 1


async def test_requests_share_one_connection_and_it_is_opened_again_after_a_loss(ends, tls):
    caller, called = await ends(tls=tls), await ends(tls=tls)
    flow = caller.towards(called, "tls", "gw.test")

    first = [await caller.asked(flow), await caller.asked(flow)]
    shared = len(called.transport._streams)
    called.transport._streams._connections[1].close()
    await caller.until(lambda: len(caller.transport._streams) == 0)
    again = await caller.asked(flow)

    assert (first, shared, again) == ([200, 200], 1, 200)


async def test_the_other_side_of_an_alias_sends_its_requests_by_the_same_connection(
    ends, authority
):
    """RFC 5923: the peer showed a certificate and said `alias`, so our request needs no second handshake."""
    called = await ends(tls=authority.settings("gw.test", verify_peer=True))
    chain = authority.issue("trunk.test")
    reader, writer = await opened_by_hand(called, authority, chain=chain)
    request = (
        b"OPTIONS sip:gw.test SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5099;branch=z9hG4bKa;alias\r\n"
        b"From: <sip:a.test>;tag=1\r\nTo: <sip:gw.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    writer.write(request)
    reply = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)

    called.ask(called.transport.flow("tls", "127.0.0.1", 5099, "trunk.test"))
    ours = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    called.ask(called.transport.flow("tls", "127.0.0.1", 5099, "bank.test"))
    await called.until(lambda: len(called.transport._streams) == 1)
    await shut(writer)

    assert reply.startswith(b"SIP/2.0 200 ")
    assert ours.startswith(b"OPTIONS sip:127.0.0.1:5099 ")


async def test_an_alias_without_a_checked_certificate_is_not_believed(ends, tls, authority):
    called = await ends(tls=tls)
    reader, writer = await opened_by_hand(called, authority)
    writer.write(
        b"OPTIONS sip:gw.test SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:1;branch=z9hG4bKa;alias\r\n"
        b"From: <sip:a.test>;tag=1\r\nTo: <sip:gw.test>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)

    status = await called.asked(called.transport.flow("tls", "127.0.0.1", 1))
    await shut(writer)

    assert status == 503


async def test_a_handshake_that_never_ends_is_given_up(ends, tls):
    end = await ends(tls=tls, times=StreamTimes(opening=0.05))
    reader, writer = await asyncio.open_connection(*end.transport.listening("tls"))

    closed = await asyncio.wait_for(reader.read(), 2)
    await shut(writer)

    assert closed == b""
    assert end.counters["opening_timeout"] == 1


async def test_a_peer_that_accepts_and_says_nothing_fails_the_request(ends, tls):
    caller = await ends(tls=tls, times=StreamTimes(opening=0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        status = await caller.asked(caller.transport.flow("tls", *silent.getsockname()))

    assert status == 503
    assert caller.counters["opening_timeout"] == 1


async def test_plain_sip_on_the_tls_port_is_cut_off(ends, tls):
    end = await ends(tls=tls)
    reader, writer = await asyncio.open_connection(*end.transport.listening("tls"))
    writer.write(b"OPTIONS sip:gw.test SIP/2.0\r\n\r\n")

    rest = await asyncio.wait_for(reader.read(), 2)
    await shut(writer)

    assert b"SIP/2.0" not in rest
    assert end.counters["tls_failed"] == 1


async def test_our_connections_are_kept_open_by_pings_which_the_peer_answers(ends, tls):
    caller = await ends(tls=tls, times=StreamTimes(keepalive=0.05, pong=0.5))
    called = await ends(tls=tls)
    flow = caller.towards(called, "tls")

    await caller.asked(flow)
    [connection] = caller.transport._streams._connections.values()
    await caller.until(lambda: connection._answers_pings)
    await asyncio.sleep(0.2)

    assert await caller.asked(flow) == 200
    assert len(called.transport._streams) == 1
    assert caller.counters["pong_timeout"] == 0


async def test_a_peer_that_has_stopped_answering_pings_is_given_up(ends):
    caller = await ends(times=StreamTimes(keepalive=0.05, pong=0.05))
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller.ask(caller.transport.flow("tcp", *server.getsockname()))
        reader, writer = await asyncio.open_connection(sock=server.accept()[0])
        await reader.readuntil(b"\r\n\r\n")  # the request
        await reader.readexactly(4)
        writer.write(b"\r\n")
        await caller.until(lambda: caller.counters["pong_timeout"] == 1)
        await shut(writer)

    assert len(caller.transport._streams) == 0


async def test_a_peer_that_never_answered_a_ping_is_kept(ends):
    """RFC 5626 was not agreed on with everybody; nobody is cut off for not knowing it."""
    caller = await ends(times=StreamTimes(keepalive=0.03, pong=0.03))
    with socket.create_server(("127.0.0.1", 0)) as server:
        caller.ask(caller.transport.flow("tcp", *server.getsockname()))
        reader, writer = await asyncio.open_connection(sock=server.accept()[0])
        await reader.readuntil(b"\r\n\r\n")
        pings = await asyncio.wait_for(reader.readexactly(16), 2)
        kept = len(caller.transport._streams)
        await shut(writer)

    assert (pings, kept) == (b"\r\n\r\n" * 4, 1)


async def test_a_silent_connection_of_a_peer_is_given_up(ends):
    end = await ends(times=StreamTimes(keepalive=0.03, idle=0.02))
    reader, writer = await asyncio.open_connection(*end.transport.address)

    assert await asyncio.wait_for(reader.read(), 2) == b""
    await shut(writer)
    assert end.counters["idle_connection"] == 1
