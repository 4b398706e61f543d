"""The WebSocket framer without sockets: cut anywhere, refused upgrades, goodbye."""

import pytest

from telephony.sip.stream import Ping, Pong
from telephony.sip.websocket import WebSocketFramer
from tests.fuzz.seeds import WEBSOCKET_FRAMES, WEBSOCKET_UPGRADE

TEXT = b"\x81\x85\x00\x00\x00\x00hello"


def opened() -> WebSocketFramer:
    framer = WebSocketFramer(["https://desk.test"])
    framer.feed(WEBSOCKET_UPGRADE)
    framer.outgoing()
    return framer


def test_octet_by_octet_is_the_same():
    framer = WebSocketFramer(["https://desk.test"])
    found = []

    for octet in WEBSOCKET_UPGRADE + TEXT:
        found += framer.feed(bytes((octet,)))

    assert found == [b"hello"]
    assert framer.outgoing().startswith(b"HTTP/1.1 101 ")
    assert not framer.partial


@pytest.mark.parametrize(
    "head",
    [
        WEBSOCKET_UPGRADE.replace(b"https://desk.test", b"https://elsewhere.test"),
        WEBSOCKET_UPGRADE.replace(b"Protocol: sip", b"Protocol: chat"),
        WEBSOCKET_UPGRADE.replace(b"Upgrade: websocket\r\n", b""),
        b"\x16\x03\x01\r\n\r\n",
        b"OPTIONS sip:gw.test SIP/2.0\r\n\r\n",
    ],
)
def test_a_refused_upgrade_reads_nothing_that_follows(head):
    framer = WebSocketFramer(["https://desk.test"])

    assert framer.feed(head + TEXT) == []
    assert framer.broken
    assert b" 101 " not in framer.outgoing()
    assert framer.feed(TEXT) == []


def test_a_head_without_end_is_cut_off():
    framer = WebSocketFramer([])

    for _ in range(20):
        framer.feed(b"X: " + b"y" * 1000 + b"\r\n")

    assert framer.broken


def test_pings_and_pongs_are_told_apart_and_fragments_joined():
    framer = opened()
    found = [item for frame in WEBSOCKET_FRAMES[1:4] for item in framer.feed(frame)]

    assert found == [b"hello", b"hello", Pong()]
    assert framer.outgoing() == b"\x8a\x04ping"
    assert framer.feed(b"\x81\x84\x00\x00\x00\x00\r\n\r\n") == [Ping()]
    assert framer.ping() == b"\x89\x00"


def test_goodbye_is_said_once_and_nothing_after_it():
    framer = opened()

    framer.close()
    goodbye = framer.outgoing()

    assert goodbye == b"\x88\x02\x03\xe9"
    assert framer.wrap(b"late") == b""
    framer.close()
    assert framer.outgoing() == b""


def test_their_goodbye_is_answered():
    framer = opened()

    assert framer.feed(b"\x88\x82\x00\x00\x00\x00\x03\xe8") == []
    assert framer.broken
    assert framer.outgoing() == b"\x88\x02\x03\xe8"
